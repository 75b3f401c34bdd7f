//! Snapshots for benches: one network of VIPs, a few services, and servers behind a second port.

use director::model::{
    DestinationId, Family, ForwardMethod, Interface, InterfaceId, PortId, Protocol, SchedulerFlags,
    SchedulerKind, ServiceId, ServiceKey, ServiceSpec,
};
use director::packet::Address;
use director::packet::ethernet::EtherType;
use director::route::Routes;
use director::scheduler::{Candidate, Scheduler};
use director::snapshot::{
    Adjacency, Destination, Directory, Encapsulation, Interfaces, LocalAddresses, Neighbours,
    NextHop, NextHopId, Replies, Service, Settings, Snapshot,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The clients' side and the servers' side.
pub const CLIENTS: PortId = PortId(0);
pub const SERVERS: PortId = PortId(1);
pub const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
/// Source MAC address of received frames.
pub const PEER: [u8; 6] = [2, 0, 0, 0, 0xfe, 0xfe];

pub const SERVICE_PORT: u16 = 80;
/// The port to which NAT maps [`SERVICE_PORT`].
pub const SERVER_PORT: u16 = 8080;

/// The kind of director that is measured.
#[derive(Clone, Copy, Debug)]
pub struct TestSnapshot {
    pub method: ForwardMethod,
    pub protocol: Protocol,
    pub scheduler: SchedulerKind,
    pub services: u32,
    /// Number of destinations of each service.
    pub destinations: u32,
}

impl TestSnapshot {
    /// Four services with sixteen servers each.
    pub fn of(method: ForwardMethod, protocol: Protocol) -> TestSnapshot {
        TestSnapshot {
            method,
            protocol,
            scheduler: SchedulerKind::Rr,
            services: 4,
            destinations: 16,
        }
    }

    pub fn all_destinations(&self) -> u32 {
        self.services * self.destinations
    }

    /// The snapshot for the family of `A`.
    pub fn snapshot<A: Address>(&self) -> Snapshot {
        let mut snapshot = Snapshot { settings: Settings::default(), ..Snapshot::default() };
        let (mut services, mut replies) = (Directory::default(), Replies::default());
        let mut neighbours = Neighbours::default();
        let gateway = gateway::<A>().to_ip();
        snapshot.next_hops.set(0, next_hop(CLIENTS, gateway));
        neighbours.insert(on(CLIENTS), gateway, NextHopId(0));
        for service in 0..self.services {
            let key = self.key::<A>(service);
            let mut candidates = Vec::new();
            for server in 0..self.destinations {
                let number = service * self.destinations + server;
                let address = server_address::<A>(number).to_ip();
                let hop = NextHopId(number + 1);
                snapshot.next_hops.set(hop.0 as usize, next_hop(SERVERS, address));
                neighbours.insert(on(SERVERS), address, hop);
                let id = DestinationId(number);
                snapshot.set_destination(id, self.destination(service, address, hop));
                let port = self.server_port();
                candidates.insert(0, Candidate { id, address, port, weight: 1 });
                if self.method == ForwardMethod::Masq {
                    replies.insert(&key, address, port);
                }
            }
            services.insert(Arc::new(self.service(service, key, candidates)));
        }
        snapshot.services = Arc::new(services);
        snapshot.replies = Arc::new(replies);
        snapshot.neighbours = Arc::new(neighbours);
        snapshot.routes = Arc::new(routes::<A>());
        snapshot.forwarding_changed();
        let vips = (0..self.services).map(|service| virtual_address::<A>(service).to_ip());
        snapshot.local = Arc::new(LocalAddresses::build(vips, []));
        snapshot.interfaces = Arc::new(Interfaces::build(&[CLIENTS, SERVERS].map(interface)));
        snapshot
    }

    fn server_port(&self) -> u16 {
        if self.method == ForwardMethod::Masq { SERVER_PORT } else { SERVICE_PORT }
    }

    pub fn key<A: Address>(&self, service: u32) -> ServiceKey {
        let address = virtual_address::<A>(service).to_ip();
        ServiceKey::Address { protocol: self.protocol, address, port: SERVICE_PORT }
    }

    fn service(&self, number: u32, key: ServiceKey, candidates: Vec<Candidate>) -> Service {
        let scheduler_flags = SchedulerFlags::default();
        let spec = ServiceSpec {
            key,
            scheduler: self.scheduler,
            scheduler_flags,
            one_packet: false,
            persistence: None,
            persistence_engine: None,
        };
        let scheduler = Scheduler::new(self.scheduler, scheduler_flags, candidates);
        Service::new(ServiceId(number), &spec, scheduler)
    }

    fn destination(&self, service: u32, address: IpAddr, next_hop: NextHopId) -> Destination {
        Destination {
            next_hop,
            weight: 1,
            method: self.method,
            available: true,
            encapsulation: Encapsulation::Ipip,
            mtu: 1500,
            port: self.server_port(),
            service: ServiceId(service),
            address,
            tunnel_source: match Family::of(address) {
                Family::Ipv4 => Ipv4Addr::new(10, 1, 0, 1).into(),
                Family::Ipv6 => Ipv6Addr::new(0xfd00, 0xb, 0, 0, 0, 0, 0, 1).into(),
            },
            ..Destination::default()
        }
    }
}

/// The interface on a port.
const fn on(port: PortId) -> InterfaceId {
    InterfaceId(port.0)
}

fn interface(port: PortId) -> Interface {
    Interface {
        id: on(port),
        name: format!("if{}", port.0),
        port,
        mac: MACS[port.index()],
        virtual_macs: Vec::new(),
        has_kernel: false,
        mtu: 1500,
        addresses: Vec::new(),
    }
}

fn next_hop(port: PortId, address: IpAddr) -> NextHop {
    let ether_type = EtherType::of(Family::of(address));
    let adjacency = Adjacency::new(PEER, MACS[port.index()], ether_type, port);
    NextHop { adjacency, resolved: true, interface: on(port), address }
}

/// Servers are on the link; all other hosts are behind the gateway.
fn routes<A: Address>() -> Routes {
    let servers = server_address::<A>(0).to_ip();
    let (length, whole): (u8, IpAddr) = match A::FAMILY {
        Family::Ipv4 => (16, Ipv4Addr::UNSPECIFIED.into()),
        Family::Ipv6 => (64, Ipv6Addr::UNSPECIFIED.into()),
    };
    Routes::build([
        ((servers, length), on(SERVERS), None, 0),
        ((whole, 0), on(CLIENTS), Some(gateway::<A>().to_ip()), 0),
    ])
}

/// An address of either family: its network, with the number in the low bits.
fn address<A: Address>(ipv4: u32, ipv6: u128, number: u32) -> A {
    let address: IpAddr = match A::FAMILY {
        Family::Ipv4 => Ipv4Addr::from_bits(ipv4 + number).into(),
        Family::Ipv6 => Ipv6Addr::from_bits((ipv6 << 64) + u128::from(number)).into(),
    };
    A::from_ip(address).expect("an address of this family")
}

pub fn virtual_address<A: Address>(service: u32) -> A {
    address(0x0a00_0064, 0xfd00_000a_0000_0000, service + 0x100)
}

pub fn server_address<A: Address>(number: u32) -> A {
    address(0x0a01_0100, 0xfd00_000b_0000_0000, number)
}

pub fn client_address<A: Address>(number: u32) -> A {
    address(0x4d00_0000, 0x2001_0db8_0000_0000, number)
}

fn gateway<A: Address>() -> A {
    address(0x0a00_00fe, 0xfd00_000a_0000_0000, 0)
}
