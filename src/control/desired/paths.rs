//! Next hop, MTU and tunnel source of each destination, updated with routes, neighbours, learned path MTUs and the
//! director's own addresses.

use super::Desired;
use super::addresses::Holder;
use super::next_hops::Need;
use super::sweeps::Sweep;
use crate::model::{
    DestinationId, Effective, Family, Interface, InterfaceAddress, InterfaceId, LinkAddress,
    Prefix, is_reserved,
};
use crate::route::Routes;
use crate::snapshot::{Destination, Interfaces, LocalAddresses, UNROUTED};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Next hop, MTU and source towards an address.
pub(super) struct Path {
    next_hop: Option<(InterfaceId, IpAddr)>,
    /// The smaller one of the route's and a learned MTU.
    pub(super) mtu: u16,
    pub(super) mtu_of_route: u16,
    source: IpAddr,
}

impl Desired {
    /// Replaces the routes and begins to look up every destination again.
    pub fn set_routes(&mut self, routes: Arc<Routes>) {
        for gateway in std::mem::take(&mut self.gateways) {
            self.next_hops.give_back(gateway, Need::Resolved);
        }
        for gateway in routes.gateways() {
            if self.next_hops.take(&mut self.next, gateway, Need::Resolved).is_some() {
                self.gateways.push(gateway);
            }
        }
        self.next.routes = routes;
        self.next.forwarding_changed();
        self.begin(Sweep::All(DestinationId(0)));
        self.contest_all_again();
        self.touch();
    }

