//! Values of one table that the checks of later tables need, and checks that several tables share.

use crate::model::{InterfaceId, Protocol};
use std::any::Any;
use std::net::IpAddr;

/// Smallest link MTU of IPv4 (RFC 791 section 3.1).
pub(super) const MTU_MIN: u16 = 68;
/// Smallest link MTU of IPv6 (RFC 8200 section 5).
pub(super) const MTU_MIN_IPV6: u16 = 1280;

pub(super) const NETWORK_FORM: &str = "a network as 10.0.0.0/8";

pub(super) const PROTOCOLS: [(&str, Protocol); 3] =
    [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];

/// Values of the tables checked so far. A table is compared with another one only if the other has no faults, so that one
/// mistake leads to one message.
#[derive(Debug, Default)]
pub struct Known {
    /// The file has the right shape everywhere.
    pub is_readable: bool,
    /// The tables before `[[port]]` have no faults.
    pub is_process_sound: bool,
    /// The tables up to and including `[[port]]` have no faults, so later tables can be compared with the ports.
    pub are_ports_sound: bool,
    /// One value of each type.
    kept: Vec<Box<dyn Any>>,
}

impl Known {
    /// `is_readable`: the file has the right shape everywhere.
    pub fn new(is_readable: bool) -> Self {
        Known { is_readable, ..Known::default() }
    }

    /// Keeps a value for the checks of later tables.
    pub fn keep<T: 'static>(&mut self, value: T) {
        self.kept.push(Box::new(value));
    }

    /// A value that an earlier table kept.
    pub fn find<T: 'static>(&self) -> Option<&T> {
        self.kept.iter().find_map(|value| value.downcast_ref())
    }

    /// As [`Known::find`], and removes the value.
    pub fn take<T: 'static>(&mut self) -> Option<T> {
        let at = self.kept.iter().position(|value| value.is::<T>())?;
        self.kept.swap_remove(at).downcast().ok().map(|value| *value)
    }
}

/// There are at most [`PORTS_MAX`](crate::limits::PORTS_MAX) ports, each with one interface.
pub(super) fn interface_id(position: usize) -> InterfaceId {
    InterfaceId(position as u16)
}

/// Reads an address of either family.
///
/// # Errors
/// A sentence.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address"))
}

/// 1 to 32 letters, digits and characters of `more`.
pub(super) fn is_word(text: &str, more: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || more.contains(letter);
    (1..=32).contains(&text.len()) && text.chars().all(fits)
}
