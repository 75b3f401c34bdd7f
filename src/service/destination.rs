//! What forwarding needs to know of one destination.

use super::NextHopId;
use crate::model::{ForwardMethod, ServiceId, Tunnel, TunnelChecksum};
use std::net::{IpAddr, Ipv4Addr};

/// One real server of one service. Kept while connections refer to it, also after its removal.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Destination {
    pub next_hop: NextHopId,
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
    /// Largest IP packet towards it, before encapsulation.
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
