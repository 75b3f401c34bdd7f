//! The desired state: services, destinations and settings. Commands change it as they change IPVS. From it comes the next
//! [`Snapshot`], which workers read.
//!
//! [`Desired`] is the only owner of services and destinations. It keeps the next snapshot up to date with every command, so
//! that an edit costs what it touches: parts are shared with published snapshots until they change.

mod addresses;
mod checks;
mod destinations;
mod merge;
mod next_hops;
mod overlay;
mod path_mtus;
mod paths;
mod rows;
mod services;
mod settings;
mod slots;
mod split;
mod statistics;
mod sweeps;
mod trash;

use super::destination_totals::DestinationTotals;
use super::estimator::Estimator;
use crate::api::{Command, Refusal, RefusalCode, SyncRole};
use crate::model::{
    DestinationAddress, DestinationId, DestinationSpec, Interface, InterfaceId, Origin, Prefix,
    ServiceId, ServiceKey, ServiceSpec, TunnelKind,
};
use crate::snapshot::{Interfaces, LocalAddresses, Snapshot};
use crate::time::Instant;
use addresses::Addresses;
use next_hops::{Need, NextHops};
use overlay::Overlays;
use path_mtus::{CachedRoute, Learned};
use paths::networks_of;
use slots::Slots;
use statistics::Progress;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use sweeps::Sweeps;
use trash::Trash;

/// Maximum numbers of services and destinations.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    pub services: usize,
    /// Of all services, with removed destinations that are kept for their connections.
    pub destinations: usize,
}

/// What the director is connected to.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// In the order of their ids, with all their addresses.
    pub interfaces: Vec<Interface>,
    /// Addresses that the director answers for besides those of its interfaces and services.
    pub vips: BTreeSet<IpAddr>,
    /// Networks with such addresses only.
    pub vip_networks: Vec<Prefix>,
}

/// A service in the list.
#[derive(Debug)]
struct ListedService {
    spec: ServiceSpec,
    /// Number of the service. It grows with each added service, so it also orders them, and tells apart services that had
    /// the same key one after the other.
    incarnation: u64,
    /// Oldest first.
    destinations: Vec<DestinationId>,
}

#[derive(Debug, Default)]
struct ServiceSlot {
    listed: Option<ListedService>,
    /// Its destinations in the trash, which keep the slot.
    trashed: usize,
}

/// A destination, in the list of its service or in the trash.
#[derive(Debug)]
struct Row {
    /// As its owner wrote it last.
    spec: DestinationSpec,
    /// Who wrote the specification last.
    origin: Origin,
    overlays: Overlays,
    service: ServiceId,
    key: ServiceKey,
    /// Incarnation of the service to which it was last added.
    incarnation: u64,
    is_listed: bool,
    next_hop: Option<((InterfaceId, IpAddr), Need)>,
    cached_route: CachedRoute,
    /// The snapshot knows replies of this destination.
    answers: bool,
    /// See [`Destination::overload_edit`](crate::snapshot::Destination::overload_edit).
    overload_edit: u16,
    /// The snapshot has it as a listed NAT server.
    is_nat_server: bool,
    /// The snapshot has it as a SIP server that may begin calls.
    is_sip_caller: bool,
    /// The snapshot has it as the end of a tunnel with this encapsulation.
    tunnel_end: Option<TunnelKind>,
}

/// Services, destinations and settings, and the next snapshot.
#[derive(Debug)]
pub struct Desired {
    capacity: Capacity,
    interfaces: Vec<Interface>,
    destination_stats: DestinationTotals,
    next: Snapshot,
    generation: u64,
    /// The newest generation that every worker uses.
    acknowledged: u64,
    removals: u64,

    service_slots: Slots,
    services: Vec<ServiceSlot>,
    /// Listed services, and removed ones whose slot is still needed.
    by_key: HashMap<ServiceKey, ServiceId>,
    /// Listed services by incarnation, so oldest first.
    order: BTreeMap<u64, ServiceId>,
    incarnations: u64,

