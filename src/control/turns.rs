//! How long the control thread's turns take, which is what a punt or a request may have to wait, and what takes longest.

use super::state::State;
use crate::query::Turns;
use crate::time::Duration;
use std::time::Instant;

/// A part of a turn that takes longer is named in the log at level `debug`.
const PART_LONG: Duration = Duration::from_millis(1);

impl Turns {
    /// Counts a turn that took so long.
    pub(super) fn note(&mut self, length: Duration) {
        self.longest = self.longest.max(length);
        self.over_1ms += u64::from(length > Duration::from_millis(1));
        self.over_10ms += u64::from(length > Duration::from_millis(10));
    }

    /// Counts a part of a turn: one call of a task, or one slice of other work.
    pub(super) fn note_part(&mut self, name: &'static str, length: Duration) {
        if length > self.longest_part.1 {
            self.longest_part = (name, length);
        }
        if length > PART_LONG {
            log::debug!("`{name}` took {} us of a turn of the control thread", length.as_micros());
        }
    }
}

impl<F> State<F> {
    /// Does a part of a turn, and measures it.
    pub(super) fn measured<R>(
        &mut self,
        part: &'static str,
        work: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let began = Instant::now();
        let result = work(self);
        self.turns.note_part(part, began.elapsed());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_turns_are_counted_and_the_longest_part_is_kept() {
        let mut turns = Turns::default();
        for micros in [10, 1000, 1001, 10_001] {
            turns.note(Duration::from_micros(micros));
        }
        for (part, micros) in [("first", 5), ("second", 9), ("third", 9)] {
            turns.note_part(part, Duration::from_micros(micros));
        }
        let longest = Duration::from_micros(10_001);
        let longest_part = ("second", Duration::from_micros(9));
        assert_eq!(turns, Turns { longest, over_1ms: 2, over_10ms: 1, longest_part });
    }
}
