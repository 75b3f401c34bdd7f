//! Random commands, compared with a slow, simple model: lists of services and destinations, newest first, and rules for
//! slots.

use super::*;
use crate::model::{Overlay, OverlayTarget};
use crate::snapshot::RequestAddress;
use proptest::prelude::*;

/// A destination that was added and is not forgotten.
#[derive(Clone, Debug)]
struct Server {
    spec: DestinationSpec,
    slot: Option<DestinationId>,
    was_masq: bool,
    overlays: Vec<Overlay>,
}

impl Server {
    /// The effective weight; `None`: used like a removed one.
    fn effective(&self) -> Option<u32> {
        let mut weight = u64::from(self.spec.weight);
        for overlay in &self.overlays {
            let percent = match *overlay {
                Overlay::Down => return None,
                Overlay::Drain => 0,
                Overlay::Factor { percent } => percent.into(),
                Overlay::WarmUp { percent } => percent.into(),
            };
            let share = weight * percent / 100;
            let least = u64::from(weight > 0 && percent > 0);
            weight = share.max(least).min(i32::MAX as u64);
        }
        Some(weight as u32)
    }
}

#[derive(Debug)]
struct Removed {
    server: Server,
    service: ServiceKey,
    at: u64,
    /// When its last connection ended, if that was later.
    idle_since: u64,
}

#[derive(Debug, Default)]
struct Model {
    services: Vec<(ServiceSpec, Vec<Server>)>,
    removed: Vec<Removed>,
    /// Resolved neighbours.
    neighbours: BTreeMap<(InterfaceId, IpAddr), [u8; 6]>,
    /// Indexed by slot.
    connections: Vec<u32>,
}

impl Model {
    fn apply(&mut self, command: &Command, now: u64) -> Result<(), RefusalCode> {
        match command {
            Command::AddService(spec) => {
                if self.place(&spec.key).is_ok() {
                    return Err(RefusalCode::EEXIST);
                }
                let mut keys: BTreeSet<_> = self.used().map(|gone| gone.service).collect();
                keys.extend(self.services.iter().map(|(spec, _)| spec.key));
                if keys.len() >= CAPACITY.services && !keys.contains(&spec.key) {
                    return Err(RefusalCode::ENOMEM);
                }
                self.services.insert(0, (spec.clone(), Vec::new()));
            }
            Command::EditService(spec) => {
                let place = self.place(&spec.key)?;
                self.services[place].0 = spec.clone();
            }
            Command::DeleteService(key) => {
                let (spec, servers) = {
                    let place = self.place(key)?;
                    self.services.remove(place)
                };
                servers.into_iter().for_each(|server| self.remove(spec.key, server, now));
            }
            Command::Flush => {
                for (spec, servers) in std::mem::take(&mut self.services) {
                    servers.into_iter().for_each(|server| self.remove(spec.key, server, now));
                }
            }
            Command::AddDestination { service, destination } => {
                return self.add(service, destination);
            }
            Command::EditDestination { service, destination } => {
                let place = self.place(service)?;
                check(service, destination)?;
                let server =
                    self.services[place].1.iter_mut().find(|one| one.spec.at == destination.at);
                let server = server.ok_or(RefusalCode::ENOENT)?;
                server.spec = *destination;
                server.was_masq |= destination.method == ForwardMethod::Masq;
            }
            Command::DeleteDestination { service, at } => {
                let place = self.place(service)?;
                let servers = &mut self.services[place].1;
                let index = servers.iter().position(|one| one.spec.at == *at);
                let server = servers.remove(index.ok_or(RefusalCode::ENOENT)?);
                self.remove(*service, server, now);
            }
            Command::SetOverlay { target, overlay } => {
                return self.cover(target, |overlays| {
                    overlays.retain(|other| other.kind() != overlay.kind());
                    overlays.push(*overlay);
                    overlays.sort_by_key(Overlay::kind);
                });
            }
            Command::ClearOverlay { target, kind } => {
                return self.cover(target, |overlays| {
                    overlays.retain(|other| other.kind() != *kind);
                });
            }
            other => panic!("{other:?} is not generated"),
        }
        Ok(())
    }

