//! Next hops with their prepared link header, and resolved neighbours by address.

use crate::model::{Family, InterfaceId, PortId};
use crate::packet::Address;
use crate::packet::ethernet::{self, ETHERNET, EtherType};
use hashbrown::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// Slot of a [`NextHop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHopId(pub u32);

/// The next hop of an address without a route.
pub const UNROUTED: NextHopId = NextHopId(u32::MAX);

/// Maximum length of a link header in bytes: Ethernet with one VLAN tag (IEEE 802.1Q).
pub const LINK_HEADER_MAX: usize = ETHERNET + 4;

/// What is needed to send a frame to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjacency {
    /// The link header with the EtherType. Its MAC addresses are zero while the neighbour is unresolved.
    pub header: [u8; LINK_HEADER_MAX],
    /// Length of the header in bytes: 14, or 18 with a VLAN tag.
    pub header_len: u8,
    /// The port that sends the frame.
    pub port: PortId,
}

impl Adjacency {
    /// To the neighbour at `destination`, from an interface without a VLAN tag.
    pub fn new(destination: [u8; 6], source: [u8; 6], ether_type: EtherType, port: PortId) -> Self {
        let mut header = [0; LINK_HEADER_MAX];
        ethernet::write(&mut header, destination, source, ether_type);
        Adjacency { header, header_len: ETHERNET as u8, port }
    }

    /// To an unresolved neighbour.
    pub fn unresolved(ether_type: EtherType) -> Self {
        Adjacency::new([0; 6], [0; 6], ether_type, PortId(0))
    }
}

/// A neighbour on one interface.
#[derive(Clone, Copy, Debug)]
pub struct NextHop {
    pub adjacency: Adjacency,
    pub resolved: bool,
    pub interface: InterfaceId,
    pub address: IpAddr,
}

impl NextHop {
    /// A neighbour without a known MAC address.
    pub fn unresolved(interface: InterfaceId, address: IpAddr) -> Self {
        let adjacency = Adjacency::unresolved(EtherType::of(Family::of(address)));
        NextHop { adjacency, resolved: false, interface, address }
    }
}

impl Default for NextHop {
    fn default() -> Self {
        NextHop::unresolved(InterfaceId(0), Ipv4Addr::UNSPECIFIED.into())
    }
}

/// Resolved neighbours by interface and address, for routed packets. Each family has its own table: hashing an integer
/// is fast, and every NAT reply needs it.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    ipv4: HashMap<(u16, u32), NextHopId>,
    ipv6: HashMap<(u16, u128), NextHopId>,
}

impl Neighbours {
    #[inline]
    pub fn find<A: Address>(&self, interface: InterfaceId, address: A) -> Option<NextHopId> {
        match A::FAMILY {
            Family::Ipv4 => self.ipv4.get(&(interface.0, address.bits() as u32)),
            Family::Ipv6 => self.ipv6.get(&(interface.0, address.bits())),
        }
        .copied()
    }

    pub fn insert(&mut self, interface: InterfaceId, address: IpAddr, next_hop: NextHopId) {
        match address {
            IpAddr::V4(address) => self.ipv4.insert((interface.0, address.to_bits()), next_hop),
            IpAddr::V6(address) => self.ipv6.insert((interface.0, address.to_bits()), next_hop),
        };
    }

    /// The neighbour is no longer resolved.
    pub fn remove(&mut self, interface: InterfaceId, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4.remove(&(interface.0, address.to_bits())),
            IpAddr::V6(address) => self.ipv6.remove(&(interface.0, address.to_bits())),
        };
    }

    pub fn get(&self, interface: InterfaceId, address: IpAddr) -> Option<NextHopId> {
        match address {
            IpAddr::V4(address) => self.find(interface, address.to_bits()),
            IpAddr::V6(address) => self.find(interface, address.to_bits()),
        }
    }
}
