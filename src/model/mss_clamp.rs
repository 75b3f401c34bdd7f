//! How far the maximum segment size that TCP's SYNs announce is lowered on their way through.

/// See the module. Never raised, and never added to a SYN that announces none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MssClamp {
    /// SYNs pass as they are.
    #[default]
    Off,
    /// To what the way takes in one packet.
    PathMtu,
    /// To so many bytes, whatever the way takes: [`Self::LEAST`] to [`Self::MOST`].
    Bytes(u16),
}

impl MssClamp {
    /// What a TCP sends whose peer announces nothing, so no peer expects less (RFC 9293 section 3.7.1).
    pub const LEAST: u16 = 536;
    /// What the longest IPv4 packet has room for beside its headers.
    pub const MOST: u16 = 65_495;

    #[inline]
    pub const fn is_on(self) -> bool {
        !matches!(self, MssClamp::Off)
    }

    /// The largest MSS that may pass, on a way that takes packets of `mtu` bytes of which `headers` are IP's and TCP's
    /// without options (RFC 6691 section 2). `None`: any.
    pub const fn limit(self, mtu: u16, headers: u16) -> Option<u16> {
        match self {
            MssClamp::Off => None,
            MssClamp::Bytes(bytes) => Some(bytes),
            // A way without room for a single byte is no reason to announce nonsense.
            MssClamp::PathMtu if mtu <= headers => None,
            MssClamp::PathMtu => Some(mtu - headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (clamp, mtu, headers, limit) in [
            (MssClamp::Off, 1500, 40, None),
            (MssClamp::PathMtu, 1500, 40, Some(1460)),
            (MssClamp::PathMtu, 1480, 60, Some(1420)),
            (MssClamp::PathMtu, 41, 40, Some(1)),
            (MssClamp::PathMtu, 40, 40, None),
            (MssClamp::PathMtu, 0, 40, None),
            (MssClamp::PathMtu, u16::MAX, 40, Some(MssClamp::MOST)),
            (MssClamp::Bytes(1400), 1280, 60, Some(1400)),
        ] {
            assert_eq!(clamp.limit(mtu, headers), limit, "{clamp:?} {mtu} {headers}");
        }
        assert!(!MssClamp::default().is_on());
        assert!(MssClamp::PathMtu.is_on() && MssClamp::Bytes(536).is_on());
    }
}
