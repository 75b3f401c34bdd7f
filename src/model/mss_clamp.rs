//! The MSS clamp: lowers the maximum segment size that a forwarded TCP SYN announces.

/// The limit for the MSS of forwarded SYNs. The MSS is never raised, and never added to a SYN without an MSS option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MssClamp {
    /// SYNs are not changed.
    #[default]
    Off,
    /// The limit follows from the path MTU.
    PathMtu,
    /// A fixed limit in bytes, independent of the path MTU: [`Self::LEAST`] to [`Self::MOST`].
    Bytes(u16),
}

impl MssClamp {
    /// The MSS that a TCP assumes if its peer announces none, so every peer accepts it (RFC 9293 section 3.7.1).
    pub const LEAST: u16 = 536;
    /// The payload of the longest IPv4 packet.
    pub const MOST: u16 = 65_495;

    #[inline]
    pub const fn is_on(self) -> bool {
        !matches!(self, MssClamp::Off)
    }

    /// The largest allowed MSS in bytes on a path with this `mtu`. `headers`: bytes of the IP and TCP headers without
    /// options (RFC 6691 section 2). `None`: no limit.
    pub const fn limit(self, mtu: u16, headers: u16) -> Option<u16> {
        match self {
            MssClamp::Off => None,
            MssClamp::Bytes(bytes) => Some(bytes),
            // Never announce an MSS of 0, even on a path without room for a single byte.
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