    /// Replaces the interfaces with their addresses. Routes to their networks are set by [`Self::set_routes`].
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        let old = std::mem::replace(&mut self.interfaces, interfaces);
        self.next.interfaces = Arc::new(Interfaces::build(&self.interfaces));
        let networks = networks_of(&self.interfaces);
        for &(address, _) in &networks {
            self.addresses.add_interface(address);
        }
        for (address, _) in networks_of(&old) {
            self.addresses.remove_interface(address);
        }
        let mut local = LocalAddresses::build(self.addresses.all(), networks);
        local.set_networks(&self.vip_networks);
        self.next.local = Arc::new(local);
        self.contest_all_again();
        self.touch();
    }

    /// Sets a neighbour's MAC address; `None`: no usable one.
    pub fn neighbour_changed(
        &mut self,
        interface: InterfaceId,
        address: IpAddr,
        mac: Option<[u8; 6]>,
    ) {
        let at = (interface, address);
        if !self.next_hops.neighbour_changed(&mut self.next, at, mac) {
            return;
        }
        match mac {
            Some(_) => log::debug!("next hop {address} has a MAC address"),
            None => log::warn!("next hop {address} is unreachable: it has no MAC address any more"),
        }
        self.begin(Sweep::next_hop(at));
    }

    /// An interface has joined a multicast group, or (false) left it.
    pub fn membership_changed(&mut self, interface: InterfaceId, group: IpAddr, is_member: bool) {
        Arc::make_mut(&mut self.next.groups).set(interface, group, is_member);
        self.touch();
    }

    /// Next hops of destinations and gateways that the host must keep resolved (true), or no longer, since the last
    /// call.
    pub fn take_wanted_changes(&mut self) -> Vec<((InterfaceId, IpAddr), bool)> {
        self.next_hops.take_wanted_changes()
    }

    /// True if the address is the director's own; inactive VIPs are not.
    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        let is_present = match address {
            IpAddr::V4(address) => self.next.local.contains(address.to_bits()),
            IpAddr::V6(address) => self.next.local.contains(address.to_bits()),
        };
        address.is_loopback() || (is_present && !self.addresses.is_contested(address))
    }

    pub(super) fn is_group(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.next.local.is_group(address.to_bits()),
            IpAddr::V6(address) => self.next.local.is_group(address.to_bits()),
        }
    }

    pub(super) fn address_added(&mut self, address: IpAddr) {
        Arc::make_mut(&mut self.next.local).insert(address);
        // Nothing is routed to it any more.
        self.next.forwarding_changed();
        let has_server = self.has_server(address);
        self.contest(address, has_server);
        self.place_destinations_at(address);
        self.reconsider_gateways(address);
        self.touch();
    }

    pub(super) fn address_removed(&mut self, address: IpAddr) {
        Arc::make_mut(&mut self.next.local).remove(address);
        self.addresses.contest(address, None);
        self.place_destinations_at(address);
        self.reconsider_gateways(address);
        self.touch();
    }

    /// True if a listed destination has this address.
    fn has_server(&self, address: IpAddr) -> bool {
        self.destinations_at(address).any(|id| self.row(id).is_some_and(|row| row.is_listed))
    }

    /// Decides if a VIP is active. `has_server`: a real server had the address before the director.
    fn contest(&mut self, address: IpAddr, has_server: bool) {
        let is_own = self.is_interface_address(address);
        let holder = if is_own || !self.addresses.is_virtual(address) {
            None
        } else if self.gateways.iter().any(|(_, gateway)| *gateway == address) {
            Some(Holder::Router)
        } else if let Some((_, holder)) = self.link_addresses().find(|(at, _)| *at == address) {
            Some(holder)
        } else if self.static_neighbours.contains(&address) {
            Some(Holder::Neighbour)
        } else if is_reserved(address) {
            Some(Holder::Reserved)
        } else {
            has_server.then_some(Holder::RealServer)
        };
        if !self.addresses.contest(address, holder) {
            return;
        }
        match holder {
            Some(holder) => log::warn!("{}", contested(address, holder)),
            None => log::info!("VIP {address} is active: no other host is known to have it"),
        }
    }

    /// Decides again for a VIP whose address another host may have got or lost.
    pub(super) fn contest_again(&mut self, address: IpAddr) {
        let was_contested = self.addresses.is_contested(address);
        let has_server = was_contested && self.has_server(address);
        self.contest(address, has_server);
        if self.addresses.is_contested(address) != was_contested {
            self.place_destinations_at(address);
            self.reconsider_gateways(address);
            self.touch();
        }
    }

    /// Decides again for all VIPs, after a change of routes or interfaces.
    fn contest_all_again(&mut self) {
        let mut concerned: BTreeSet<IpAddr> = self.link_addresses().map(|(at, _)| at).collect();
        concerned.extend(&self.static_neighbours);
        concerned.extend(self.gateways.iter().map(|(_, gateway)| *gateway));
        concerned.extend(self.addresses.contested().map(|(address, _)| address));
        for address in concerned {
            self.contest_again(address);
        }
    }

    /// Network, broadcast and subnet-router anycast addresses of the links.
    fn link_addresses(&self) -> impl Iterator<Item = (IpAddr, Holder)> {
        let own = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        let own = own.filter_map(|(address, length)| InterfaceAddress::new(*address, *length));
        own.flat_map(|own| own.link_addresses()).map(|(address, kind)| {
            let holder = match kind {
                LinkAddress::Network | LinkAddress::Broadcast => Holder::Link,
                LinkAddress::Anycast => Holder::Anycast,
            };
            (address, holder)
        })
    }

    /// Addresses of static neighbours: VIPs that are among them are not active.
    pub fn set_static_neighbours(&mut self, addresses: BTreeSet<IpAddr>) {
        let old = std::mem::replace(&mut self.static_neighbours, addresses);
        let changed: Vec<_> = old.symmetric_difference(&self.static_neighbours).copied().collect();
        changed.into_iter().for_each(|address| self.contest_again(address));
    }

    /// A sentence about each inactive VIP, and about a real server in each network of VIPs that has one.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let inactive =
            self.addresses.contested().map(|(address, holder)| contested(address, holder));
        inactive.chain(
            self.vip_networks.iter().filter_map(|network| self.kept_server(network, network)),
        )
    }

    /// A sentence about a real server of `part` of a network of VIPs: its packets stay here. An address of a port is meant
    /// to be the director.
    pub(super) fn kept_server(&self, part: &Prefix, network: &Prefix) -> Option<String> {
        let within = (part.address(), DestinationId(0))..=(part.last(), DestinationId(u32::MAX));
        let mut listed = self
            .by_address
            .range(within)
            .filter(|(_, id)| self.row(*id).is_some_and(|row| row.is_listed));
        let (server, _) = listed.find(|(address, _)| !self.is_interface_address(*address))?;
        Some(format!(
            "real server {server} is in the network {network} of director.vips, so the director keeps its packets"
        ))
    }

    fn is_interface_address(&self, address: IpAddr) -> bool {
        let mut own = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        own.any(|(own, _)| *own == address)
    }

    /// The director's own addresses are never solicited, so gateways with this address must be updated.
    fn reconsider_gateways(&mut self, address: IpAddr) {
        for &gateway in self.gateways.iter().filter(|(_, at)| *at == address) {
            self.next_hops.reconsider(gateway);
        }
    }

    pub(super) fn destinations_at(&self, address: IpAddr) -> impl Iterator<Item = DestinationId> {
        listed_under(&self.by_address, address)
    }

    pub(super) fn place_destinations_at(&mut self, address: IpAddr) {
        if self.destinations_at(address).next().is_some() {
            self.begin(Sweep::addresses(address, address));
        }
    }

    /// Updates destinations after addresses of the network became the director's, or no longer are.
    pub(super) fn place_destinations_in(&mut self, network: &Prefix) {
        self.begin(Sweep::addresses(network.address(), network.last()));
        let gateways = self.gateways.iter().filter(|(_, at)| network.contains(*at));
        gateways.for_each(|gateway| self.next_hops.reconsider(*gateway));
    }

    /// Writes the destination's row from its specification and its next hop.
    pub(super) fn place_destination(&mut self, id: DestinationId) {
        let Some(row) = self.row(id) else { return };
        let (spec, service, old) = (row.spec, row.service, row.next_hop);
        let need = if row.is_listed { Need::Resolved } else { Need::Slot };
        let overload_edit = row.overload_edit;
        let Effective { weight, available } = self.effective(id);
        let address = spec.at.address;
        let is_local = self.is_local(address);
        // Also for a removed destination: as in the kernel, ICMP errors about its connections are still sent to it.
        let path = if is_local { None } else { self.path_to(address) };
        let (at, mtu, tunnel_source) = match path {
            Some(path) => (path.next_hop, path.mtu, path.source),
            None => (None, if is_local { u16::MAX } else { 0 }, unspecified(Family::of(address))),
        };
        // Take the new one first: an unchanged next hop must keep its slot.
        let next_hop = at.and_then(|at| self.next_hops.take(&mut self.next, at, need));
        if let Some((old, need)) = old {
            self.next_hops.give_back(old, need);
            self.by_next_hop.remove(&(old, id));
        }
        if let Some(row) = &mut self.destinations[id.index()] {
            row.next_hop = next_hop.and(at).map(|at| (at, need));
            self.by_next_hop.extend(row.next_hop.map(|(at, _)| (at, id)));
        }
        let new = Destination {
            next_hop: next_hop.unwrap_or(UNROUTED),
            weight,
            upper_threshold: spec.upper_threshold,
            lower_threshold: spec.lower_threshold,
            overload_edit,
            method: spec.method,
            available,
            is_local,
            encapsulation: spec.tunnel.into(),
            mtu,
            port: spec.at.port,
            service,
            address,
            tunnel_source,
            ..Destination::default()
        };
        self.next.set_destination(id, new);
        self.register_answers(id);
        self.touch();
    }

    /// Next hop, MTU and source towards an address of another host; `None` without a route, or if its interface does
    /// not exist.
    pub(super) fn path_to(&self, address: IpAddr) -> Option<Path> {
        let (interface, next_hop, route_mtu) = self.next.routes.lookup(address)?;
        let link_mtu = self.next.interfaces.get(interface)?.mtu;
        let mtu = if route_mtu == 0 { link_mtu } else { route_mtu.min(link_mtu) };
        let learned = self.learned.get(&address).map_or(u16::MAX, |learned| learned.mtu);
        let source = self.source_towards(interface, next_hop);
        let next_hop = Some((interface, next_hop));
        Some(Path { next_hop, mtu: mtu.min(learned), mtu_of_route: mtu, source })
    }

    /// The director's source address towards a next hop: the interface's address in the next hop's network, else
    /// another one of the interface, else one of another interface.
    fn source_towards(&self, interface: InterfaceId, next_hop: IpAddr) -> IpAddr {
        let family = Family::of(next_hop);
        let link_local = |address: IpAddr| match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let candidates = self.interfaces.iter().flat_map(|own| {
            own.addresses.iter().map(move |(address, length)| (own.id, *address, *length))
        });
        let worth = |&(at, address, length): &(InterfaceId, IpAddr, u8)| {
            let beside = Prefix::new(address, length).is_some_and(|net| net.contains(next_hop));
            (!link_local(address), at == interface, beside)
        };
        // The first of equal ones.
        candidates
            .filter(|(_, address, _)| Family::of(*address) == family)
            .rev()
            .max_by_key(worth)
            .map_or(unspecified(family), |(_, address, _)| address)
    }
}

/// All addresses of the interfaces, with prefix lengths.
pub(super) fn networks_of(interfaces: &[Interface]) -> Vec<(IpAddr, u8)> {
    interfaces.iter().flat_map(|interface| interface.addresses.iter().copied()).collect()
}

fn contested(address: IpAddr, holder: Holder) -> String {
    format!(
        "VIP {address} is {holder}: packets to it are served, but ARP and neighbour discovery do not answer for it"
    )
}

/// The destinations under one key of an index.
fn listed_under<K: Ord + Copy>(
    index: &BTreeSet<(K, DestinationId)>,
    key: K,
) -> impl Iterator<Item = DestinationId> {
    let all = (key, DestinationId(0))..=(key, DestinationId(u32::MAX));
    index.range(all).map(|(_, id)| *id)
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}
