//! What a valid configuration says, typed.

use crate::api::Command;
use crate::limits;
use crate::model::{
    DestinationSpec, InterfaceAddress, InterfaceId, MacAddress, PortSide, Prefix, ServiceSpec,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How DPDK is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpdkConfig {
    /// Workers, which is queue pairs per port: 1 to [`limits::WORKERS_MAX`].
    pub workers: usize,
    /// The core of each worker, `workers` of them; empty: the daemon chooses.
    pub cores: Vec<u16>,
    /// The core of the control thread; `None`: the daemon chooses.
    pub control_core: Option<u16>,
    /// Runs without hugepages.
    pub no_huge: bool,
    /// Megabytes DPDK takes at start; `None`, never with `no_huge`: hugepages as it needs them.
    pub memory_mb: Option<u32>,
    /// Virtual devices, one `--vdev` each.
    pub vdevs: Vec<String>,
    /// Further arguments of DPDK's EAL.
    pub arguments: Vec<String>,
    /// Keeps the files of several directors on one host apart.
    pub file_prefix: String,
    /// Packet buffers per port and NUMA node; `None`: by queues and descriptors.
    pub mbufs: Option<u32>,
}

impl DpdkConfig {
    /// Megabytes taken with `no_huge` unless the file says otherwise.
    pub const NO_HUGE_MEMORY_MB: u32 = 512;
}

/// Capacities, fixed at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    /// IPv4 connections per worker.
    pub connections: usize,
    /// IPv6 connections per worker.
    pub connections_ipv6: usize,
    pub services: usize,
    /// Over all services.
    pub destinations: usize,
    /// Persistence templates, shared by all workers.
    pub templates: usize,
}

impl Default for Tables {
    fn default() -> Self {
        Tables {
            connections: limits::CONNECTIONS_DEFAULT,
            connections_ipv6: limits::CONNECTIONS_DEFAULT / 4,
            services: limits::SERVICES_DEFAULT,
            destinations: limits::DESTINATIONS_DEFAULT,
            templates: limits::CONNECTIONS_DEFAULT,
        }
    }
}

/// One network port. Its place in the file is its `PortId`, and the [`InterfaceId`] of the
/// interface on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    pub name: String,
    /// Name of a virtual device, or PCI address.
    pub device: String,
    pub addresses: Vec<InterfaceAddress>,
    /// The IPv4 default route's next hop.
    pub gateway: Option<Ipv4Addr>,
    /// The IPv6 default route's next hop.
    pub gateway_ipv6: Option<Ipv6Addr>,
    /// Bytes of the longest IP packet.
    pub mtu: u16,
    pub promiscuous: bool,
    pub side: PortSide,
    /// `None`: the daemon chooses.
    pub rx_descriptors: Option<u16>,
    /// `None`: the daemon chooses.
    pub tx_descriptors: Option<u16>,
}

impl PortConfig {
    /// Ethernet's.
    pub const MTU_DEFAULT: u16 = 1500;

    /// The address is reached through this port without a router: it is in one of the port's
    /// networks, or link-local where the port speaks IPv6 (RFC 4291 section 2.5.6).
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        self.addresses
            .iter()
            .any(|own| own.network().contains(address) || (link_local && own.address().is_ipv6()))
    }
}

/// A neighbour that need not be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourConfig {
    pub interface: InterfaceId,
    pub address: IpAddr,
    pub mac: MacAddress,
}

/// Where packets to a network go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    pub destination: Prefix,
    pub hop: RouteHop,
    /// Smaller than the port's; `None`: the port's.
    pub mtu: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteHop {
    /// To this router, through the port whose network it is in.
    Via { interface: InterfaceId, router: IpAddr },
    /// The network is on this port's link.
    OnLink { interface: InterfaceId },
}

/// A service and its destinations, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    pub spec: ServiceSpec,
    pub destinations: Vec<DestinationSpec>,
}

impl ServiceConfig {
    /// The commands that make it.
    pub fn commands(&self) -> impl Iterator<Item = Command> {
        let service = self.spec.key;
        let destinations = self.destinations.iter();
        std::iter::once(Command::AddService(self.spec.clone())).chain(
            destinations.map(move |&destination| Command::AddDestination { service, destination }),
        )
    }
}
