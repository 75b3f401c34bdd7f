//! One queue of deadlines for all tasks of the control thread.

use crate::time::Instant;
use std::collections::BTreeSet;

/// The next deadline of each task; a task has one at most.
#[derive(Debug)]
pub(super) struct Timers {
    queue: BTreeSet<(Instant, usize)>,
    /// By task.
    deadlines: Vec<Option<Instant>>,
}

impl Timers {
    /// Every task is due at once.
    pub(super) fn new(tasks: usize) -> Self {
        let mut timers = Timers { queue: BTreeSet::new(), deadlines: vec![None; tasks] };
        (0..tasks).for_each(|task| timers.set(task, Some(Instant::START)));
        timers
    }

    /// Replaces the deadline of a task; `None`: it waits for punts and events alone.
    pub(super) fn set(&mut self, task: usize, deadline: Option<Instant>) {
        if let Some(old) = std::mem::replace(&mut self.deadlines[task], deadline) {
            self.queue.remove(&(old, task));
        }
        self.queue.extend(deadline.map(|deadline| (deadline, task)));
    }

    /// The task is due at `deadline`, or earlier if it was to be.
    pub(super) fn advance(&mut self, task: usize, deadline: Instant) {
        if self.deadlines[task].is_none_or(|old| deadline < old) {
            self.set(task, Some(deadline));
        }
    }

    /// Tasks whose deadline has come, the earliest first. They have none until the next [`Self::set`].
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<usize> {
        let later = self.queue.split_off(&(now, usize::MAX));
        let due = std::mem::replace(&mut self.queue, later);
        due.into_iter()
            .map(|(_, task)| {
                self.deadlines[task] = None;
                task
            })
            .collect()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let at = Instant::from_millis;
        let mut timers = Timers::new(3);
        assert_eq!(timers.take_due(at(1)), [0, 1, 2]);
        assert_eq!(timers.next(), None);
        timers.set(0, Some(at(30)));
        timers.set(1, Some(at(20)));
        timers.advance(0, at(40));
        assert_eq!(timers.next(), Some(at(20)));
        timers.advance(0, at(10));
        assert_eq!((timers.take_due(at(19)), timers.next()), (vec![0], Some(at(20))));
        timers.set(1, None);
        assert_eq!((timers.take_due(at(99)), timers.next()), (vec![], None));
    }
}
