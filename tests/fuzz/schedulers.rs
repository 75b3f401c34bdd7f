//! Schedulers under random edits and picks, with workers that adopt snapshots late: no unusable destination is picked,
//! a pick depends only on its input, and an edit that changes nothing changes no pick.

use bolero::TypeGenerator;
use director::model::{DestinationId, SchedulerFlags, SchedulerKind, WorkerId};
use director::scheduler::{Candidate, Change, Cursor, Flow, Load, Scheduler};
use director::time::Instant;
use std::net::Ipv4Addr;

const SERVERS: u8 = 10;
const WORKERS: u16 = 3;

#[derive(Clone, Copy, Debug, TypeGenerator)]
enum Action {
    Add {
        #[generator(0..SERVERS)]
        id: u8,
        weight: u32,
    },
    Weight {
        #[generator(0..SERVERS)]
        id: u8,
        #[generator(0..4u32)]
        weight: u32,
    },
    Remove {
        #[generator(0..SERVERS)]
        id: u8,
    },
    Load {
        #[generator(0..SERVERS)]
        id: u8,
        active: u32,
        inactive: u32,
    },
    Overload {
        #[generator(0..SERVERS)]
        id: u8,
        is: bool,
    },
    Kind {
        kind: u8,
        flags: u8,
    },
    Pick {
        #[generator(0..WORKERS)]
        worker: u16,
        client: u32,
        port: u16,
        to: u8,
    },
    Collect {
        seconds: u16,
        #[generator(0..100u32)]
        expiration: u32,
    },
}

#[derive(Clone, Copy, Default)]
struct Server {
    active: u32,
    inactive: u32,
    is_overloaded: bool,
}

struct Servers<'a>(&'a [Candidate], &'a [Server]);

impl Servers<'_> {
    fn get(&self, index: usize) -> Server {
        self.1[self.0[index].id.index()]
    }
}

impl Load for Servers<'_> {
    fn active(&self, index: usize) -> u32 {
        self.get(index).active
    }

    fn inactive(&self, index: usize) -> u32 {
        self.get(index).inactive
    }

    fn overloaded(&self, index: usize) -> bool {
        self.get(index).is_overloaded
    }
}

struct Service {
    scheduler: Scheduler,
    cursors: Vec<Cursor>,
    servers: [Server; SERVERS as usize],
    now_s: u64,
}

fn kind(number: u8) -> SchedulerKind {
    SchedulerKind::ALL[usize::from(number) % SchedulerKind::ALL.len()]
}

/// lblc and lblcr cache their picks by destination address; clones share the cache.
fn is_cached(kind: SchedulerKind) -> bool {
    matches!(kind, SchedulerKind::Lblc | SchedulerKind::Lblcr)
}

impl Service {
    fn new() -> Self {
        Service {
            scheduler: Scheduler::new(SchedulerKind::Rr, SchedulerFlags::empty(), []),
            cursors: (0..WORKERS).map(|at| Cursor::starting_at(WorkerId(at), WORKERS)).collect(),
            servers: Default::default(),
            now_s: 1,
        }
    }

    fn edit(
        &mut self,
        id: u8,
        edit: impl FnOnce(&mut Vec<Candidate>, Option<usize>) -> Option<Change>,
    ) {
        let mut list = self.scheduler.candidates().to_vec();
        let at = list.iter().position(|other| other.id == DestinationId(id.into()));
        if let Some(change) = edit(&mut list, at) {
            self.scheduler = self.scheduler.changed(list, change);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Add { id, weight } => self.edit(id, |list, at| {
                let id = DestinationId(id.into());
                let address = Ipv4Addr::from_bits(0x0a01_000b + id.0).into();
                let weight = weight >> 1;
                list.insert(0, Candidate { id, address, port: 80, weight });
                at.is_none().then_some(Change::Added(id))
            }),
            Action::Weight { id, weight } => self.edit(id, |list, at| {
                list[at?].weight = weight;
                Some(Change::Edited(DestinationId(id.into())))
            }),
            Action::Remove { id } => self.edit(id, |list, at| {
                list.remove(at?);
                Some(Change::Removed(DestinationId(id.into())))
            }),
            Action::Load { id, active, inactive } => {
                let server = &mut self.servers[usize::from(id)];
                (server.active, server.inactive) = (active % (1 << 24), inactive);
            }
            Action::Overload { id, is } => self.servers[usize::from(id)].is_overloaded = is,
            Action::Kind { kind: number, flags } => {
                let flags = SchedulerFlags::from_bits_truncate(flags);
                self.scheduler = self.scheduler.with_kind(kind(number), flags);
            }
            Action::Pick { worker, client, port, to } => self.pick(worker, client, port, to),
            Action::Collect { seconds, expiration } => {
                self.now_s += u64::from(seconds);
                self.scheduler.collect(Instant::from_secs(self.now_s), expiration);
            }
        }
    }

