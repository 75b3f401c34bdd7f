//! wrr: weighted round robin. A cycle consists of passes; each pass requires less weight than the one before.
//!
//! Let d be the greatest common divisor of the weights and m the greatest weight. The passes require weights
//! m - d + 1, m - 2d + 1, ..., 1. A destination of weight w is picked in w / d passes.

use super::candidate::{Candidate, Load};
use super::cursor::Cursor;
use super::history::History;

/// The passes of one list of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passes {
    /// Weight that the first pass requires; 0 if every weight is 0.
    first: u32,
    /// Difference between the weights that two consecutive passes require.
    step: u32,
    /// Destinations in the list.
    length: u32,
}

impl Passes {
    fn of(candidates: &[Candidate]) -> Self {
        let weights = || candidates.iter().map(|candidate| candidate.weight);
        let step = weights().fold(0, greatest_common_divisor).max(1);
        let most = weights().max().unwrap_or(0);
        Passes { first: most.saturating_sub(step - 1), step, length: candidates.len() as u32 }
    }

    /// The pass that continues the cycle after the list has changed. `before`: the pass until then.
    fn adopt(&self, weight: u32) -> u32 {
        if weight == 0 || weight > self.first {
            self.first
        } else if self.step > 1 {
            weight / self.step * self.step + 1
        } else {
            weight
        }
    }

    /// The pass `count` passes after `weight`; `count` is below the number of passes.
    fn ahead(&self, weight: u32, count: u32) -> u32 {
        let whole = i64::from(self.first) + i64::from(self.step) - 1;
        let ahead = i64::from(weight) - i64::from(count) * i64::from(self.step);
        (if ahead < 1 { ahead + whole } else { ahead }) as u32
    }

    fn count(&self) -> u32 {
        self.first.div_ceil(self.step)
    }

    /// The next pass after `weight` that a destination of weight `most` satisfies.
    fn next(&self, weight: u32, most: u32) -> u32 {
        let next = if weight > self.step { weight - self.step } else { self.first };
        next.min(most - (most - 1) % self.step)
    }
}

pub(super) fn greatest_common_divisor(mut left: u32, mut right: u32) -> u32 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[derive(Clone, Debug)]
pub(super) struct WeightedRoundRobin {
    history: History<Passes>,
    passes: Passes,
    /// The pass of a cursor that has not picked since the scheduler was set. It is not always the first pass: adding a
    /// destination does not change the current pass if that pass still exists.
    initial: u32,
}

impl WeightedRoundRobin {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let passes = Passes::of(candidates);
        WeightedRoundRobin { history: History::new(), passes, initial: passes.first }
    }

    pub(super) fn changed(&self, candidates: &[Candidate]) -> Self {
        let passes = Passes::of(candidates);
        WeightedRoundRobin {
            history: self.history.then(passes),
            passes,
            initial: passes.adopt(self.initial),
        }
    }

    #[inline]
    pub(super) fn pick(
        &self,
        candidates: &[Candidate],
        cursor: &mut Cursor,
        load: &impl Load,
    ) -> Option<usize> {
        if cursor.version != self.history.version() {
            self.catch_up(cursor);
        }
        if self.passes.first == 0 {
            return None;
        }
        let place = (cursor.position as usize).min(candidates.len());
        let satisfies = |index: usize, weight: u32| {
            candidates[index].weight >= weight && !load.overloaded(index)
        };
        let rest = (place..candidates.len()).find(|&index| satisfies(index, cursor.weight));
        let index = match rest {
            Some(index) => index,
            None => {
                let most = (0..candidates.len())
                    .filter(|&index| satisfies(index, 1))
                    .map(|index| candidates[index].weight)
                    .max();
                let Some(most) = most else {
                    self.give_up(cursor);
                    return None;
                };
                // Passes that no destination satisfies are skipped in one step: there may be 2^31 of them.
                cursor.weight = self.passes.next(cursor.weight, most);
                (0..candidates.len()).find(|&index| satisfies(index, cursor.weight))?
            }
        };
        cursor.position = index as u32 + 1;
        Some(index)
    }

    /// All destinations are overloaded. A search that started in the middle of the last pass ends where it started; any
    /// other search ends with the cycle.
    fn give_up(&self, cursor: &mut Cursor) {
        if cursor.position == 0 || cursor.weight > self.passes.step {
            cursor.position = 0;
            cursor.weight = self.passes.first;
        }
    }

    #[cold]
    fn catch_up(&self, cursor: &mut Cursor) {
        let missed = self.history.since(cursor.version);
        match missed {
            Some(missed) => {
                for passes in missed {
                    cursor.position = cursor.offset(passes.length);
                    cursor.weight = passes.adopt(cursor.weight);
                }
            }
            None => {
                cursor.position = cursor.offset(self.passes.length);
                let count = cursor.offset(self.passes.count());
                cursor.weight = self.passes.ahead(self.initial, count);
            }
        }
        cursor.version = self.history.version();
    }
}
