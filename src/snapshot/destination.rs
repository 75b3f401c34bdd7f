//! A destination, as forwarding uses it.

use super::{Adjacency, NextHop, NextHopId};
use crate::model::{ForwardMethod, ServiceId, Tunnel, TunnelChecksum};
use crate::packet::ethernet::EtherType;
use std::net::{IpAddr, Ipv4Addr};

/// A real server of a service. It stays after its removal while connections refer to it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Destination {
    pub next_hop: NextHopId,
    /// The next three fields are derived from the others by [`Destination::prepared`].
    pub adjacency: Adjacency,
    pub fast_path_mtu: FastPathMtu,
    /// Addresses of the tunnel, if it is plain IP in IPv4.
    pub ipip: Option<Ends>,
    pub weight: u32,
    /// Upper threshold: maximum number of connections; 0: no limit.
    pub upper_threshold: u32,
    pub lower_threshold: u32,
    /// Number of the last edit of the thresholds: even if it cleared the overload mark, odd if it set it.
    pub overload_edit: u16,
    pub method: ForwardMethod,
    /// False after its removal: its connections are dropped or expired.
    pub available: bool,
    /// The address is the director's own.
    pub is_local: bool,
    /// Used only for [`ForwardMethod::Tunnel`].
    pub encapsulation: Encapsulation,
    /// Maximum IP packet towards it in bytes, after encapsulation; 0 without a route.
    pub mtu: u16,
    pub port: u16,
    pub service: ServiceId,
    pub address: IpAddr,
    /// Source of the outer header: the director's address towards the destination.
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

/// Maximum packet in bytes that the fast path may send to a destination; 0 if all packets take the full path.
#[derive(Clone, Copy, Debug, Default)]
pub struct FastPathMtu {
    /// For connections that send the packet without encapsulation.
    pub link: u16,
    /// For connections that encapsulate it.
    pub tunnel: u16,
}

/// Source and destination of an IPv4 tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// In network byte order, as in the outer header.
    pub words: [u32; 2],
    /// Sum of their 16-bit words in network byte order, for the header checksum.
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
    /// Fills the fields derived from the others and from the next hop. Without them packets take the full path.
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

    /// Maximum inner packet of the tunnel in bytes.
    #[inline]
    pub fn mtu_inside_tunnel(&self) -> u16 {
        let header = match self.address {
            IpAddr::V4(_) => IPV4_HEADER,
            IpAddr::V6(_) => IPV6_HEADER,
        };
        self.mtu.saturating_sub(header + self.encapsulation.overhead())
    }

    /// Minimum inner MTU: below it nothing is sent through a tunnel (RFC 791, RFC 8200 section 5).
    #[inline]
    pub fn least_mtu_inside_tunnel(&self) -> u16 {
        match self.address {
            IpAddr::V4(_) => 68,
            IpAddr::V6(_) => 1280,
        }
    }
}

/// Length of an outer header in bytes.
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
    /// Length of the encapsulation between the two IP headers in bytes.
    pub const fn overhead(self) -> u16 {
        match self {
            Encapsulation::Ipip => 0,
            // UDP header and four bytes of GUE.
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
            // Remote checksum offload needs a sender that leaves the inner checksum incomplete; the director never
            // does.
            Tunnel::Gue { port, checksum } => {
                Encapsulation::Gue { port, checksum: checksum != TunnelChecksum::None }
            }
            Tunnel::Gre { checksum } => {
                Encapsulation::Gre { checksum: checksum != TunnelChecksum::None }
            }
        }
    }
}
