//! Forwarding method and flags of a connection.

use crate::model::{ForwardMethod, ReplySource};
use bitflags::bitflags;

/// Forwarding method of a connection: the low three bits of [`Flags`], numbered as in IPVS.
///
/// `worker/method.rs` has what each method does to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Method {
    Masq = 0,
    LocalNode = 1,
    Tunnel = 2,
    Route = 3,
    Bypass = 4,
}

impl Method {
    /// The method with this number; numbers unused by IPVS read as bypass.
    #[inline]
    pub const fn from_number(number: u16) -> Method {
        match number {
            0 => Method::Masq,
            1 => Method::LocalNode,
            2 => Method::Tunnel,
            3 => Method::Route,
            _ => Method::Bypass,
        }
    }

    /// The method of a new connection to a destination with this method.
    pub const fn of(destination: ForwardMethod) -> Method {
        match destination {
            ForwardMethod::Masq => Method::Masq,
            ForwardMethod::Tunnel => Method::Tunnel,
            ForwardMethod::Route => Method::Route,
        }
    }

    /// The address that replies come from.
    #[inline]
    pub const fn replies_from(self) -> ReplySource {
        match self {
            Method::Masq => ReplySource::Destination,
            Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => {
                ReplySource::VirtualAddress
            }
        }
    }

    /// True if all replies pass the director, so that the state machine expects them from the first packet on.
    const fn expects_replies(self) -> bool {
        match self {
            Method::Masq => true,
            Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => false,
        }
    }
}

bitflags! {
    /// Flags of a connection, numbered as in IPVS, also in synchronisation messages.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u16 {
        /// The bits of the [`Method`].
        const METHOD = 0x0007;
        /// All its packets take the full path. Only the director has this flag; IPVS leaves the bit unused. It is next
        /// to the method, so that the fast path tests both at once.
        const FULL_PATH = 0x0008;
        /// No reply was seen: the state machine uses only the client's packets.
        const NOOUTPUT = 0x0080;
        /// Counts as an inactive connection of its destination.
        const INACTIVE = 0x0100;
    }
}

impl Flags {
    /// Flags of a new connection: inactive until its state machine makes it active.
    #[inline]
    pub const fn born(method: Method) -> Flags {
        let bits = method as u16 | Flags::INACTIVE.bits();
        match method.expects_replies() {
            true => Flags::from_bits_retain(bits),
            false => Flags::from_bits_retain(bits | Flags::NOOUTPUT.bits()),
        }
    }

    /// The forwarding method.
    #[inline]
    pub const fn method(self) -> Method {
        Method::from_number(self.bits() & Flags::METHOD.bits())
    }

    /// The forwarding method; `None` if the connection must take the full path.
    #[inline(always)]
    pub const fn fast_path_method(self) -> Option<Method> {
        let number = self.bits() & (Flags::METHOD.bits() | Flags::FULL_PATH.bits());
        if number >= Flags::FULL_PATH.bits() { None } else { Some(Method::from_number(number)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_keep_the_method_and_the_full_path() {
        let methods =
            [Method::Masq, Method::LocalNode, Method::Tunnel, Method::Route, Method::Bypass];
        for method in methods {
            let flags = Flags::born(method);
            assert_eq!((flags.method(), flags.fast_path_method()), (method, Some(method)));
            let flags = flags | Flags::FULL_PATH;
            assert_eq!((flags.method(), flags.fast_path_method()), (method, None));
            assert_eq!(flags.contains(Flags::NOOUTPUT), method != Method::Masq);
        }
    }
}
