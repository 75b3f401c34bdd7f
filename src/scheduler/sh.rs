//! sh: source hashing. The client's address selects the server, so that a client always reaches the same one.

use super::candidate::{Candidate, Flow, Load, eligible};
use super::hash::{folded, golden_ratio};
use crate::model::SchedulerFlags;

const BITS: u32 = 8;
const BUCKETS: usize = 1 << BITS;

/// The candidate of every bucket. Empty if the list is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceHashing {
    buckets: Box<[u32]>,
}

impl SourceHashing {
    /// Assigns the buckets in list order, `weight` at a time. A quiesced destination gets one too: its clients are refused
    /// rather than moved.
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let shares = candidates.iter().enumerate().flat_map(|(index, candidate)| {
            let share = (candidate.weight as usize).clamp(1, BUCKETS);
            std::iter::repeat_n(index as u32, share)
        });
        SourceHashing { buckets: shares.cycle().take(BUCKETS).collect() }
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
            true => u32::from(flow.source_port),
            false => 0,
        };
        let hash = golden_ratio(folded(flow.source).wrapping_add(port), BITS) as usize;
        let usable = |bucket: usize| {
            let index = *self.buckets.get(bucket % BUCKETS)? as usize;
            eligible(candidates, load, index).then_some(index)
        };
        if !flags.contains(SchedulerFlags::FLAG_1) {
            return usable(hash);
        }
        usable(hash).or_else(|| (0..BUCKETS).find_map(|tried| usable(2 * hash + tried)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Idle, candidates, client};
    use super::*;

    #[test]
    fn buckets_follow_the_weights_in_list_order() {
        let table = SourceHashing::new(&candidates(&[1, 2, 3]));
        assert_eq!(table.buckets[..9], [0, 1, 1, 2, 2, 2, 0, 1, 1]);
        let total = |index| table.buckets.iter().filter(|&&bucket| bucket == index).count();
        assert_eq!([total(0), total(1), total(2)], [43, 86, 127]);
    }

    #[test]
    fn picks_are_the_kernels() {
        let list = candidates(&[1, 0, 3]);
        let picks = |flags| {
            let pick = |port| {
                let table = SourceHashing::new(&list);
                let index = table.pick(&list, flags, &Idle, &client("10.0.0.2", port));
                index.map_or('!', |index| ['C', 'B', 'A'][index])
            };
            (7000..7010).map(pick).collect::<String>()
        };
        assert_eq!(picks(SchedulerFlags::FLAG_2), "!A!A!A!ACA");
        assert_eq!(picks(SchedulerFlags::FLAG_2 | SchedulerFlags::FLAG_1), "AAAAAAAACA");
    }

    #[test]
    fn an_empty_list_has_no_pick() {
        let table = SourceHashing::new(&[]);
        for flags in [SchedulerFlags::empty(), SchedulerFlags::FLAG_1] {
            assert_eq!(table.pick(&[], flags, &Idle, &client("10.0.0.2", 1)), None);
        }
    }
}
