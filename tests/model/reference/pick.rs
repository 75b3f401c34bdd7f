//! The schedulers, searching a list from the front for each pick.

use super::{Place, Reference};
use crate::step::Packet;
use director::model::{SchedulerFlags, SchedulerKind};
use std::net::IpAddr;

/// State of a scheduler between two picks.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// rr and wrr: the destination picked last; `None` means the head of the list.
    cursor: Option<usize>,
    /// wrr: the current weight.
    weight: i64,
}

/// wrr: the weight's step, and its value at the start of a cycle.
struct Passes {
    step: i64,
    first: i64,
}

const BUCKETS: usize = 256;

impl Reference {
    /// The number of the destination for a new connection.
    pub(super) fn pick(&mut self, service: usize, packet: &Packet) -> Option<usize> {
        let list = self.services[service].destinations.clone();
        let can = |number: &usize| self.can_take(*number);
        match self.services[service].spec.scheduler {
            SchedulerKind::Rr => self.round_robin(service, &list),
            SchedulerKind::Wrr => self.weighted_round_robin(service, &list),
            // The first of equal ones: `min_by` takes the first, `max_by` the last, so its list is reversed.
            SchedulerKind::Lc => list.into_iter().filter(can).min_by_key(|n| self.overhead(*n)),
            SchedulerKind::Wlc => self.cheapest(&list, |number| self.overhead(number)),
            SchedulerKind::Sed => self.cheapest(&list, |number| self.active(number) + 1),
            SchedulerKind::Nq => {
                let idle = list.iter().copied().filter(can).find(|n| self.active(*n) == 0);
                idle.or_else(|| self.cheapest(&list, |number| self.active(number) + 1))
            }
            SchedulerKind::Fo => {
                list.into_iter().rev().filter(can).max_by_key(|number| self.weight(*number))
            }
            SchedulerKind::Ovf => list
                .into_iter()
                .rev()
                .filter(can)
                .filter(|number| self.active(*number) <= u64::from(self.weight(*number)))
                .max_by_key(|number| self.weight(*number)),
            SchedulerKind::Dh => {
                let bucket = hash(folded(packet.destination.ip()));
                let number = *list.get(bucket % list.len().max(1))?;
                self.can_take(number).then_some(number)
            }
            SchedulerKind::Sh => self.source_hash(service, &list, packet),
            SchedulerKind::Lblc => self.by_locality(service, packet),
            SchedulerKind::Lblcr => self.by_replicated_locality(service, packet),
            _ => None,
        }
    }

    pub(super) fn weight(&self, number: usize) -> u32 {
        self.destinations[number].spec.weight
    }

    fn can_take(&self, number: usize) -> bool {
        let destination = &self.destinations[number];
        destination.place == Place::Listed && destination.spec.weight > 0 && !destination.overloaded
    }

    pub(super) fn active(&self, number: usize) -> u64 {
        self.counts(number).0.into()
    }

    pub(super) fn overhead(&self, number: usize) -> u64 {
        let (active, inactive) = self.counts(number);
        u64::from(active) * 256 + u64::from(inactive)
    }

    /// The destination with the least cost for its weight; the first of equal ones.
    pub(super) fn cheapest(&self, list: &[usize], cost: impl Fn(usize) -> u64) -> Option<usize> {
        let mut best: Option<usize> = None;
        for &number in list.iter().filter(|number| self.can_take(**number)) {
            let is_better = best.is_none_or(|best| {
                let ours = cost(number) * u64::from(self.weight(best));
                cost(best) * u64::from(self.weight(number)) > ours
            });
            if is_better {
                best = Some(number);
            }
        }
        best
    }

    fn round_robin(&mut self, service: usize, list: &[usize]) -> Option<usize> {
        let cursor = self.services[service].memory.cursor;
        let behind = cursor.and_then(|last| list.iter().position(|number| *number == last));
        let start = behind.map_or(0, |index| index + 1);
        let all = list[start..].iter().chain(&list[..start]);
        let picked = all.copied().find(|number| self.can_take(*number))?;
        self.services[service].memory.cursor = Some(picked);
        Some(picked)
    }

