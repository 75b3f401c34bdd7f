//! Properties of the schedulers for any list, any edits and any number of workers.

use super::candidate::{Candidate, Change, Flow, Load};
use super::fixture::{ConnCounts, Idle, Server, candidate, candidates, client};
use super::wrr::greatest_common_divisor;
use super::{Cursor, Scheduler};
use crate::model::{DestinationId, SchedulerFlags, SchedulerKind, WorkerId};
use crate::time::Instant;
use proptest::prelude::*;
use std::net::Ipv4Addr;

/// Destinations that edits choose from.
const SERVERS: u32 = 8;

#[derive(Clone, Copy, Debug)]
enum Action {
    /// Adds the destination, or edits it if it is there.
    Put {
        id: u32,
        weight: u32,
    },
    Remove {
        id: u32,
    },
    Overload {
        id: u32,
        overloaded: bool,
    },
    Pick {
        worker: u16,
        client: u32,
    },
}

fn action(workers: u16) -> impl Strategy<Value = Action> {
    let id = || 1..=SERVERS;
    let weight = prop_oneof![Just(0), 1..7u32, Just(60), Just(i32::MAX as u32)];
    prop_oneof![
        2 => (id(), weight).prop_map(|(id, weight)| Action::Put { id, weight }),
        1 => id().prop_map(|id| Action::Remove { id }),
        1 => (id(), any::<bool>())
            .prop_map(|(id, overloaded)| Action::Overload { id, overloaded }),
        6 => (0..workers, any::<u32>())
            .prop_map(|(worker, client)| Action::Pick { worker, client }),
    ]
}

/// A service under random actions.
struct World {
    scheduler: Scheduler,
    cursors: Vec<Cursor>,
    servers: [Server; SERVERS as usize + 1],
    picks: u64,
}

impl World {
    fn new(kind: SchedulerKind, flags: SchedulerFlags, workers: u16) -> Self {
        World {
            scheduler: Scheduler::new(kind, flags, []),
            cursors: (0..workers)
                .map(|worker| Cursor::starting_at(WorkerId(worker), workers))
                .collect(),
            servers: Default::default(),
            picks: 0,
        }
    }

    fn overloaded(&self, id: u32) -> bool {
        self.servers[id as usize].overloaded()
    }

    fn change(&mut self, action: Action) {
        let mut list = self.scheduler.candidates().to_vec();
        let change = match action {
            Action::Put { id, weight } => {
                let new = candidate(id, weight);
                match list.iter_mut().find(|other| other.id == new.id) {
                    Some(old) => {
                        *old = new;
                        Change::Edited(new.id)
                    }
                    None => {
                        list.insert(0, new);
                        Change::Added(new.id)
                    }
                }
            }
            Action::Remove { id } => {
                let id = DestinationId(id);
                let before = list.len();
                list.retain(|other| other.id != id);
                if list.len() == before {
                    return;
                }
                Change::Removed(id)
            }
            Action::Overload { id, overloaded } => {
                let server = &mut self.servers[id as usize];
                let total = server.active + server.inactive;
                server.upper_threshold = if overloaded { total.max(1) } else { 0 };
                if overloaded && total == 0 {
                    server.inactive = 1;
                }
                return;
            }
            Action::Pick { .. } => return,
        };
        self.scheduler = self.scheduler.changed(list, change);
    }

    fn pick(&mut self, worker: u16, client: u32) -> Option<Candidate> {
        let flow = Flow {
            source: Ipv4Addr::from_bits(client).into(),
            destination: Ipv4Addr::from_bits(client % 16).into(),
            source_port: client as u16,
            destination_port: 80,
        };
        self.picks += 1;
        let now = Instant::from_secs(self.picks);
        let loads = ConnCounts(self.scheduler.candidates(), &self.servers);
        let cursor = &mut self.cursors[usize::from(worker)];
        let index = self.scheduler.pick(cursor, &loads, &flow, now)?;
        let picked = self.scheduler.candidates()[index];
        self.servers[picked.id.index()].active += client & 1;
        Some(picked)
    }

