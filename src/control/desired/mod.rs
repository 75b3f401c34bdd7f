//! What the director is to do: services, destinations and settings, changed by commands as IPVS changes them, and the
//! next [`Snapshot`] that says so to the workers.
//!
//! [`Desired`] is the only owner of services and destinations. It keeps the pieces of the snapshot up to date with
//! every command, so that an edit costs what it touches: pieces are shared with published snapshots until they change.

mod addresses;
mod checks;
mod destinations;
mod next_hops;
mod paths;
mod services;
mod slots;
mod trash;

use super::defence::{self, Measures};
use super::estimator::Estimator;
use super::ledgers::Ledgers;
use crate::api::{Command, Refusal, RefusalCode, SyncRole};
use crate::model::{
    DestinationAddress, DestinationId, DestinationSpec, PortId, ServiceId, ServiceKey, ServiceSpec,
    Sysctls, Timeouts,
};
use crate::service::{Link, LocalAddresses, Marks, Snapshot};
use crate::time::Instant;
use addresses::Addresses;
use next_hops::NextHops;
use paths::Learned;
use slots::Slots;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use trash::Trash;

/// How many there may be at once.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    pub services: usize,
    /// Over all services, including removed ones that are kept for their connections.
    pub destinations: usize,
}

/// What the director is connected to.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// By [`PortId`].
    pub links: Vec<Link>,
    /// Addresses of the ports, with the prefix lengths of their networks.
    pub interfaces: Vec<(PortId, Vec<(IpAddr, u8)>)>,
    /// Addresses that the director answers for besides those of its ports and services.
    pub vips: BTreeSet<IpAddr>,
}

