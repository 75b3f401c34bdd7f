//! A network interface: what an IP host has on a link. A port is the device below it.

use super::{InterfaceId, PortId};
use std::net::IpAddr;

/// An interface: its addresses, and how it appears on the link. Queues, RSS and counters are the port's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub id: InterfaceId,
    pub name: String,
    /// The port that its frames come and go by.
    pub port: PortId,
    /// Its own MAC address: the source of what it sends.
    pub mac: [u8; 6],
    /// Unicast MAC addresses that it takes frames for besides its own, as those of virtual routers.
    pub virtual_macs: Vec<[u8; 6]>,
    /// What no service takes goes to the host's own stack, by a kernel interface.
    pub has_kernel: bool,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// Each with the prefix length of its network.
    pub addresses: Vec<(IpAddr, u8)>,
}