    fn cover(
        &mut self,
        target: &OverlayTarget,
        change: impl Fn(&mut Vec<Overlay>),
    ) -> Result<(), RefusalCode> {
        if let Some(key) = &target.service {
            self.place(key)?;
        }
        let mut outcome = Err(RefusalCode::ENOENT);
        for (spec, servers) in &mut self.services {
            let is_service = target.service.is_none_or(|key| key == spec.key);
            for server in servers.iter_mut().filter(|_| is_service) {
                let DestinationAddress { address, port } = server.spec.at;
                if address == target.address && target.port.is_none_or(|one| one == port) {
                    change(&mut server.overlays);
                    outcome = Ok(());
                }
            }
        }
        outcome
    }

    fn add(&mut self, service: &ServiceKey, spec: &DestinationSpec) -> Result<(), RefusalCode> {
        let place = self.place(service)?;
        check(service, spec)?;
        if self.services[place].1.iter().any(|one| one.spec.at == spec.at) {
            return Err(RefusalCode::EEXIST);
        }
        let is_same = |gone: &Removed| gone.service == *service && gone.server.spec.at == spec.at;
        let mut server = match self.removed.iter().position(is_same) {
            Some(index) => self.removed.remove(index).server,
            None => {
                if spec.at.address.is_multicast() {
                    return Err(RefusalCode::EINVAL);
                }
                let listed: usize = self.services.iter().map(|(_, servers)| servers.len()).sum();
                if listed + self.used().count() >= CAPACITY.destinations {
                    return Err(RefusalCode::ENOMEM);
                }
                Server { spec: *spec, slot: None, was_masq: false, overlays: Vec::new() }
            }
        };
        server.spec = *spec;
        server.overlays.clear();
        server.was_masq |= spec.method == ForwardMethod::Masq;
        self.services[place].1.insert(0, server);
        Ok(())
    }

    fn remove(&mut self, service: ServiceKey, server: Server, now: u64) {
        self.removed.push(Removed { server, service, at: now, idle_since: now });
    }

    /// Removed destinations with connections: only these keep a slot that another one needs.
    fn used(&self) -> impl Iterator<Item = &Removed> {
        let is_used = |gone: &&Removed| {
            gone.server.slot.is_some_and(|slot| self.connections[slot.index()] > 0)
        };
        self.removed.iter().filter(is_used)
    }

    /// True if every slot is used, by listed or removed destinations.
    fn is_full(&self) -> bool {
        let mut keys: BTreeSet<_> = self.removed.iter().map(|gone| gone.service).collect();
        keys.extend(self.services.iter().map(|(spec, _)| spec.key));
        let listed: usize = self.services.iter().map(|(_, servers)| servers.len()).sum();
        keys.len() >= CAPACITY.services || listed + self.removed.len() >= CAPACITY.destinations
    }

    /// Servers that were NAT destinations at any time.
    fn masqueraded(&self) -> BTreeSet<(ServiceKey, DestinationAddress)> {
        let listed = self.services.iter();
        let listed = listed.flat_map(|(spec, servers)| servers.iter().map(|one| (spec.key, one)));
        let removed = self.removed.iter().map(|gone| (gone.service, &gone.server));
        let masqueraded = listed.chain(removed).filter(|(_, server)| server.was_masq);
        masqueraded.map(|(key, server)| (key, server.spec.at)).collect()
    }

    fn place(&self, key: &ServiceKey) -> Result<usize, RefusalCode> {
        self.services.iter().position(|(spec, _)| spec.key == *key).ok_or(RefusalCode::ESRCH)
    }
}

