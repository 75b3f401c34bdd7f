//! The five values that identify a flow.

use super::Address;

/// Source, destination, ports and protocol of a packet, as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple<A> {
    pub source: A,
    pub destination: A,
    pub source_port: u16,
    pub destination_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
}

impl<A: Address> Tuple<A> {
    /// The tuple of the other direction.
    #[inline]
    pub fn reversed(self) -> Self {
        Tuple {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
        }
    }
}