    destination_slots: Slots,
    destinations: Vec<Option<Row>>,
    /// Listed destinations and those in the trash.
    by_service_and_address: HashMap<(ServiceId, DestinationAddress), DestinationId>,
    by_address: BTreeSet<(IpAddr, DestinationId)>,
    by_next_hop: BTreeSet<((InterfaceId, IpAddr), DestinationId)>,
    trash: Trash,

    addresses: Addresses,
    vip_networks: Vec<Prefix>,
    static_neighbours: BTreeSet<IpAddr>,
    next_hops: NextHops,
    gateways: Vec<(InterfaceId, IpAddr)>,
    learned: HashMap<IpAddr, Learned>,
    sweeps: Sweeps,
    statistics: Estimator,
    /// Where an estimation under way goes on.
    estimating: Option<Progress>,
}

fn refusal(code: RefusalCode, detail: String) -> Refusal {
    Refusal::new(code, detail)
}

impl Desired {
    /// A director without services and routes. `destination_stats` are those of all workers and control's own.
    pub fn new(
        capacity: Capacity,
        topology: Topology,
        destination_stats: DestinationTotals,
    ) -> Self {
        let mut addresses = Addresses::default();
        let networks = networks_of(&topology.interfaces);
        for &(address, _) in &networks {
            addresses.add_interface(address);
        }
        let own = networks.iter().map(|(address, _)| *address);
        let mut next = Snapshot {
            local: Arc::new(LocalAddresses::build(own, networks.iter().copied())),
            interfaces: Arc::new(Interfaces::build(&topology.interfaces)),
            ..Snapshot::default()
        };
        next.forwarding_changed();
        let mut desired = Desired {
            capacity,
            interfaces: topology.interfaces,
            destination_stats,
            next,
            generation: 0,
            acknowledged: 0,
            removals: 0,
            service_slots: Slots::new(capacity.services),
            services: Vec::new(),
            by_key: HashMap::new(),
            order: BTreeMap::new(),
            incarnations: 0,
            destination_slots: Slots::new(capacity.destinations),
            destinations: Vec::new(),
            by_service_and_address: HashMap::new(),
            by_address: BTreeSet::new(),
            by_next_hop: BTreeSet::new(),
            trash: Trash::default(),
            addresses,
            vip_networks: Vec::new(),
            static_neighbours: BTreeSet::new(),
            next_hops: NextHops::new(),
            gateways: Vec::new(),
            learned: HashMap::new(),
            sweeps: Sweeps::default(),
            statistics: Estimator::default(),
            estimating: None,
        };
        desired.set_vips(topology.vips);
        desired.set_vip_networks(topology.vip_networks);
        desired
    }

    /// Carries out one command of `origin`.
    ///
    /// # Errors
    /// What IPVS refuses, with its code and in its order of checks; nothing has changed then.
    pub fn apply(
        &mut self,
        command: &Command,
        origin: Origin,
        now: Instant,
    ) -> Result<(), Refusal> {
        match command {
            Command::AddService(spec) => self.add_service(spec, now),
            Command::EditService(spec) => self.edit_service(spec),
            Command::DeleteService(key) => self.delete_service(key, now),
            Command::Flush => {
                self.flush(now);
                Ok(())
            }
            Command::AddDestination { service, destination } => {
                self.add_destination(service, destination, origin)
            }
            Command::EditDestination { service, destination } => {
                self.edit_destination(service, destination, origin)
            }
            Command::DeleteDestination { service, at } => self.delete_destination(service, at, now),
            Command::SetOverlay { target, overlay } => self.set_overlay(target, *overlay, origin),
            Command::ClearOverlay { target, kind } => self.clear_overlay(target, *kind),
            Command::Zero(key) => self.zero(key.as_ref()),
            Command::SetTimeouts(timeouts) => self.set_timeouts(timeouts),
            Command::StartSyncDaemon(_) => Err(refusal(
                RefusalCode::EOPNOTSUPP,
                "this release does not synchronise connections with other directors".to_owned(),
            )),
            Command::StopSyncDaemon(role) => {
                let role = match role {
                    SyncRole::Master => "master",
                    SyncRole::Backup => "backup",
                };
                let detail = format!("no {role} synchronisation daemon is running");
                Err(refusal(RefusalCode::ESRCH, detail))
            }
        }
    }