fn check(service: &ServiceKey, spec: &DestinationSpec) -> Result<(), RefusalCode> {
    let differs = Family::of(spec.at.address) != service.family();
    if differs && spec.method != ForwardMethod::Tunnel {
        return Err(RefusalCode::EINVAL);
    }
    if spec.weight > i32::MAX as u32 || spec.lower_threshold > spec.upper_threshold {
        return Err(RefusalCode::ERANGE);
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Command(Command),
    /// Time passes, with a run of the trash every second.
    Wait(u64),
    /// A connection to one of the destinations, possibly a removed one, begins.
    Connect(usize),
    /// All connections of a destination end.
    Disconnect(usize),
    /// A neighbour becomes resolved or unresolved.
    Neighbour((InterfaceId, IpAddr), Option<[u8; 6]>),
}

fn service_key() -> impl Strategy<Value = ServiceKey> {
    let keys = [
        key(80),
        key(81),
        key(0),
        ServiceKey::Fwmark { mark: 7, family: Family::Ipv4 },
        ServiceKey::Address { protocol: Protocol::Udp, address: ip("fd00:a::100"), port: 53 },
    ];
    prop::sample::select(keys.to_vec())
}

fn service_spec() -> impl Strategy<Value = ServiceSpec> {
    (service_key(), prop::sample::select(SchedulerKind::ALL.to_vec()))
        .prop_map(|(key, scheduler)| ServiceSpec { scheduler, ..spec(key) })
}

fn destination_spec() -> impl Strategy<Value = DestinationSpec> {
    let addresses = ["10.1.0.11", "10.1.0.12", "10.9.0.11", "224.0.0.1", "fd00:a::11"];
    let methods = [ForwardMethod::Masq, ForwardMethod::Route, ForwardMethod::Tunnel];
    (
        prop::sample::select(addresses.to_vec()),
        prop::sample::select(vec![0u16, 80]),
        prop::sample::select(methods.to_vec()),
        prop::sample::select(vec![0, 1, 7, i32::MAX as u32, u32::MAX]),
        prop::sample::select(vec![(0, 0), (5, 2), (2, 5)]),
    )
        .prop_map(|(address, port, method, weight, (upper_threshold, lower_threshold))| {
            let at = DestinationAddress { address: ip(address), port };
            DestinationSpec {
                at,
                method,
                weight,
                upper_threshold,
                lower_threshold,
                ..server(address)
            }
        })
}

fn overlay() -> impl Strategy<Value = Command> {
    let overlays = [
        Overlay::Down,
        Overlay::Drain,
        Overlay::Factor { percent: 0 },
        Overlay::Factor { percent: 30 },
        Overlay::Factor { percent: 250 },
        Overlay::WarmUp { percent: 10 },
    ];
    let target = (prop::option::of(service_key()), destination_spec(), any::<bool>());
    let target = target.prop_map(|(service, spec, any_port)| OverlayTarget {
        address: spec.at.address,
        port: (!any_port).then_some(spec.at.port),
        service,
    });
    (target, prop::sample::select(overlays.to_vec()), any::<bool>()).prop_map(
        |(target, overlay, is_set)| match is_set {
            true => Command::SetOverlay { target, overlay },
            false => Command::ClearOverlay { target, kind: overlay.kind() },
        },
    )
}

/// Some are real servers, one is a gateway.
fn neighbour() -> impl Strategy<Value = Step> {
    let all = [(1, "10.1.0.11"), (1, "10.1.0.12"), (1, "10.1.0.254"), (0, "fd00:a::11")];
    let at =
        prop::sample::select(all.map(|(port, address)| (InterfaceId(port), ip(address))).to_vec());
    (at, prop::option::of(1..4u8))
        .prop_map(|(at, last)| Step::Neighbour(at, last.map(|last| [2, 9, 9, 9, 9, last])))
}

fn step() -> impl Strategy<Value = Step> {
    let destination = || (service_key(), destination_spec());
    prop_oneof![
        4 => service_spec().prop_map(|spec| Step::Command(Command::AddService(spec))),
        1 => service_spec().prop_map(|spec| Step::Command(Command::EditService(spec))),
        1 => service_key().prop_map(|key| Step::Command(Command::DeleteService(key))),
        1 => Just(Step::Command(Command::Flush)),
        9 => destination().prop_map(|(key, spec)| Step::Command(add(key, spec))),
        3 => destination().prop_map(|(key, spec)| Step::Command(edit(key, spec))),
        4 => destination().prop_map(|(key, spec)| Step::Command(delete(key, &spec))),
        5 => overlay().prop_map(Step::Command),
        2 => (1..200u64).prop_map(Step::Wait),
        2 => (0..64usize).prop_map(Step::Connect),
        1 => (0..64usize).prop_map(Step::Disconnect),
        4 => neighbour(),
    ]
}

struct Run {
    fixture: Fixture,
    model: Model,
    now: u64,
}

impl Run {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Command(command) => {
                let is_full = self.model.is_full();
                let expected = self.model.apply(command, self.now);
                assert_eq!(self.fixture.at(self.now, command.clone()), expected, "{command:?}");
                self.fixture.desired.acknowledged(self.fixture.desired.generation());
                self.forget(is_full);
            }
            Step::Wait(seconds) => {
                for _ in 0..*seconds {
                    self.now += 1;
                    self.fixture.desired.empty_trash(Instant::from_secs(self.now));
                    self.forget(false);
                }
            }
            Step::Connect(number) => {
                if let Some(slot) = self.slot(*number) {
                    self.fixture.stats(number % 2, slot).conn_added(number % 3 == 0);
                    self.model.connections[slot.index()] += 1;
                }
            }
            Step::Disconnect(number) => {
                if let Some(slot) = self.slot(*number) {
                    for worker in 0..2 {
                        let stats = self.fixture.stats(worker, slot);
                        (0..stats.active()).for_each(|_| stats.conn_removed(true));
                        (0..stats.inactive()).for_each(|_| stats.conn_removed(false));
                    }
                    self.model.connections[slot.index()] = 0;
                    for gone in &mut self.model.removed {
                        if gone.server.slot == Some(slot) {
                            gone.idle_since = self.now;
                        }
                    }
                }
            }
            Step::Neighbour((port, address), mac) => {
                self.fixture.desired.neighbour_changed(*port, *address, *mac);
                self.fixture.desired.sweep(|| true);
                match mac {
                    Some(mac) => self.model.neighbours.insert((*port, *address), *mac),
                    None => self.model.neighbours.remove(&(*port, *address)),
                };
            }
        }
    }

    fn slot(&self, number: usize) -> Option<DestinationId> {
        let listed = self.model.services.iter().flat_map(|(_, servers)| servers);
        let removed = self.model.removed.iter().map(|gone| &gone.server);
        let slots: Vec<_> = listed.chain(removed).filter_map(|server| server.slot).collect();
        (!slots.is_empty()).then(|| slots[number % slots.len()])
    }

    /// Removes from the model what was forgotten, neither too early nor too late. `was_full`: an unused destination may
    /// have lost its slot to another.
    fn forget(&mut self, was_full: bool) {
        let (desired, now) = (&self.fixture.desired, self.now);
        let connections = &self.model.connections;
        self.model.removed.retain(|gone| {
            let Some(slot) = gone.server.slot else { panic!("{gone:?} never had a slot") };
            let kept = desired.row(slot).is_some_and(|row| {
                row.key == gone.service && row.spec.at == gone.server.spec.at && !row.is_listed
            });
            let is_used = connections[slot.index()] > 0;
            if kept {
                assert!(is_used || now - gone.idle_since <= 240, "{gone:?} outstays at {now}");
            } else {
                let may_go = was_full || now - gone.at >= 120;
                assert!(!is_used && may_go, "{gone:?} forgotten at {now}");
            }
            kept
        });
    }

    /// Listings and snapshot match the model; each slot has one destination and does not change.
    fn compare(&mut self) {
        let desired = &self.fixture.desired;
        let snapshot = &desired.next;
        let listed: Vec<_> = desired.services_before(None).collect();
        assert_eq!(
            (listed.len(), snapshot.services.len()),
            (self.model.services.len(), listed.len())
        );
        let mut taken = BTreeSet::new();
        let masqueraded = self.model.masqueraded();
        let answer = |service: &ServiceKey, at: DestinationAddress| {
            let any_port = DestinationAddress { port: 0, ..at };
            [at, any_port].iter().any(|at| masqueraded.contains(&(*service, *at)))
        };
        for ((_, id, spec), (expected, servers)) in listed.into_iter().zip(&mut self.model.services)
        {
            assert_eq!(spec, expected);
            let published = snapshot.services.get(&spec.key).unwrap();
            assert_eq!((published.id, published.scheduler.kind()), (id, spec.scheduler));
            let found: Vec<_> = desired.destinations(id).collect();
            let candidates = published.scheduler.candidates();
            assert_eq!(found.len(), servers.len());
            let usable = servers.iter().zip(&found);
            let usable: Vec<_> = usable
                .filter_map(|(server, (slot, _))| Some((*slot, server.effective()?)))
                .collect();
            let shown: Vec<_> = candidates.iter().map(|one| (one.id, one.weight)).collect();
            assert_eq!(shown, usable);
            for (server, &(slot, spec)) in servers.iter_mut().zip(&found) {
                assert_eq!(*spec, server.spec, "an overlay changed the specification");
                let known = *server.slot.get_or_insert(slot);
                assert_eq!(known, slot, "{server:?} has moved");
                assert!(taken.insert(slot), "two destinations in {slot:?}");
                let row = snapshot.destinations.get(slot.index()).unwrap();
                assert!(row.service == id && row.address == spec.at.address);
                let effective = server.effective();
                let in_force = (effective.is_some(), effective.unwrap_or(0));
                assert_eq!((row.available, row.weight), in_force);
                assert_eq!((row.port, row.method), (spec.at.port, spec.method));
                let expected = answer(&expected.key, server.spec.at);
                assert_eq!(answers(snapshot, &published.key, spec.at), expected);
            }
        }
        for gone in &self.model.removed {
            let slot = gone.server.slot.unwrap();
            assert!(taken.insert(slot), "{gone:?} has lost its slot");
            assert!(!snapshot.destinations.get(slot.index()).unwrap().available);
            let expected = answer(&gone.service, gone.server.spec.at);
            assert_eq!(answers(snapshot, &gone.service, gone.server.spec.at), expected, "{gone:?}");
        }
        assert_eq!(desired.destinations_len() + self.model.removed.len(), taken.len());
        let mut behind = BTreeSet::new();
        for slot in taken {
            let row = snapshot.destinations.get(slot.index()).unwrap();
            let at = desired.row(slot).and_then(|row| row.next_hop).map(|(at, _)| at);
            let mac = at.and_then(|at| self.model.neighbours.get(&at));
            let (clear, macs) = match (at, mac) {
                (Some((interface, _)), Some(mac)) if row.available => {
                    (row.mtu, [*mac, snapshot.interfaces.get(interface).unwrap().mac].concat())
                }
                _ => (0, vec![0; 12]),
            };
            assert_eq!(
                (row.fast_path_mtu.link, row.adjacency.header[..12].to_vec()),
                (clear, macs)
            );
            assert!(
                clear == 0 || Some(row.adjacency.port.0) == at.map(|(interface, _)| interface.0)
            );
            behind.extend(at.map(|at| (at, slot)));
        }
        assert_eq!(desired.by_next_hop, behind);
        let listed = desired.destinations.iter().flatten().filter(|row| row.is_listed);
        let hops = listed.filter_map(|row| row.next_hop).map(|(at, _)| at);
        let expected: BTreeSet<_> = hops.chain(desired.gateways.iter().copied()).collect();
        assert_eq!(*self.fixture.wanted(), expected);
        let vip = |spec: &ServiceSpec| match spec.key {
            ServiceKey::Address { address, .. } => Some(address),
            ServiceKey::Fwmark { .. } => None,
        };
        let expected: BTreeSet<_> =
            self.model.services.iter().filter_map(|(spec, _)| vip(spec)).collect();
        assert_eq!(*self.fixture.vips(), expected);
    }
}