    fn eligible(&self) -> bool {
        let usable = |server: &Candidate| server.weight > 0 && !self.overloaded(server.id.0);
        self.scheduler.candidates().iter().any(usable)
    }
}

/// Slow oracle of rr and wrr, step by step as in the kernel: the position is a destination, or `None` for the head of the
/// list, and every edit is applied at once.
#[derive(Default)]
struct Oracle {
    list: Vec<(u32, u32)>,
    place: Option<u32>,
    weight: u32,
    first: u32,
    step: u32,
}

impl Oracle {
    fn change(&mut self, action: Action) {
        match action {
            Action::Put { id, weight } => match self.list.iter_mut().find(|other| other.0 == id) {
                Some(other) => other.1 = weight,
                None => self.list.insert(0, (id, weight)),
            },
            Action::Remove { id } => {
                let Some(at) = self.list.iter().position(|other| other.0 == id) else { return };
                if self.place == Some(id) {
                    self.place = at.checked_sub(1).map(|before| self.list[before].0);
                }
                self.list.remove(at);
            }
            Action::Overload { .. } | Action::Pick { .. } => return,
        }
        self.step = self.list.iter().map(|server| server.1).fold(0, greatest_common_divisor).max(1);
        self.first = self.list.iter().map(|server| server.1).max().unwrap_or(0);
        self.first -= (self.step - 1).min(self.first);
    }

    /// The part of an edit that only wrr has.
    fn rewind(&mut self) {
        self.place = None;
        if self.weight > self.first || self.weight == 0 {
            self.weight = self.first;
        } else if self.step > 1 {
            self.weight = self.weight / self.step * self.step + 1;
        }
    }

    fn start(&self) -> usize {
        let Some(id) = self.place else { return 0 };
        self.list.iter().position(|server| server.0 == id).unwrap() + 1
    }

    fn round_robin(&mut self, overloaded: impl Fn(u32) -> bool) -> Option<u32> {
        let start = self.start();
        let turned = self.list[start..].iter().chain(&self.list[..start]);
        let picked = turned.copied().find(|&(id, weight)| weight > 0 && !overloaded(id))?.0;
        self.place = Some(picked);
        Some(picked)
    }

