//! A desired state that tests edit like an operator, and the snapshot built from it.
//!
//! Two ports: the WAN with a router and the clients behind it, the LAN with the servers `10.1.0.11` and up,
//! `fd00:b::11` and up. All neighbours are resolved, except the addresses in `unresolved`.

use director::model::{
    DestinationAddress, DestinationId, DestinationSpec, Family, ForwardMethod, Interface,
    InterfaceId, Persistence, PersistenceMask, PortId, Protocol, SchedulerFlags, SchedulerKind,
    ServiceId, ServiceKey, ServiceSpec, Tunnel,
};
use director::packet::Address;
use director::packet::ethernet::EtherType;
use director::packet::ndp::solicited_node;
use director::route::{Network, Routes};
use director::scheduler::{Candidate, Change, Scheduler};
use director::snapshot::{
    Adjacency, Destination, Directory, Groups, Interfaces, LocalAddresses, Mark, Marks, Neighbours,
    NextHop, NextHopId, Pages, Replies, Service, Settings, SipCaller, Snapshot, UNROUTED,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub const WAN: PortId = PortId(0);
pub const LAN: PortId = PortId(1);
/// The interface on a port.
pub const fn on(port: PortId) -> InterfaceId {
    InterfaceId(port.0)
}

pub const WAN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const LAN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The router that all clients are behind.
pub const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0xfe, 0xfe];
pub const VIP: &str = "10.0.0.100";
pub const VIP6: &str = "fd00:a::100";

/// Number of snapshots built: each may differ from the previous one in routes and neighbours.
static CHANGES: AtomicU32 = AtomicU32::new(1);

/// Number of servers with a neighbour entry.
const SERVERS: u8 = 8;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// MAC address of the server whose IP address ends in this octet.
pub fn server_mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0x10, last]
}

/// Services, destinations, routes and settings, as tests edit them.
pub struct TestSnapshot {
    pub settings: Settings,
    /// MTU of the two ports.
    pub mtu: [u16; 2],
    /// MAC addresses that both interfaces accept besides their own.
    pub virtual_macs: Vec<[u8; 6]>,
    /// Both interfaces have a kernel interface.
    pub has_kernel: bool,
    /// Routes besides the two connected networks and the default route.
    pub routes: Vec<(Network, PortId, Option<IpAddr>, u16)>,
    pub marks: Vec<Mark>,
    /// Addresses without a neighbour entry.
    pub unresolved: BTreeSet<IpAddr>,
    /// Destinations without a route, despite the default route.
    pub unrouted: BTreeSet<IpAddr>,
    /// Fills no fields that the fast path needs, so every packet takes the full path.
    pub is_full_path: bool,
    services: Vec<(ServiceSpec, Scheduler)>,
    destinations: Vec<Member>,
}

/// A destination and its service. Removed ones keep their ID, because connections refer to it.
struct Member {
    service: ServiceId,
    spec: DestinationSpec,
    available: bool,
}

impl TestSnapshot {
    pub fn new() -> Self {
        TestSnapshot {
            settings: Settings::default(),
            mtu: [1500, 1500],
            virtual_macs: Vec::new(),
            has_kernel: false,
            routes: Vec::new(),
            marks: Vec::new(),
            unresolved: BTreeSet::new(),
            unrouted: BTreeSet::new(),
            is_full_path: false,
            services: Vec::new(),
            destinations: Vec::new(),
        }
    }

    /// Adds a service: `at` is `10.0.0.100:80` or `[fd00:a::100]:80`.
    pub fn service(&mut self, protocol: Protocol, at: &str, kind: SchedulerKind) -> ServiceId {
        let at: SocketAddr = at.parse().unwrap();
        self.add(ServiceKey::Address { protocol, address: at.ip(), port: at.port() }, kind)
    }

    /// Adds a service for all packets with a mark.
    pub fn mark_service(&mut self, mark: u32, family: Family, kind: SchedulerKind) -> ServiceId {
        self.add(ServiceKey::Fwmark { mark, family }, kind)
    }

    fn add(&mut self, key: ServiceKey, kind: SchedulerKind) -> ServiceId {
        let spec = ServiceSpec {
            key,
            scheduler: kind,
            scheduler_flags: SchedulerFlags::empty(),
            one_packet: false,
            persistence: None,
            persistence_engine: None,
        };
        self.services.push((spec, Scheduler::new(kind, SchedulerFlags::empty(), [])));
        ServiceId(self.services.len() as u32 - 1)
    }

    pub fn edit_service(&mut self, service: ServiceId, edit: impl FnOnce(&mut ServiceSpec)) {
        let (spec, scheduler) = &mut self.services[service.index()];
        edit(spec);
        *scheduler = scheduler.with_kind(spec.scheduler, spec.scheduler_flags);
    }

    /// `-p`: persistence by the whole client address.
    pub fn persist(&mut self, service: ServiceId, timeout_s: u32) {
        self.edit_service(service, |spec| {
            let mask = PersistenceMask::full(spec.key.family());
            spec.persistence = Some(Persistence { timeout_s, mask });
        });
    }

