//! How a connection is forwarded, and its flags.

use crate::model::{ForwardMethod, ReplySource};
use bitflags::bitflags;

/// How packets of a connection are sent on: the low three bits of [`Flags`], numbered as IPVS numbers them.
///
/// What a method does to a packet is answered in `worker/method.rs`.
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
    /// The method with a number; numbers that IPVS leaves unused read as bypass.
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

    /// Which address replies come from.
    #[inline]
    pub const fn replies_from(self) -> ReplySource {
        match self {
            Method::Masq => ReplySource::Destination,
            Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => {
                ReplySource::VirtualAddress
            }
        }
    }

    /// Every reply passes the director, so the state machine waits for it from the first packet on.
    const fn expects_replies(self) -> bool {
        match self {
            Method::Masq => true,
            Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => false,
        }
    }
}

bitflags! {
    /// Flags of a connection, numbered as IPVS numbers them, also in its synchronisation messages.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u16 {
        /// The bits of the [`Method`].
        const METHOD = 0x0007;
        /// All its packets take the full path. The director's own: IPVS leaves this bit unused. It stands next to the
        /// method, so that the fast path tests both at once.
        const FULL_PATH = 0x0008;
        /// No reply was seen: the state machine goes by the client's packets alone.
        const NOOUTPUT = 0x0080;
        /// Counted as an inactive connection of its destination.
        const INACTIVE = 0x0100;
    }
}

impl Flags {
    /// A new connection's flags: it counts as inactive until its state machine says otherwise.
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

    /// The forwarding method; `None` for a connection that must take the full path.
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
