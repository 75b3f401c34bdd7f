//! mh: Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4). The client's address selects a slot of a table. The table
//! changes little when a destination is added or removed.
//!
//! Table size, hash functions and weight scaling equal those of a 64-bit kernel, so that this director and a Linux one
//! behind the same ECMP router send a client to the same server.

use super::candidate::{Candidate, Flow, Load, eligible};
use super::hash::folded;
use super::wrr::greatest_common_divisor;
use crate::model::{DestinationId, SchedulerFlags};
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Slots of the table: the prime of the kernel's default configuration.
const SLOTS: usize = 4093;

/// Weights are scaled down to this many bits, which bounds the slots that a destination claims in a row.
const WEIGHT_BITS: u32 = 6;

/// A slot without a destination.
const NOBODY: u32 = u32::MAX;

const FIRST_KEY: u64 = 2_654_435_761;
const SECOND_KEY: u64 = 2_654_446_892;

#[derive(Clone, Debug)]
pub(super) struct Maglev {
    slots: Arc<[u32]>,
}

impl Maglev {
    /// `lasting`: the last weight above 0 of every candidate. With it, quiescing a destination does not move the clients of
    /// the others.
    pub(super) fn new(candidates: &[Candidate], lasting: &[u32]) -> Self {
        let slots =
            if candidates.len() > SLOTS { vec![NOBODY; SLOTS] } else { fill(candidates, lasting) };
        Maglev { slots: slots.into() }
    }

    /// The table for the changed list. If the list is longer than the table, the table stays unchanged.
    pub(super) fn changed(
        &self,
        before: &[Candidate],
        candidates: &[Candidate],
        lasting: &[u32],
    ) -> Self {
        if candidates.len() <= SLOTS {
            return Maglev::new(candidates, lasting);
        }
        let places: HashMap<DestinationId, u32> =
            candidates.iter().zip(0..).map(|(candidate, index)| (candidate.id, index)).collect();
        let moved = self.slots.iter().map(|&slot| {
            let owner = before.get(slot as usize);
            owner.and_then(|owner| places.get(&owner.id)).copied().unwrap_or(NOBODY)
        });
        Maglev { slots: moved.collect() }
    }

    #[inline]
    pub(super) fn pick(
        &self,
        candidates: &[Candidate],
        flags: SchedulerFlags,
        load: &impl Load,
        flow: &Flow,
    ) -> Option<usize> {
        let port = match flags.contains(SchedulerFlags::FLAG_2) {
            true => flow.source_port,
            false => 0,
        };
        let first = slot(flow.source, port, 0);
        let index = self.owner(first)?;
        if eligible(candidates, load, index) {
            return Some(index);
        }
        if !flags.contains(SchedulerFlags::FLAG_1) {
            return None;
        }
        // Without this check, a service without any usable destination costs a walk of the whole table per packet.
        (0..candidates.len()).find(|&index| eligible(candidates, load, index))?;
        (0..SLOTS)
            .map_while(|tried| self.owner(slot(flow.source, port, (tried + first) % SLOTS)))
            .find(|&index| eligible(candidates, load, index))
    }

    #[inline]
    fn owner(&self, slot: usize) -> Option<usize> {
        let owner = self.slots[slot];
        (owner != NOBODY).then_some(owner as usize)
    }
}

/// The slot of a client; `offset` leads to the slots of its second choices.
#[inline]
fn slot(address: IpAddr, port: u16, offset: usize) -> usize {
    hash(FIRST_KEY, address, port, offset as u32) as usize % SLOTS
}

#[inline]
fn hash(key: u64, address: IpAddr, port: u16, offset: u32) -> u32 {
    let word = folded(address).wrapping_add(u32::from(port)).wrapping_add(offset);
    SipHasher13::new_with_keys(key, key).hash(&word.to_le_bytes()) as u32
}

/// The order in which a destination claims slots: a walk of `skip` slots at a time.
struct Permutation {
    next: usize,
    skip: usize,
    /// Slots claimed in a row.
    turns: u32,
}

impl Permutation {
    fn of(candidate: &Candidate, turns: u32) -> Self {
        let hash = |key| hash(key, candidate.address, candidate.port, 0) as usize;
        Permutation {
            next: hash(FIRST_KEY) % SLOTS,
            skip: hash(SECOND_KEY) % (SLOTS - 1) + 1,
            turns,
        }
    }

    /// Claims the next slot that is still free. There must be one.
    fn claim(&mut self, slots: &mut [u32], index: u32) {
        while slots[self.next] != NOBODY {
            self.next = (self.next + self.skip) % SLOTS;
        }
        slots[self.next] = index;
    }
}

fn fill(candidates: &[Candidate], lasting: &[u32]) -> Vec<u32> {
    let mut slots = vec![NOBODY; SLOTS];
    let mut permutations: Vec<(u32, Permutation)> = candidates
        .iter()
        .zip(turns(lasting))
        .zip(0..)
        .filter(|((_, turns), _)| *turns > 0)
        .map(|((candidate, turns), index)| (index, Permutation::of(candidate, turns)))
        .collect();
    if permutations.is_empty() {
        return slots;
    }
    let mut free = SLOTS;
    while free > 0 {
        for (index, permutation) in &mut permutations {
            let turns = (permutation.turns as usize).min(free);
            for _ in 0..turns {
                permutation.claim(&mut slots, *index);
            }
            free -= turns;
        }
    }
    slots
}

