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
    use proptest::prelude::*;

    /// What is done with the queue.
    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, Option<u64>),
        Advance(usize, u64),
        TakeDue(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..5_usize, proptest::option::of(0..20_u64))
                .prop_map(|(task, at)| Step::Set(task, at)),
            (0..5_usize, 0..20_u64).prop_map(|(task, at)| Step::Advance(task, at)),
            (0..20_u64).prop_map(Step::TakeDue),
        ]
    }

    proptest! {
        #[test]
        fn the_queue_does_what_a_list_of_deadlines_does(steps in proptest::collection::vec(step(), 0..60)) {
            let at = Instant::from_millis;
            let mut timers = Timers::new(5);
            let mut list = [Some(Instant::START); 5];
            for step in steps {
                match step {
                    Step::Set(task, deadline) => {
                        timers.set(task, deadline.map(at));
                        list[task] = deadline.map(at);
                    }
                    Step::Advance(task, deadline) => {
                        timers.advance(task, at(deadline));
                        list[task] = Some(list[task].map_or(at(deadline), |old| old.min(at(deadline))));
                    }
                    Step::TakeDue(now) => {
                        let is_due = |task: &usize| list[*task].is_some_and(|deadline| deadline <= at(now));
                        let mut due: Vec<usize> = (0..5).filter(is_due).collect();
                        due.sort_by_key(|task| (list[*task], *task));
                        due.iter().for_each(|task| list[*task] = None);
                        prop_assert_eq!(timers.take_due(at(now)), due);
                    }
                }
                prop_assert_eq!(timers.next(), list.iter().flatten().min().copied());
            }
        }
    }

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
