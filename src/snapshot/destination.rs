//! What forwarding needs to know of one destination.

use super::{Adjacency, NextHop, NextHopId};
use crate::model::{ForwardMethod, ServiceId, Tunnel, TunnelChecksum};
use crate::packet::ethernet::EtherType;
use std::net::{IpAddr, Ipv4Addr};

/// One real server of one service. Kept while connections refer to it, also after its removal.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Destination {
    pub next_hop: NextHopId,
    /// The next three fields follow from the others: [`Destination::prepared`] fills them.
    pub adjacency: Adjacency,
    pub fast_path_mtu: FastPathMtu,
    /// The ends of the tunnel, if it is plain IP in IPv4.
    pub ipip: Option<Ends>,
    pub weight: u32,
    /// New connections stop at this many; 0: no limit.
    pub upper_threshold: u32,
    pub lower_threshold: u32,
    /// The last edit of the thresholds that took the overload mark off (even) or put it on (odd).
    pub overload_edit: u16,
    pub method: ForwardMethod,
    /// False once it was removed: its connections are dropped or expired.
    pub available: bool,
    /// The address is the director's own.
    pub is_local: bool,
    /// [`ForwardMethod::Tunnel`] only.
    pub encapsulation: Encapsulation,
    /// Largest IP packet towards it, after encapsulation; 0 without a route.
    pub mtu: u16,
    pub port: u16,
    pub service: ServiceId,
    pub address: IpAddr,
    /// Source of the outer header: the director's address on the way to the destination.
    pub tunnel_source: IpAddr,
}

impl Default for Destination {
    fn default() -> Self {
        Destination {
            next_hop: super::UNROUTED,
            adjacency: Adjacency::unresolved(EtherType::IPV4),
            fast_path_mtu: FastPathMtu::default(),
            ipip: None,
            weight: 0,
            upper_threshold: 0,
            lower_threshold: 0,
            overload_edit: 0,
            method: ForwardMethod::Route,
            available: false,
            is_local: false,
            encapsulation: Encapsulation::Ipip,
            mtu: 0,
            port: 0,
            service: ServiceId(0),
            address: Ipv4Addr::UNSPECIFIED.into(),
            tunnel_source: Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

/// Longest packet that the fast path may send to a destination; 0 if all packets to it take the full path.
#[derive(Clone, Copy, Debug, Default)]
pub struct FastPathMtu {
    /// Of connections that send the packet itself over the link.
    pub link: u16,
    /// Of connections that encapsulate it.
    pub tunnel: u16,
}

/// The two ends of an IPv4 tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Source and destination as they stand in the outer header.
    pub words: [u32; 2],
    /// Their part in its checksum: the sum of their halves as they stand there.
    pub sum: u32,
}

impl Ends {
    #[inline]
    pub fn new(source: u32, destination: u32) -> Self {
        let words = [source.to_be(), destination.to_be()];
        let sum = words.iter().map(|word| (word & 0xffff) + (word >> 16)).sum();
        Ends { words, sum }
    }
}

impl Destination {
    /// Fills the fields that follow from the others and from the next hop. Leaving them empty is safe: packets take the
    /// full path.
    pub fn prepared(self, next_hop: Option<&NextHop>) -> Self {
        let next_hop = next_hop.filter(|next_hop| next_hop.resolved);
        let Some(next_hop) = next_hop.filter(|_| self.available && !self.is_local) else {
            let adjacency = Adjacency::unresolved(EtherType::IPV4);
            let fast_path_mtu = FastPathMtu::default();
            return Destination { adjacency, fast_path_mtu, ipip: None, ..self };
        };
        let inside = self.mtu_inside_tunnel();
        let tunnel = if inside >= self.least_mtu_inside_tunnel() { inside } else { 0 };
        let fast_path_mtu = FastPathMtu { link: self.mtu, tunnel };
        let ipip = match (self.encapsulation, self.tunnel_source, self.address) {
            (Encapsulation::Ipip, IpAddr::V4(source), IpAddr::V4(destination)) => {
                Some(Ends::new(source.to_bits(), destination.to_bits()))
            }
            _ => None,
        };
        Destination { adjacency: next_hop.adjacency, fast_path_mtu, ipip, ..self }
    }

    /// Longest packet that a tunnel takes whole.
    #[inline]
    pub fn mtu_inside_tunnel(&self) -> u16 {
        let header = match self.address {
            IpAddr::V4(_) => IPV4_HEADER,
            IpAddr::V6(_) => IPV6_HEADER,
        };
        self.mtu.saturating_sub(header + self.encapsulation.overhead())
    }

    /// Below this MTU inside, nothing goes through a tunnel (RFC 791, RFC 8200 section 5).
    #[inline]
    pub fn least_mtu_inside_tunnel(&self) -> u16 {
        match self.address {
            IpAddr::V4(_) => 68,
            IpAddr::V6(_) => 1280,
        }
    }
}

/// Octets of an outer header.
const IPV4_HEADER: u16 = 20;
const IPV6_HEADER: u16 = 40;

/// The bytes between outer IP header and inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    Ipip,
    Gue { port: u16, checksum: bool },
    Gre { checksum: bool },
}

impl Encapsulation {
    /// Octets of the encapsulation between the two IP headers.
    pub const fn overhead(self) -> u16 {
        match self {
            Encapsulation::Ipip => 0,
            // UDP header and four octets of GUE.
            Encapsulation::Gue { .. } => 12,
            Encapsulation::Gre { checksum: false } => 4,
            Encapsulation::Gre { checksum: true } => 8,
        }
    }
}

impl From<Tunnel> for Encapsulation {
    fn from(tunnel: Tunnel) -> Self {
        match tunnel {
            Tunnel::Ipip => Encapsulation::Ipip,
            // Remote checksum offload needs a sender that leaves the inner checksum open; this one never does.
            Tunnel::Gue { port, checksum } => {
                Encapsulation::Gue { port, checksum: checksum != TunnelChecksum::None }
            }
            Tunnel::Gre { checksum } => {
                Encapsulation::Gre { checksum: checksum != TunnelChecksum::None }
            }
        }
    }
}