/// Slots that each destination claims in a row: its weight over the greatest common divisor, scaled
/// so that the largest fits [`WEIGHT_BITS`], at least one unless the weight has always been 0.
fn turns(lasting: &[u32]) -> impl Iterator<Item = u32> + '_ {
    let divisor = lasting.iter().copied().fold(0, greatest_common_divisor).max(1);
    let most = lasting.iter().copied().max().unwrap_or(0) / divisor;
    let shift = (u32::BITS - most.leading_zeros()).saturating_sub(WEIGHT_BITS);
    lasting.iter().map(move |&weight| ((weight / divisor) >> shift).max(weight.min(1)))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Idle, candidates, client};
    use super::*;

    fn table(weights: &[u32]) -> (Vec<Candidate>, Maglev) {
        let list = candidates(weights);
        let table = Maglev::new(&list, weights);
        (list, table)
    }

    fn totals(table: &Maglev, destinations: u32) -> Vec<usize> {
        let total = |index| table.slots.iter().filter(|&&slot| slot == index).count();
        (0..destinations).map(total).collect()
    }

    #[test]
    fn hashes_are_the_kernels() {
        for (word, first, second) in [
            (0, 0x1d5a_77c2, 0xf882_433f),
            (1, 0x16ec_66b2, 0x8210_aad1),
            (0x0a00_0002, 0x41cf_de13, 0xc537_a6e5),
        ] {
            let address = std::net::Ipv4Addr::from_bits(word).into();
            assert_eq!(hash(FIRST_KEY, address, 0, 0), first, "{word:#x}");
            assert_eq!(hash(SECOND_KEY, address, 0, 0), second, "{word:#x}");
        }
    }

    #[test]
    fn permutations_are_the_kernels() {
        let walks: Vec<_> = candidates(&[1, 1, 1])
            .iter()
            .map(|candidate| Permutation::of(candidate, 1))
            .map(|permutation| (permutation.next, permutation.skip))
            .collect();
        assert_eq!(walks, [(1822, 3046), (1207, 845), (3779, 256)]);
    }

    #[test]
    fn tables_are_the_kernels() {
        let (list, even) = table(&[1, 1, 1]);
        assert_eq!(even.slots[..12], [0, 2, 2, 1, 2, 2, 0, 2, 2, 1, 1, 2]);
        assert_eq!(totals(&even, 3), [1365, 1364, 1364]);
        let pick = |last| {
            let flow = client(&format!("10.0.0.{last}"), 7000);
            even.pick(&list, SchedulerFlags::empty(), &Idle, &flow)
        };
        assert_eq!((2..8).map(pick).collect::<Vec<_>>(), [2, 1, 0, 0, 0, 1].map(Some));
        assert_eq!(totals(&table(&[1, 2, 3]).1, 3), [683, 1364, 2046]);
    }

    #[test]
    fn weights_are_scaled_to_turns() {
        let scaled = |weights: &[u32]| turns(weights).collect::<Vec<_>>();
        assert_eq!(scaled(&[4, 0, 2]), [2, 0, 1]);
        assert_eq!(scaled(&[100, 50, 25, 7]), [50, 25, 12, 3]);
        assert_eq!(scaled(&[1_000_000, 1]), [61, 1]);
        assert_eq!(scaled(&[0, 0]), [0, 0]);
        assert!(scaled(&[]).is_empty());
    }

    #[test]
    fn without_weight_there_is_no_pick() {
        let (list, table) = table(&[0, 0]);
        for flags in [SchedulerFlags::empty(), SchedulerFlags::FLAG_1] {
            assert_eq!(table.pick(&list, flags, &Idle, &client("10.0.0.2", 1)), None);
        }
    }

    #[test]
    fn a_list_longer_than_the_table_leaves_it_as_it_was() {
        let (list, before) = table(&[1, 1, 1]);
        let mut longer = candidates(&vec![1; SLOTS + 3]);
        // The three known ones come last, and one of them is gone.
        longer.truncate(SLOTS + 1);
        for (known, index) in [(0, SLOTS - 1), (2, SLOTS)] {
            longer[index] = list[known];
        }
        longer[..SLOTS - 1].iter_mut().for_each(|other| other.id.0 += 1_000_000);
        let after = before.changed(&list, &longer, &vec![1; SLOTS + 1]);
        let expected = [SLOTS as u32 - 1, NOBODY, SLOTS as u32];
        for (old, new) in before.slots.iter().zip(after.slots.iter()) {
            assert_eq!(*new, expected[*old as usize]);
        }
        assert!(Maglev::new(&longer, &vec![1; SLOTS + 1]).slots.iter().all(|&slot| slot == NOBODY));
    }
}