/// A service in the list.
#[derive(Debug)]
struct ListedService {
    spec: ServiceSpec,
    /// Tells apart services that had the same key one after the other; grows, so it is also their order.
    object: u64,
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
    spec: DestinationSpec,
    service: ServiceId,
    key: ServiceKey,
    /// That of the service it was last added to.
    object: u64,
    is_listed: bool,
    next_hop: Option<(PortId, IpAddr)>,
    /// It is among the replies.
    answers: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Desired {
    capacity: Capacity,
    interfaces: Vec<(PortId, Vec<(IpAddr, u8)>)>,
    ledgers: Ledgers,
    pieces: Snapshot,
    generation: u64,
    removals: u64,

    service_slots: Slots,
    services: Vec<ServiceSlot>,
    /// Listed services, and removed ones whose slot is still needed.
    by_key: HashMap<ServiceKey, ServiceId>,
    /// Listed services by object, so oldest first.
    order: BTreeMap<u64, ServiceId>,
    objects: u64,

    destination_slots: Slots,
    destinations: Vec<Option<Row>>,
    /// Listed destinations and those in the trash.
    places: HashMap<(ServiceId, DestinationAddress), DestinationId>,
    by_address: BTreeSet<(IpAddr, DestinationId)>,
    trash: Trash,

    addresses: Addresses,
    next_hops: NextHops,
    gateways: Vec<(PortId, IpAddr)>,
    learned: HashMap<IpAddr, Learned>,
    statistics: Estimator,
}

fn refusal(code: RefusalCode, detail: String) -> Refusal {
    Refusal::new(code, detail)
}

impl Desired {
    /// A director without services and routes. `ledgers` are those of all workers and control's own.
    pub fn new(capacity: Capacity, site: Site, ledgers: Ledgers) -> Self {
        let mut addresses = Addresses::default();
        let networks: Vec<_> =
            site.interfaces.iter().flat_map(|(_, addresses)| addresses.iter().copied()).collect();
        for &(address, _) in &networks {
            addresses.add_interface(address);
        }
        let own = networks.iter().map(|(address, _)| *address);
        let pieces = Snapshot {
            local: Arc::new(LocalAddresses::build(own, networks.iter().copied())),
            links: site.links.into(),
            ..Snapshot::default()
        };
        let mut desired = Desired {
            capacity,
            interfaces: site.interfaces,
            ledgers,
            pieces,
            generation: 0,
            removals: 0,
            service_slots: Slots::new(capacity.services),
            services: Vec::new(),
            by_key: HashMap::new(),
            order: BTreeMap::new(),
            objects: 0,
            destination_slots: Slots::new(capacity.destinations),
            destinations: Vec::new(),
            places: HashMap::new(),
            by_address: BTreeSet::new(),
            trash: Trash::default(),
            addresses,
            next_hops: NextHops::new(),
            gateways: Vec::new(),
            learned: HashMap::new(),
            statistics: Estimator::default(),
        };
        desired.set_vips(site.vips);
        desired
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// What IPVS refuses, with its code and in its order of checks; nothing has changed then.
    pub fn apply(&mut self, command: &Command, now: Instant) -> Result<(), Refusal> {
        match command {
            Command::AddService(spec) => self.add_service(spec, now),
            Command::EditService(spec) => self.edit_service(spec),
            Command::DeleteService(key) => self.delete_service(key, now),
            Command::Flush => {
                self.flush(now);
                Ok(())
            }
            Command::AddDestination { service, destination } => {
                self.add_destination(service, destination)
            }
            Command::EditDestination { service, destination } => {
                self.edit_destination(service, destination)
            }
            Command::DeleteDestination { service, at } => self.delete_destination(service, at, now),
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

    /// The next snapshot; the publisher gives it its epoch.
    pub fn snapshot(&self) -> Snapshot {
        self.pieces.clone()
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

    /// Addresses that ARP and neighbour discovery answer for besides those of the ports.
    pub fn virtual_addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses.virtual_addresses()
    }

    /// Configured addresses that are not a service's.
    pub fn set_vips(&mut self, vips: BTreeSet<IpAddr>) {
        let (added, removed) = self.addresses.configure(vips);
        added.into_iter().for_each(|address| self.address_added(address));
        removed.into_iter().for_each(|address| self.address_removed(address));
    }

    pub fn set_marks(&mut self, marks: Marks) {
        self.pieces.marks = Arc::new(marks);
        self.touch();
    }

    pub fn sysctls(&self) -> &Sysctls {
        &self.pieces.settings.sysctls
    }

    /// Settings take effect with the next snapshot; those of the defence with the next [`Self::defend`], which is
    /// therefore due at once.
    pub fn set_sysctls(&mut self, sysctls: Sysctls) {
        if self.pieces.settings.sysctls != sysctls {
            self.pieces.settings.sysctls = sysctls;
            self.touch();
        }
    }

    /// Judges the defence; every second and after a setting was written. `free`: entries that the connection tables
    /// of all workers together can still take.
    pub fn defend(&mut self, free: u64) {
        let settings = &mut self.pieces.settings;
        let mut sysctls = settings.sysctls;
        let old = Measures {
            secure_tcp: settings.secure_tcp,
            drop_packet_rate: settings.drop_packet_rate,
            drop_entry: settings.drop_entry,
        };
        let new = defence::defend(&mut sysctls, free);
        if (old, settings.sysctls) != (new, sysctls) {
            settings.sysctls = sysctls;
            settings.secure_tcp = new.secure_tcp;
            settings.drop_packet_rate = new.drop_packet_rate;
            settings.drop_entry = new.drop_entry;
            self.touch();
        }
    }

    pub fn timeouts(&self) -> Timeouts {
        self.pieces.settings.timeouts
    }

    fn set_timeouts(&mut self, new: &Timeouts) -> Result<(), Refusal> {
        checks::timeouts(new)?;
        let timeouts = &mut self.pieces.settings.timeouts;
        let kept = |new: u32, old: u32| if new == 0 { old } else { new };
        *timeouts = Timeouts {
            tcp: kept(new.tcp, timeouts.tcp),
            tcp_fin: kept(new.tcp_fin, timeouts.tcp_fin),
            udp: kept(new.udp, timeouts.udp),
        };
        self.touch();
        Ok(())
    }

    /// Takes the snapshot of the statistics, every two seconds; to be called more often. False: it was not time.
    /// With `run_estimation` at 0 they stay as they are.
    pub fn estimate(&mut self, now: Instant) -> bool {
        if !self.statistics.is_due(now) || self.pieces.settings.sysctls.run_estimation == 0 {
            return false;
        }
        for (slot, row) in self.destinations.iter().enumerate() {
            let Some(row) = row else { continue };
            let id = DestinationId(slot as u32);
            let listed = self.services[row.service.index()].listed.as_ref();
            let same = listed.is_some_and(|service| service.object == row.object);
            self.statistics.collect(id, same.then_some(row.service), self.ledgers.counters(id));
            if row.is_listed {
                self.statistics.estimate_destination(id);
            }
        }
        for &id in self.order.values() {
            self.statistics.estimate_service(id);
        }
        self.statistics.estimate_total();
        true
    }

    /// Garbage collection of the address maps of lblc and lblcr; every second.
    pub fn collect_locality(&self, now: Instant) {
        use crate::model::SchedulerKind::{Lblc, Lblcr};
        for service in self.pieces.services.iter() {
            let expiration = match service.scheduler.kind() {
                Lblc => self.sysctls().lblc_expiration,
                Lblcr => self.sysctls().lblcr_expiration,
                _ => continue,
            };
            service.scheduler.collect(now, u32::try_from(expiration).unwrap_or(0));
        }
    }

    pub fn statistics(&self) -> &Estimator {
        &self.statistics
    }

    pub fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    pub fn services_len(&self) -> usize {
        self.order.len()
    }

    /// Listed destinations of all services.
    pub fn destinations_len(&self) -> usize {
        self.places.len() - self.trash.len()
    }

    /// Services added before the one with this number (`None`: all), newest first, each with its number.
    pub fn services_before(
        &self,
        number: Option<u64>,
    ) -> impl Iterator<Item = (u64, ServiceId, &ServiceSpec)> {
        let before = ..number.unwrap_or(u64::MAX);
        self.order.range(before).rev().filter_map(|(&object, &id)| {
            Some((object, id, &self.services[id.index()].listed.as_ref()?.spec))
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