    fn weighted(&mut self, overloaded: impl Fn(u32) -> bool) -> Option<u32> {
        if self.first == 0 {
            return None;
        }
        let mut at = self.start();
        // A search that starts in the last pass ends where it started, even at the end of the list.
        let whole_round = at == self.list.len() && self.weight <= self.step;
        // How many candidates in a row had no weight.
        let mut in_vain = 0;
        loop {
            while let Some(&(id, weight)) = self.list.get(at) {
                if weight >= self.weight && !overloaded(id) {
                    self.place = Some(id);
                    return Some(id);
                }
                in_vain += usize::from(self.weight <= self.step);
                if in_vain == self.list.len() && (whole_round || at + 1 < self.list.len()) {
                    self.place = Some(id);
                    return None;
                }
                at += 1;
            }
            at = 0;
            let last = self.weight <= self.step;
            self.weight = if last { self.first } else { self.weight - self.step };
            if in_vain == self.list.len() {
                self.place = None;
                return None;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Any scheduler, any edits, cursors of several workers that see the edits late: no panic; never a quiesced
    /// destination; never an overloaded one, except a cached one by lblc; and always a destination if the scheduler does
    /// not tie the client to one.
    #[test]
    fn picks_are_eligible(
        kind in prop::sample::select(&SchedulerKind::ALL[..]),
        flags in (0..8u8).prop_map(SchedulerFlags::from_bits_truncate),
        workers in 1..4u16,
        actions in prop::collection::vec(action(3), 1..200),
    ) {
        let mut snapshot = World::new(kind, flags, workers);
        for action in actions {
            snapshot.change(action);
            let Action::Pick { worker, client } = action else { continue };
            let eligible = snapshot.eligible();
            let before: Vec<bool> = (0..=SERVERS).map(|id| snapshot.overloaded(id)).collect();
            let picked = snapshot.pick(worker % workers, client);
            if let Some(picked) = picked {
                prop_assert!(picked.weight > 0);
                prop_assert!(kind == SchedulerKind::Lblc || !before[picked.id.index()]);
            }
            let fallback = flags.contains(SchedulerFlags::FLAG_1);
            let sure = match kind {
                SchedulerKind::None | SchedulerKind::Dh | SchedulerKind::Ovf => false,
                SchedulerKind::Sh => false,
                SchedulerKind::Mh => fallback && snapshot.scheduler.candidates().len() == 1,
                _ => true,
            };
            prop_assert!(!sure || !eligible || picked.is_some(), "no pick although one is usable");
        }
    }

    #[test]
    fn rr_is_the_kernels(actions in prop::collection::vec(action(1), 1..200)) {
        let mut snapshot = World::new(SchedulerKind::Rr, SchedulerFlags::empty(), 1);
        let mut oracle = Oracle::default();
        for action in actions {
            snapshot.change(action);
            oracle.change(action);
            if let Action::Pick { client, .. } = action {
                let expected = oracle.round_robin(|id| snapshot.overloaded(id));
                prop_assert_eq!(snapshot.pick(0, client).map(|picked| picked.id.0), expected);
            }
        }
    }

    #[test]
    fn wrr_is_the_kernels(actions in prop::collection::vec(action(1), 1..200)) {
        let mut snapshot = World::new(SchedulerKind::Wrr, SchedulerFlags::empty(), 1);
        let mut oracle = Oracle::default();
        for action in actions {
            // The oracle walks through every pass, so the weights must be small.
            let action = match action {
                Action::Put { id, weight } => Action::Put { id, weight: weight.min(60) },
                action => action,
            };
            let length = oracle.list.len();
            snapshot.change(action);
            oracle.change(action);
            match action {
                Action::Put { .. } => oracle.rewind(),
                Action::Remove { .. } if oracle.list.len() < length => oracle.rewind(),
                Action::Pick { client, .. } => {
                    let expected = oracle.weighted(|id| snapshot.overloaded(id));
                    prop_assert_eq!(snapshot.pick(0, client).map(|picked| picked.id.0), expected);
                }
                _ => {}
            }
        }
    }

    /// In a whole cycle every destination gets exactly weight / divisor picks, wherever the cycle starts.
    #[test]
    fn wrr_shares_follow_the_weights(
        weights in prop::collection::vec(0..30u32, 1..10),
        worker in 0..4u16,
        head_start in 0..50usize,
    ) {
        let divisor = weights.iter().copied().fold(0, greatest_common_divisor);
        prop_assume!(divisor > 0);
        let scheduler =
            Scheduler::new(SchedulerKind::Wrr, SchedulerFlags::empty(), candidates(&weights));
        let mut cursor = Cursor::starting_at(WorkerId(worker), 4);
        let mut pick = || {
            let flow = client("10.0.0.2", 1);
            scheduler.pick(&mut cursor, &Idle, &flow, Instant::START).unwrap()
        };
        for _ in 0..head_start {
            pick();
        }
        let mut picks = vec![0; weights.len()];
        for _ in 0..weights.iter().sum::<u32>() / divisor {
            picks[pick()] += divisor;
        }
        prop_assert_eq!(picks, weights);
    }

    /// Whichever workers get the connections, rr is within workers + 1 of an even spread.
    #[test]
    fn rr_is_even_over_workers(
        length in 1..12usize,
        workers in 1..9u16,
        choices in prop::collection::vec(any::<u16>(), 1..600),
    ) {
        let scheduler = Scheduler::new(
            SchedulerKind::Rr,
            SchedulerFlags::empty(),
            candidates(&vec![1; length]),
        );
        let mut cursors: Vec<Cursor> =
            (0..workers).map(|worker| Cursor::starting_at(WorkerId(worker), workers)).collect();
        let mut picks = vec![0; length];
        for choice in &choices {
            let cursor = &mut cursors[usize::from(choice % workers)];
            let flow = client("10.0.0.2", 1);
            picks[scheduler.pick(cursor, &Idle, &flow, Instant::START).unwrap()] += 1;
        }
        let even = choices.len() as f64 / length as f64;
        let within = f64::from(workers) + 1.0;
        prop_assert!(picks.iter().all(|&count| (f64::from(count) - even).abs() <= within));
    }

    /// wlc against its definition: no eligible destination has less load per weight, and no earlier one has as little.
    #[test]
    fn wlc_takes_the_least(servers in prop::collection::vec((0..9u32, 0..50u32, 0..500u32), 1..8)) {
        let weights: Vec<u32> = servers.iter().map(|server| server.0).collect();
        let list = candidates(&weights);
        let mut by_id = [Server::default(); 9];
        for (entry, server) in list.iter().zip(&servers) {
            by_id[entry.id.index()] =
                Server { active: server.1, inactive: server.2, upper_threshold: 0 };
        }
        let loads = ConnCounts(&list, &by_id);
        let scheduler = Scheduler::new(SchedulerKind::Wlc, SchedulerFlags::empty(), list.clone());
        let flow = client("10.0.0.2", 1);
        let picked = scheduler.pick(&mut Cursor::default(), &loads, &flow, Instant::START);
        let share = |index: usize| {
            let overhead = loads.active(index) * 256 + loads.inactive(index);
            f64::from(overhead) / f64::from(weights[index])
        };
        let expected = (0..weights.len())
            .filter(|&index| weights[index] > 0)
            .min_by(|&left, &right| share(left).total_cmp(&share(right)));
        prop_assert_eq!(picked, expected);
    }
}

#[test]
fn a_cursor_of_another_scheduler_starts_afresh() {
    let list = || candidates(&[1, 1, 1]);
    let rr = || Scheduler::new(SchedulerKind::Rr, SchedulerFlags::empty(), list());
    let (one, other) = (rr(), rr());
    let mut cursor = Cursor::default();
    let mut pick = |scheduler: &Scheduler| {
        scheduler.pick(&mut cursor, &Idle, &client("10.0.0.2", 1), Instant::START).unwrap()
    };
    assert_eq!([pick(&one), pick(&one), pick(&other), pick(&other)], [0, 1, 0, 1]);
}

/// The load as one worker sees it: totals as of a moment ago, and its own connections since.
struct Stale<'a> {
    totals: &'a [u32],
    own: &'a [u32],
}

impl Load for Stale<'_> {
    fn active(&self, index: usize) -> u32 {
        self.totals[index] + self.own[index]
    }
    fn inactive(&self, _: usize) -> u32 {
        0
    }
    fn overloaded(&self, _: usize) -> bool {
        false
    }
}

#[test]
fn wlc_is_fair_though_workers_see_old_totals() {
    const WORKERS: u16 = 8;
    let weights = [5, 1, 3, 1];
    let scheduler =
        Scheduler::new(SchedulerKind::Wlc, SchedulerFlags::empty(), candidates(&weights));
    let mut cursors: Vec<Cursor> =
        (0..WORKERS).map(|worker| Cursor::starting_at(WorkerId(worker), WORKERS)).collect();
    let mut totals = [0; 4];
    for _refresh in 0..100 {
        let mut picked = totals;
        for cursor in &mut cursors {
            let mut own = [0; 4];
            for _ in 0..100 {
                let load = Stale { totals: &totals, own: &own };
                let flow = client("10.0.0.2", 1);
                own[scheduler.pick(cursor, &load, &flow, Instant::START).unwrap()] += 1;
            }
            picked.iter_mut().zip(own).for_each(|(total, own)| *total += own);
        }
        totals = picked;
    }
    for (total, weight) in totals.into_iter().zip(weights) {
        let share = 80_000.0 * f64::from(weight) / 10.0;
        assert!((f64::from(total) / share - 1.0).abs() < 0.02, "{totals:?}");
    }
}
