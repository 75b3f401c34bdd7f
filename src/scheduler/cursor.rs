//! The state that one worker keeps between two picks of one service.

use crate::model::WorkerId;

/// A worker's place in the rotation of one service. Plain data that only its worker touches;
/// `Default` is the only worker of a director that has not picked yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Version of the list that the position refers to; 0 before the first pick.
    pub(super) version: u64,
    /// State of the random number generator of `twos`.
    random: u64,
    /// Where the next scan starts: 0 is the head of the list, i + 1 is just behind candidate i.
    pub(super) position: u32,
    /// wrr: the weight that a destination needs in the current pass.
    pub(super) weight: u32,
    worker: u16,
    workers: u16,
}

const _: () = assert!(size_of::<Cursor>() <= 32);

impl Cursor {
    /// The initial cursor of one of `workers` workers. Worker 0 starts where the kernel starts. The others start elsewhere
    /// in the list, so that they do not all pick the same destination first.
    pub fn starting_at(worker: WorkerId, workers: u16) -> Self {
        let random = u64::from(worker.0) << 32;
        Cursor { random, worker: worker.0, workers, ..Cursor::default() }
    }

    /// This worker's share of the way through `length` things: 0 for worker 0, always below `length`
    /// unless that is 0.
    #[inline]
    pub(super) fn offset(&self, length: u32) -> u32 {
        let workers = u64::from(self.workers).max(1);
        let worker = u64::from(self.worker) % workers;
        (worker * u64::from(length) / workers) as u32
    }

    /// A uniform number below `bound` (splitmix64, then Lemire's multiplication).
    #[inline]
    pub(super) fn random_below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_start_evenly_spread() {
        let offsets = |workers, length| {
            let offset = |worker| Cursor::starting_at(WorkerId(worker), workers).offset(length);
            (0..workers).map(offset).collect::<Vec<_>>()
        };
        assert_eq!(offsets(4, 8), [0, 2, 4, 6]);
        assert_eq!(offsets(3, 2), [0, 0, 1]);
        assert_eq!(offsets(2, 0), [0, 0]);
        assert_eq!(Cursor::default().offset(9), 0);
    }

    #[test]
    fn random_numbers_cover_their_range_evenly() {
        let mut cursor = Cursor::starting_at(WorkerId(3), 8);
        let mut seen = [0; 7];
        for _ in 0..7_000 {
            seen[cursor.random_below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
    }
}
