//! The link layer as workers see it: ports, next hops with their ready Ethernet header, resolved neighbours.

use crate::model::PortId;
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

/// A neighbour on one port and the Ethernet addresses of frames to it.
#[derive(Clone, Copy, Debug)]
pub struct NextHop {
    /// Destination and source address, as they stand in the frame.
    pub macs: [u8; 12],
    pub port: PortId,
    pub resolved: bool,
    pub address: IpAddr,
}

impl Default for NextHop {
    fn default() -> Self {
        NextHop {
            macs: [0; 12],
            port: PortId(0),
            resolved: false,
            address: Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

/// Resolved neighbours by address, for packets that are routed one by one.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    by_address: HashMap<(PortId, IpAddr), NextHopId>,
}

impl Neighbours {
    #[inline]
    pub fn find<A: Address>(&self, port: PortId, address: A) -> Option<NextHopId> {
        self.by_address.get(&(port, address.to_ip())).copied()
    }

    pub fn insert(&mut self, port: PortId, address: IpAddr, next_hop: NextHopId) {
        self.by_address.insert((port, address), next_hop);
    }

    /// The neighbour is no longer resolved.
    pub fn remove(&mut self, port: PortId, address: IpAddr) {
        self.by_address.remove(&(port, address));
    }

    pub fn get(&self, port: PortId, address: IpAddr) -> Option<NextHopId> {
        self.by_address.get(&(port, address)).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&(PortId, IpAddr), &NextHopId)> {
        self.by_address.iter()
    }
}