    /// Adds a destination with weight 1, or a removed one again.
    pub fn destination(
        &mut self,
        service: ServiceId,
        at: &str,
        method: ForwardMethod,
    ) -> DestinationId {
        let at: SocketAddr = at.parse().unwrap();
        let spec = DestinationSpec {
            at: DestinationAddress { address: at.ip(), port: at.port() },
            method,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: Tunnel::Ipip,
        };
        let known = self
            .destinations
            .iter()
            .position(|member| member.service == service && member.spec.at == spec.at);
        let member = Member { service, spec, available: true };
        let slot = match known {
            Some(slot) => {
                self.destinations[slot] = member;
                slot
            }
            None => {
                self.destinations.push(member);
                self.destinations.len() - 1
            }
        };
        let id = DestinationId(slot as u32);
        let mut candidates = self.candidates(service);
        candidates.insert(0, candidate(id, &spec));
        self.reschedule(service, candidates, Change::Added(id));
        id
    }

    pub fn edit_destination(&mut self, id: DestinationId, edit: impl FnOnce(&mut DestinationSpec)) {
        let member = &mut self.destinations[id.index()];
        edit(&mut member.spec);
        let (service, spec) = (member.service, member.spec);
        let mut candidates = self.candidates(service);
        if let Some(place) = candidates.iter_mut().find(|other| other.id == id) {
            *place = candidate(id, &spec);
            self.reschedule(service, candidates, Change::Edited(id));
        }
    }

    pub fn method_of(&self, id: DestinationId) -> ForwardMethod {
        self.destinations[id.index()].spec.method
    }

    pub fn remove_destination(&mut self, id: DestinationId) {
        let member = &mut self.destinations[id.index()];
        member.available = false;
        let service = member.service;
        let mut candidates = self.candidates(service);
        candidates.retain(|other| other.id != id);
        self.reschedule(service, candidates, Change::Removed(id));
    }

    fn candidates(&self, service: ServiceId) -> Vec<Candidate> {
        self.services[service.index()].1.candidates().to_vec()
    }

    fn reschedule(&mut self, service: ServiceId, candidates: Vec<Candidate>, change: Change) {
        let scheduler = &mut self.services[service.index()].1;
        *scheduler = scheduler.changed(candidates, change);
    }

    /// Builds the snapshot for the workers.
    pub fn snapshot(&self) -> Snapshot {
        let routes = Routes::build(self.networks());
        let (next_hops, neighbours) = self.neighbourhood();
        let mut services = Directory::default();
        for (index, (spec, scheduler)) in self.services.iter().enumerate() {
            let id = ServiceId(index as u32);
            services.insert(Arc::new(Service::new(id, spec, scheduler.clone())));
        }
        let mut destinations = Pages::default();
        let mut replies = Replies::default();
        for (slot, member) in self.destinations.iter().enumerate() {
            destinations.set(slot, self.reach(member, &routes, (&next_hops, &neighbours)));
            if member.spec.method == ForwardMethod::Tunnel && member.available {
                replies.add_tunnel_end(member.spec.at.address, member.spec.tunnel.kind());
            }
            if member.spec.method == ForwardMethod::Masq {
                let (service, scheduler) = &self.services[member.service.index()];
                let key = &service.key;
                let destination = DestinationId(slot as u32);
                let is_listed = scheduler.candidates().iter().any(|one| one.id == destination);
                if service.persistence_engine.is_some() && is_listed {
                    let caller = SipCaller { service: *key, destination };
                    replies.add_sip_caller(caller, member.spec.at.address, member.spec.at.port);
                }
                replies.insert(key, member.spec.at.address, member.spec.at.port);
                replies.add_server(key, member.spec.at.address, member.spec.at.port);
            }
        }
        Snapshot {
            epoch: 0,
            services: services.into(),
            destinations,
            next_hops,
            neighbours: neighbours.into(),
            replies: replies.into(),
            routes: routes.into(),
            forwarding: match self.is_full_path {
                true => 0,
                false => CHANGES.fetch_add(1, Ordering::Relaxed),
            },
            local: self.local().into(),
            marks: Marks::build(self.marks.clone()).into(),
            interfaces: Interfaces::build(&self.interfaces()).into(),
            groups: self.groups().into(),
            settings: self.settings,
        }
    }

    fn interfaces(&self) -> [Interface; 2] {
        [(WAN, "wan0", WAN_MAC), (LAN, "lan0", LAN_MAC)].map(|(port, name, mac)| Interface {
            id: on(port),
            name: name.to_owned(),
            port,
            mac,
            virtual_macs: self.virtual_macs.clone(),
            has_kernel: self.has_kernel,
            mtu: self.mtu[port.index()],
            addresses: Vec::new(),
        })
    }