    fn passes(&self, list: &[usize]) -> Passes {
        let weights = || list.iter().map(|number| i64::from(self.weight(*number)));
        let most = weights().max().unwrap_or(0);
        let divides = |step: &i64| weights().all(|weight| weight % step == 0);
        let step = (1..=most).rev().find(divides).unwrap_or(1);
        Passes { step, first: most - (step - 1) }
    }

    fn weighted_round_robin(&mut self, service: usize, list: &[usize]) -> Option<usize> {
        let Passes { step, first } = self.passes(list);
        let memory = self.services[service].memory;
        if first == 0 {
            return None;
        }
        if !list.iter().any(|number| self.can_take(*number)) {
            // All are overloaded: the cycle ends, unless the last pass began after the head of the list.
            if memory.cursor.is_none() || memory.weight > step {
                self.services[service].memory = Memory { cursor: None, weight: first };
            }
            return None;
        }
        let behind = memory.cursor.and_then(|last| list.iter().position(|number| *number == last));
        let mut rest = &list[behind.map_or(0, |index| index + 1)..];
        let mut weight = memory.weight;
        loop {
            let satisfies = |number: &usize| {
                self.can_take(*number) && i64::from(self.weight(*number)) >= weight
            };
            if let Some(picked) = rest.iter().copied().find(satisfies) {
                self.services[service].memory = Memory { cursor: Some(picked), weight };
                return Some(picked);
            }
            weight = if weight > step { weight - step } else { first };
            rest = list;
        }
    }

    fn source_hash(&self, service: usize, list: &[usize], packet: &Packet) -> Option<usize> {
        let flags = self.services[service].spec.scheduler_flags;
        let mut buckets = Vec::new();
        while buckets.len() < BUCKETS && !list.is_empty() {
            for &number in list {
                buckets.extend(vec![number; self.weight(number).max(1) as usize]);
            }
        }
        buckets.truncate(BUCKETS);
        let port = match flags.contains(SchedulerFlags::FLAG_2) {
            true => packet.source.port(),
            false => 0,
        };
        let own = hash(folded(packet.source.ip()).wrapping_add(port.into()));
        let offsets = std::iter::once(0).chain((0..BUCKETS).map(|k| (k + own) % BUCKETS));
        let tries = if flags.contains(SchedulerFlags::FLAG_1) { BUCKETS + 1 } else { 1 };
        let mut tried =
            offsets.take(tries).filter_map(|offset| buckets.get((offset + own) % BUCKETS));
        tried.find(|number| self.can_take(**number)).copied()
    }

    /// Initial state of a scheduler that is set now.
    pub(super) fn memory_of_list(&self, list: &[usize]) -> Memory {
        Memory { cursor: None, weight: self.passes(list).first }
    }

    /// Updates the state after a destination was added, edited or removed.
    pub(super) fn list_changed(&mut self, service: usize) {
        if self.services[service].spec.scheduler != SchedulerKind::Wrr {
            return;
        }
        let Passes { step, first } = self.passes(&self.services[service].destinations);
        let memory = &mut self.services[service].memory;
        memory.cursor = None;
        if memory.weight > first || memory.weight == 0 {
            memory.weight = first;
        } else if step > 1 {
            memory.weight = memory.weight / step * step + 1;
        }
    }

    /// Before the destination is removed: rr moves back to the previous one.
    pub(super) fn cursor_leaves(&mut self, service: usize, number: usize) {
        let list = &self.services[service].destinations;
        let Some(index) = list.iter().position(|other| *other == number) else { return };
        let before = index.checked_sub(1).map(|index| list[index]);
        let memory = &mut self.services[service].memory;
        if memory.cursor == Some(number) {
            memory.cursor = before;
        }
    }
}

/// An address as 32 bits in host byte order.
fn folded(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (0..4).fold(0, |folded, word| folded ^ (bits >> (32 * word)) as u32)
        }
    }
}

/// The hash bucket of 256.
fn hash(word: u32) -> usize {
    (word.wrapping_mul(0x61c8_8647) >> 24) as usize
}
