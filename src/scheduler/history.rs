//! The recent edits of a destination list. A cursor that has not seen them applies them at its next pick.
//!
//! The control thread edits the list, but each worker owns its cursors. So the control thread records the edit here and
//! the worker applies it to its cursor.

use crate::limits::SCHEDULER_EDITS;
use std::sync::atomic::{AtomicU64, Ordering};

/// Source of versions. Versions are unique in the process: a cursor that outlives its service or scheduler matches no
/// version of the next one. 0 is never used.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

fn next_version() -> u64 {
    NEXT_VERSION.fetch_add(1, Ordering::Relaxed)
}

#[derive(Clone, Debug)]
pub(super) struct History<Step> {
    /// The version before the first step.
    base: u64,
    /// Each step with the version it leads to, oldest first.
    steps: Vec<(u64, Step)>,
    /// The version after the last step.
    version: u64,
}

impl<Step: Copy> History<Step> {
    pub(super) fn new() -> Self {
        let version = next_version();
        History { base: version, steps: Vec::new(), version }
    }

    /// This history with one more step.
    pub(super) fn then(&self, step: Step) -> Self {
        let version = next_version();
        let surplus = (self.steps.len() + 1).saturating_sub(SCHEDULER_EDITS);
        let base = match surplus {
            0 => self.base,
            _ => self.steps[surplus - 1].0,
        };
        let kept = self.steps[surplus..].iter().copied();
        let steps = kept.chain([(version, step)]).collect();
        History { base, steps, version }
    }

    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The steps after `version`, oldest first. `None` if the version is unknown or too old.
    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = Step> + '_> {
        let seen = if version == self.base {
            0
        } else {
            self.steps.iter().position(|&(reached, _)| reached == version)? + 1
        };
        Some(self.steps[seen..].iter().map(|&(_, step)| step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_exactly_the_steps_it_missed() {
        let born = History::new();
        let one = born.then('a');
        let two = one.then('b');
        let missed = |version| two.since(version).map(|steps| steps.collect::<String>());
        assert_eq!(missed(born.version()).as_deref(), Some("ab"));
        assert_eq!(missed(one.version()).as_deref(), Some("b"));
        assert_eq!(missed(two.version()).as_deref(), Some(""));
        assert_eq!(missed(0), None);
        assert_eq!(missed(History::<char>::new().version()), None);
    }

    #[test]
    fn old_steps_are_forgotten() {
        let born = History::new();
        let mut history = born.clone();
        let mut versions = vec![born.version()];
        for step in 0..SCHEDULER_EDITS + 10 {
            history = history.then(step);
            versions.push(history.version());
        }
        assert!(history.since(versions[9]).is_none());
        let missed: Vec<_> = history.since(versions[10]).unwrap().collect();
        assert_eq!(missed, (10..SCHEDULER_EDITS + 10).collect::<Vec<_>>());
    }
}