    fn pick(&mut self, worker: u16, client: u32, port: u16, to: u8) {
        let flow = Flow {
            source: Ipv4Addr::from_bits(client).into(),
            destination: Ipv4Addr::new(10, 9, 0, to).into(),
            source_port: port,
            destination_port: 80,
        };
        let candidates = self.scheduler.candidates();
        let servers = Servers(candidates, &self.servers);
        let now = Instant::from_secs(self.now_s);
        let kind = self.scheduler.kind();
        let mut twin = self.cursors[usize::from(worker)];
        let cursor = &mut self.cursors[usize::from(worker)];
        let picked = self.scheduler.pick(cursor, &servers, &flow, now);
        let Some(index) = picked else {
            let usable =
                |index: &usize| candidates[*index].weight > 0 && !servers.overloaded(*index);
            let somebody = (0..candidates.len()).any(|index| usable(&index));
            let may_refuse = matches!(
                kind,
                SchedulerKind::None
                    | SchedulerKind::Dh
                    | SchedulerKind::Sh
                    | SchedulerKind::Mh
                    | SchedulerKind::Ovf
            );
            assert!(!somebody || may_refuse, "{kind} picks no destination although one is usable");
            return;
        };
        assert!(candidates[index].weight > 0, "{kind} picked a quiesced destination");
        let may_overload = kind == SchedulerKind::Lblc;
        assert!(
            may_overload || !servers.overloaded(index),
            "{kind} picked an overloaded destination"
        );
        if !is_cached(kind) {
            let again = self.scheduler.pick(&mut twin, &servers, &flow, now);
            assert_eq!(
                (again, twin),
                (picked, *cursor),
                "the pick of {kind} depends on other state"
            );
        }
    }
}

#[test]
fn any_edits_and_picks() {
    bolero::check!().with_type::<Vec<Action>>().with_test_time(crate::SHORT * 2).for_each(
        |actions| {
            let mut service = Service::new();
            actions.iter().for_each(|&action| service.act(action));
        },
    );
}

/// With weights of any size and edits of weights, wrr gives each destination its share of every full cycle.
#[test]
fn shares_of_wrr() {
    type Weights = [u8; 4];
    bolero::check!().with_type::<Weights>().with_test_time(crate::SHORT).for_each(|weights| {
        let mut service = Service::new();
        let flags = SchedulerFlags::empty();
        for (id, weight) in (0..).zip(weights) {
            service.act(Action::Add { id, weight: u32::from(*weight) << 1 });
        }
        service.scheduler = service.scheduler.with_kind(SchedulerKind::Wrr, flags);
        let total: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
        let mut picks = [0u32; 4];
        let flow = Flow {
            source: Ipv4Addr::LOCALHOST.into(),
            destination: Ipv4Addr::LOCALHOST.into(),
            source_port: 1,
            destination_port: 2,
        };
        let mut cursor = Cursor::default();
        for _ in 0..total {
            let servers = Servers(service.scheduler.candidates(), &service.servers);
            let index = service.scheduler.pick(&mut cursor, &servers, &flow, Instant::START);
            let index = index.expect("a destination has a weight");
            picks[service.scheduler.candidates()[index].id.index()] += 1;
        }
        assert_eq!(picks, weights.map(u32::from));
    });
}