    fn networks(&self) -> Vec<(Network, InterfaceId, Option<IpAddr>, u16)> {
        let fixed = [
            ((ip("0.0.0.0"), 0), WAN, Some(ip("10.0.0.254")), 0),
            ((ip("10.0.0.0"), 24), WAN, None, 0),
            ((ip("10.1.0.0"), 16), LAN, None, 0),
            ((ip("::"), 0), WAN, Some(ip("fd00:a::fe")), 0),
            ((ip("fd00:a::"), 64), WAN, None, 0),
            ((ip("fd00:b::"), 64), LAN, None, 0),
        ];
        let all = fixed.into_iter().chain(self.routes.iter().copied());
        all.map(|(network, port, via, mtu)| (network, on(port), via, mtu)).collect()
    }

    fn local(&self) -> LocalAddresses {
        let vips = self.services.iter().filter_map(|(spec, _)| match spec.key {
            ServiceKey::Address { address, .. } => Some(address),
            ServiceKey::Fwmark { .. } => None,
        });
        let own = ["10.0.0.1", "10.1.0.1", "fd00:a::1", "fd00:b::1"].map(ip);
        let networks = [(ip("10.0.0.1"), 24), (ip("10.1.0.1"), 16)];
        LocalAddresses::build(own.into_iter().chain(vips), networks)
    }

    /// The solicited-node groups of the WAN's addresses, as the host part joins them.
    fn groups(&self) -> Groups {
        let mut groups = Groups::default();
        for address in ["fd00:a::1", VIP6] {
            let group = solicited_node(u128::from_ip(ip(address)).unwrap());
            groups.set(on(WAN), group.to_ip(), true);
        }
        groups
    }

    fn neighbourhood(&self) -> (Pages<NextHop>, Neighbours) {
        let routers = ["10.0.0.254", "fd00:a::fe"].map(|address| (WAN, ip(address), ROUTER_MAC));
        let servers = (11..11 + SERVERS).flat_map(|last| {
            let ipv6 = format!("fd00:b::{last}");
            [format!("10.1.0.{last}"), ipv6].map(|text| (LAN, ip(&text), server_mac(last)))
        });
        let (mut next_hops, mut neighbours) = (Pages::default(), Neighbours::default());
        for (index, (port, address, mac)) in routers.into_iter().chain(servers).enumerate() {
            let resolved = !self.unresolved.contains(&address);
            let own = if port == WAN { WAN_MAC } else { LAN_MAC };
            let mut hop = NextHop::unresolved(on(port), address);
            if resolved {
                let ether_type = EtherType::of(Family::of(address));
                hop.adjacency = Adjacency::new(mac, own, ether_type, port);
                hop.resolved = true;
            }
            next_hops.set(index, hop);
            if resolved {
                neighbours.insert(on(port), address, NextHopId(index as u32));
            }
        }
        // A destination's next hop has a slot before it is resolved; a next hop of other routes has none.
        let unresolved = self.unresolved.iter().enumerate();
        for (index, &address) in unresolved {
            let slot = 2 + 2 * usize::from(SERVERS) + index;
            next_hops.set(slot, NextHop::unresolved(on(LAN), address));
        }
        (next_hops, neighbours)
    }

    fn reach(
        &self,
        member: &Member,
        routes: &Routes,
        (next_hops, neighbours): (&Pages<NextHop>, &Neighbours),
    ) -> Destination {
        let spec = member.spec;
        let mut destination = Destination {
            weight: spec.weight,
            upper_threshold: spec.upper_threshold,
            lower_threshold: spec.lower_threshold,
            method: spec.method,
            available: member.available,
            is_local: spec.at.address.is_loopback()
                || [ip("10.0.0.1"), ip("10.1.0.1")].contains(&spec.at.address),
            encapsulation: spec.tunnel.into(),
            port: spec.at.port,
            service: member.service,
            address: spec.at.address,
            tunnel_source: match Family::of(spec.at.address) {
                Family::Ipv4 => ip("10.1.0.1"),
                Family::Ipv6 => ip("fd00:b::1"),
            },
            next_hop: UNROUTED,
            ..Destination::default()
        };
        let is_routed = !self.unrouted.contains(&spec.at.address);
        if is_routed && let Some((interface, address, mtu)) = routes.lookup(spec.at.address) {
            destination.mtu = if mtu == 0 { self.mtu[interface.index()] } else { mtu };
            let slot_of_unresolved = || {
                let index = self.unresolved.iter().position(|&other| other == address)?;
                Some(NextHopId((2 + 2 * usize::from(SERVERS) + index) as u32))
            };
            let next_hop = neighbours.get(interface, address).or_else(slot_of_unresolved);
            destination.next_hop = next_hop.unwrap_or(UNROUTED);
        }
        let next_hop = next_hops.get(destination.next_hop.0 as usize);
        if self.is_full_path { destination } else { destination.prepared(next_hop) }
    }
}

fn candidate(id: DestinationId, spec: &DestinationSpec) -> Candidate {
    Candidate { id, address: spec.at.address, port: spec.at.port, weight: spec.weight }
}
