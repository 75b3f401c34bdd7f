//! The desired state under commands: a small director with two interfaces.

mod commands;
mod effects;
mod oracle;
mod paths;
mod reload;
mod statistics;
mod sweeps;
mod thresholds;
mod trash;

use super::*;
use crate::model::{
    Family, ForwardMethod, Origin, Persistence, PersistenceMask, PortId, Protocol, SchedulerFlags,
    SchedulerKind, Tunnel,
};
use crate::route::Routes;
use crate::worker::stats::destination_stats::{DestinationStats, DestinationStatsTable};

pub(super) const CAPACITY: Capacity = Capacity { services: 4, destinations: 8 };

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn interface(id: u16, mtu: u16, addresses: &[(&str, u8)]) -> Interface {
    Interface {
        id: InterfaceId(id),
        name: format!("if{id}"),
        port: PortId(id),
        mac: [2, 0, 0, 0, 0, id as u8],
        virtual_macs: Vec::new(),
        has_kernel: false,
        mtu,
        addresses: addresses.iter().map(|(address, length)| (ip(address), *length)).collect(),
    }
}

/// Interface 0 is 10.0.0.1/24 and fd00:a::1/64, interface 1 is 10.1.0.1/24; 10.9.0.0/16 is behind 10.1.0.254.
pub(super) struct Fixture {
    pub(super) desired: Desired,
    pub(super) workers: Vec<Arc<DestinationStatsTable>>,
    /// As reported by the changes.
    wanted: BTreeSet<(InterfaceId, IpAddr)>,
    vips: BTreeSet<IpAddr>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    pub(super) fn with_capacity(capacity: Capacity) -> Self {
        let table = || Arc::new(DestinationStatsTable::new(capacity.destinations));
        let workers: Vec<_> = (0..2).map(|_| table()).collect();
        let topology = Topology {
            interfaces: vec![
                interface(0, 1500, &[("fe80::1", 64), ("10.0.0.1", 24), ("fd00:a::1", 64)]),
                interface(1, 9000, &[("10.1.9.1", 32), ("10.1.0.1", 24)]),
            ],
            vips: BTreeSet::new(),
            vip_networks: Vec::new(),
        };
        let mut desired = Desired::new(capacity, topology, DestinationTotals::new(workers.clone()));
        desired.set_routes(Arc::new(Routes::build([
            ((ip("10.0.0.0"), 24), InterfaceId(0), None, 0),
            ((ip("fd00:a::"), 64), InterfaceId(0), None, 0),
            ((ip("10.1.0.0"), 24), InterfaceId(1), None, 0),
            ((ip("10.9.0.0"), 16), InterfaceId(1), Some(ip("10.1.0.254")), 1400),
        ])));
        Fixture { desired, workers, wanted: BTreeSet::new(), vips: BTreeSet::new() }
    }

    /// With service 10.0.0.100:80 (wlc).
    pub(super) fn with_service() -> Self {
        let mut fixture = Fixture::new();
        fixture.ok(Command::AddService(service(80)));
        fixture
    }

    pub(super) fn at(&mut self, second: u64, command: Command) -> Result<(), RefusalCode> {
        let outcome = self.desired.apply(&command, Origin::Operator, Instant::from_secs(second));
        self.desired.sweep(|| true);
        outcome.map_err(|refusal| {
            assert!(!refusal.detail.is_empty(), "{command:?}");
            refusal.code
        })
    }

    pub(super) fn apply(&mut self, command: Command) -> Result<(), RefusalCode> {
        self.at(0, command)
    }

    pub(super) fn ok(&mut self, command: Command) {
        assert_eq!(self.apply(command.clone()), Ok(()), "{command:?}");
    }

    /// Next hops that the host must keep resolved.
    pub(super) fn wanted(&mut self) -> &BTreeSet<(InterfaceId, IpAddr)> {
        for (at, is_wanted) in self.desired.take_wanted_changes() {
            match is_wanted {
                true => self.wanted.insert(at),
                false => self.wanted.remove(&at),
            };
        }
        &self.wanted
    }

    /// Addresses that the host answers for.
    pub(super) fn vips(&mut self) -> &BTreeSet<IpAddr> {
        for (address, is_virtual) in self.desired.take_virtual_address_changes() {
            match is_virtual {
                true => self.vips.insert(address),
                false => self.vips.remove(&address),
            };
        }
        &self.vips
    }

    pub(super) fn stats(&self, worker: usize, id: DestinationId) -> &DestinationStats {
        self.workers[worker].get(id).unwrap()
    }

    /// Slots of a service's destinations, newest first.
    pub(super) fn slots(&self, key: &ServiceKey) -> Vec<DestinationId> {
        let (id, _) = self.desired.service(key).unwrap();
        self.desired.destinations(id).map(|(id, _)| id).collect()
    }

    /// The row that workers see of the newest destination.
    pub(super) fn newest(&self, key: &ServiceKey) -> crate::snapshot::Destination {
        self.row(self.slots(key)[0])
    }

    pub(super) fn row(&self, id: DestinationId) -> crate::snapshot::Destination {
        *self.desired.next.destinations.get(id.index()).unwrap()
    }

    /// Runs the trash every second from one time to another.
    pub(super) fn pass(&mut self, seconds: std::ops::RangeInclusive<u64>) {
        seconds.for_each(|second| self.desired.empty_trash(Instant::from_secs(second)));
    }
}

pub(super) fn key(port: u16) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: ip("10.0.0.100"), port }
}

pub(super) fn spec(key: ServiceKey) -> ServiceSpec {
    ServiceSpec {
        key,
        scheduler: SchedulerKind::Wlc,
        scheduler_flags: SchedulerFlags::empty(),
        one_packet: false,
        persistence: None,
        persistence_engine: None,
    }
}

pub(super) fn service(port: u16) -> ServiceSpec {
    spec(key(port))
}

pub(super) fn server(address: &str) -> DestinationSpec {
    DestinationSpec {
        at: DestinationAddress { address: ip(address), port: 80 },
        method: ForwardMethod::Masq,
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
        tunnel: Tunnel::Ipip,
    }
}

pub(super) fn add(service: ServiceKey, destination: DestinationSpec) -> Command {
    Command::AddDestination { service, destination }
}

pub(super) fn edit(service: ServiceKey, destination: DestinationSpec) -> Command {
    Command::EditDestination { service, destination }
}

pub(super) fn delete(service: ServiceKey, destination: &DestinationSpec) -> Command {
    Command::DeleteDestination { service, at: destination.at }
}