/// Replies of the server belong to the service. Two services may share a server.
fn answers(snapshot: &Snapshot, service: &ServiceKey, at: DestinationAddress) -> bool {
    let (protocol, origin) = match *service {
        ServiceKey::Address { protocol, address, port } => {
            (protocol.number(), RequestAddress::Virtual { address, port })
        }
        ServiceKey::Fwmark { .. } => (0, RequestAddress::Anywhere),
    };
    fn request_addresses<A: crate::packet::Address>(
        snapshot: &Snapshot,
        source: A,
        source_port: u16,
        protocol: u8,
    ) -> Vec<RequestAddress> {
        let reply = crate::packet::Tuple { source, source_port, protocol, ..Default::default() };
        snapshot.replies.request_addresses(&reply).collect()
    }
    // Port 0 covers every port.
    let port = if at.port == 0 { 9 } else { at.port };
    let found = match at.address {
        IpAddr::V4(address) => request_addresses(snapshot, address.to_bits(), port, protocol),
        IpAddr::V6(address) => request_addresses(snapshot, address.to_bits(), port, protocol),
    };
    found.contains(&origin)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn commands_match_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut run = Run {
            fixture: Fixture::new(),
            model: Model {
                connections: vec![0; CAPACITY.destinations],
                ..Model::default()
            },
            now: 0,
        };
        for step in &steps {
            run.step(step);
            run.compare();
        }
    }
}