    /// The next snapshot; the publisher gives it its epoch. Sweeps that are not over are finished, however long it takes:
    /// see [`Self::is_swept`].
    pub fn snapshot(&mut self) -> Snapshot {
        self.sweep(|| true);
        self.next.clone()
    }

    /// Grows whenever the next snapshot differs from the one before.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Destinations that were removed so far. When it grows and `expire_nodest_conn` is set, the workers are to
    /// look for connections without a destination.
    pub fn removals(&self) -> u64 {
        self.removals
    }

    /// Virtual addresses for which ARP and neighbour discovery started (true) or stopped (false) answering since the last
    /// call.
    pub fn take_virtual_address_changes(&mut self) -> Vec<(IpAddr, bool)> {
        self.addresses.take_virtual_changes()
    }

    /// Configured addresses that are not a service's.
    pub fn set_vips(&mut self, vips: BTreeSet<IpAddr>) {
        let (added, removed) = self.addresses.configure(vips);
        added.into_iter().for_each(|address| self.address_added(address));
        removed.into_iter().for_each(|address| self.address_removed(address));
    }

    /// The interfaces as the next snapshot has them.
    pub fn interfaces(&self) -> &Arc<Interfaces> {
        &self.next.interfaces
    }

    /// Configured networks: the director has every address in them. They are not announced: hosts ask.
    pub fn set_vip_networks(&mut self, networks: Vec<Prefix>) {
        if self.vip_networks == networks {
            return;
        }
        let old = std::mem::replace(&mut self.vip_networks, networks);
        Arc::make_mut(&mut self.next.local).set_networks(&self.vip_networks);
        self.next.forwarding_changed();
        let mut concerned = old;
        concerned.extend_from_slice(&self.vip_networks);
        for network in &concerned {
            self.place_destinations_in(network);
        }
        let kept =
            self.vip_networks.iter().filter_map(|network| self.kept_server(network, network));
        kept.for_each(|warning| log::warn!("{warning}"));
        self.touch();
    }

    pub fn statistics(&self) -> &Estimator {
        &self.statistics
    }

    pub fn destination_stats(&self) -> &DestinationTotals {
        &self.destination_stats
    }

    pub fn services_len(&self) -> usize {
        self.order.len()
    }

    /// Listed destinations of all services.
    pub fn destinations_len(&self) -> usize {
        self.by_service_and_address.len() - self.trash.len()
    }

    /// Services added before the one with this number (`None`: all), newest first, each with its number.
    pub fn services_before(
        &self,
        number: Option<u64>,
    ) -> impl Iterator<Item = (u64, ServiceId, &ServiceSpec)> {
        let before = ..number.unwrap_or(u64::MAX);
        self.order.range(before).rev().filter_map(|(&incarnation, &id)| {
            Some((incarnation, id, &self.services[id.index()].listed.as_ref()?.spec))
        })
    }

    /// A listed service's slot.
    pub fn service(&self, key: &ServiceKey) -> Option<(ServiceId, &ServiceSpec)> {
        let id = self.find(key).ok()?;
        Some((id, &self.services[id.index()].listed.as_ref()?.spec))
    }

    /// A service's destinations, newest first.
    pub fn destinations(
        &self,
        service: ServiceId,
    ) -> impl Iterator<Item = (DestinationId, &DestinationSpec)> {
        let listed = self.services.get(service.index()).and_then(|slot| slot.listed.as_ref());
        let destinations = listed.into_iter().flat_map(|service| service.destinations.iter().rev());
        destinations.filter_map(|&id| Some((id, &self.row(id)?.spec)))
    }

    fn row(&self, id: DestinationId) -> Option<&Row> {
        self.destinations.get(id.index())?.as_ref()
    }

    fn touch(&mut self) {
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests;
