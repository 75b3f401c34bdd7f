//! The link layer as workers see it: ports, next hops with their ready Ethernet header, resolved neighbours.

use crate::model::{Family, PortId};
use crate::packet::Address;
use hashbrown::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// One port of the director.
#[derive(Clone, Debug, Default)]
pub struct Link {
    pub mac: [u8; 6],
    pub mtu: u16,
}

/// Slot of a [`NextHop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHopId(pub u32);

/// The next hop of an address that no route leads to.
pub const UNROUTED: NextHopId = NextHopId(u32::MAX);

/// What a frame to a neighbour lacks: all that is looked at when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjacency {
    /// Destination and source address, as they stand in the frame; zeros for a neighbour that is not resolved.
    pub macs: [u8; 12],
    pub port: PortId,
}

impl Adjacency {
    /// Of a neighbour that is not resolved.
    pub const fn unresolved(port: PortId) -> Self {
        Adjacency { macs: [0; 12], port }
    }
}

/// A neighbour on one port.
#[derive(Clone, Copy, Debug)]
pub struct NextHop {
    pub adjacency: Adjacency,
    pub resolved: bool,
    pub address: IpAddr,
}

impl Default for NextHop {
    fn default() -> Self {
        NextHop {
            adjacency: Adjacency::unresolved(PortId(0)),
            resolved: false,
            address: Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

/// Resolved neighbours by address, for packets that are routed one by one. The families apart: hashing an integer is
/// cheap, and every NAT reply does it.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    ipv4: HashMap<(u16, u32), NextHopId>,
    ipv6: HashMap<(u16, u128), NextHopId>,
}

impl Neighbours {
    #[inline]
    pub fn find<A: Address>(&self, port: PortId, address: A) -> Option<NextHopId> {
        match A::FAMILY {
            Family::Ipv4 => self.ipv4.get(&(port.0, address.bits() as u32)),
            Family::Ipv6 => self.ipv6.get(&(port.0, address.bits())),
        }
        .copied()
    }

    pub fn insert(&mut self, port: PortId, address: IpAddr, next_hop: NextHopId) {
        match address {
            IpAddr::V4(address) => self.ipv4.insert((port.0, address.to_bits()), next_hop),
            IpAddr::V6(address) => self.ipv6.insert((port.0, address.to_bits()), next_hop),
        };
    }

    /// The neighbour is no longer resolved.
    pub fn remove(&mut self, port: PortId, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4.remove(&(port.0, address.to_bits())),
            IpAddr::V6(address) => self.ipv6.remove(&(port.0, address.to_bits())),
        };
    }

    pub fn get(&self, port: PortId, address: IpAddr) -> Option<NextHopId> {
        match address {
            IpAddr::V4(address) => self.find(port, address.to_bits()),
            IpAddr::V6(address) => self.find(port, address.to_bits()),
        }
    }
}
