//! wrr: a cycle of passes, each asking for less weight than the one before.
//!
//! With step d (the greatest common divisor of the weights) and greatest weight m, the passes ask
//! for m - d + 1, m - 2d + 1, ..., 1; so a destination of weight w is picked in w / d of them.

use super::candidate::{Candidate, Load};
use super::cursor::Cursor;
use super::history::History;

/// The passes that a list of weights makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passes {
    /// What the first pass asks for; 0 if every weight is 0.
    first: u32,
    /// How much less each following pass asks for.
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

    /// The pass to go on with after the list has changed, given the one before.
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

    /// The pass after `weight` that somebody of weight `most` can satisfy.
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
    /// The pass of a cursor that has not picked since the scheduler was set. It is not the first
    /// one: every added destination leaves a pass that still exists as it is.
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
                // Passes that nobody can satisfy are skipped at once: there may be 2^31 of them.
                cursor.weight = self.passes.next(cursor.weight, most);
                (0..candidates.len()).find(|&index| satisfies(index, cursor.weight))?
            }
        };
        cursor.position = index as u32 + 1;
        Some(index)
    }

    /// Everybody is overloaded. A search that began in the middle of the last pass ends where it
    /// began; any other ends with the cycle.
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
