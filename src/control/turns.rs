//! How long the control thread's turns take: what a punt or a request may have to wait.

use crate::query::Turns;
use crate::time::Duration;

impl Turns {
    /// Counts a turn that took so long.
    pub(super) fn note(&mut self, length: Duration) {
        self.longest = self.longest.max(length);
        self.over_1ms += u64::from(length > Duration::from_millis(1));
        self.over_10ms += u64::from(length > Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_turns_are_counted() {
        let mut turns = Turns::default();
        for micros in [10, 1000, 1001, 10_001] {
            turns.note(Duration::from_micros(micros));
        }
        let longest = Duration::from_micros(10_001);
        assert_eq!(turns, Turns { longest, over_1ms: 2, over_10ms: 1 });
    }
}
