//! The protocol that hands snapshots to workers, run by loom through the interleavings of its threads and through what
//! weak memory may show them: `src/snapshot/publish.rs` itself, on a model of its ring, its counter and its `Arc`.
//!
//! Shown, for one worker and three publications with up to five preemptions, for two workers and two publications with
//! up to three:
//! * every worker adopts every epoch, in order
//! * nobody reads a snapshot that is being freed, or before it is whole
//! * no worker frees one, none is leaked, none is freed twice
//! * once control sees an epoch settled, everything workers did under the ones before has happened
//!
//! Taken on trust: that rtrb's ring is what `ring.rs` models.

#[path = "../../src/snapshot/publish.rs"]
#[allow(dead_code)]
mod publish;
mod ring;

/// In the place of `service::sync`.
mod sync {
    pub(super) use super::ring::{Consumer, Producer, ring};
    pub(super) use loom::sync::Arc;
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

use loom::cell::UnsafeCell;
use loom::thread::{self, ThreadId};
use publish::{Adopter, Publisher, publication};

/// In the place of `service::Snapshot`: what the protocol knows of it, and tell-tales.
#[derive(Debug, Default)]
struct Snapshot {
    epoch: u64,
    /// By worker: touched by it alone while it uses the snapshot, without any synchronisation of its own.
    touched: [UnsafeCell<u64>; WORKERS],
    /// Who may free it.
    owner: Option<ThreadId>,
}

const WORKERS: usize = 2;

// SAFETY: the cells have no protection of their own on purpose; loom reports every race on them.
unsafe impl Send for Snapshot {}
// SAFETY: as above.
unsafe impl Sync for Snapshot {}

impl Snapshot {
    fn of_control() -> Self {
        let mut snapshot = Snapshot::default();
        snapshot.owner = Some(thread::current().id());
        snapshot
    }

    /// As a worker uses it for a burst.
    fn touch(&self, worker: usize) {
        // SAFETY: only this worker writes here; loom reports it if control reads or frees meanwhile.
        self.touched[worker].with_mut(|touched| unsafe { *touched += 1 });
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        assert_eq!(Some(thread::current().id()), self.owner, "a worker freed a snapshot");
        for cell in &self.touched {
            // A write, so that whoever still reads is caught.
            // SAFETY: nobody may hold it any more; loom reports it if somebody does.
            cell.with_mut(|touched| unsafe { *touched = u64::MAX });
        }
    }
}

/// How far one model goes. Nobody waits in it: a loop that spins has no end to its interleavings.
#[derive(Clone, Copy)]
struct Bounds {
    workers: usize,
    /// Times a worker looks for a new snapshot.
    polls: usize,
    /// Times control tries to publish one.
    tries: usize,
    /// Control holds on to the snapshot before until it sees the next one settled, to look at it then.
    looks_back: bool,
    /// Switches away from a thread that could go on.
    preemptions: usize,
}

/// One worker and the epoch it has come to.
struct WorkerBuilder {
    worker: usize,
    adopter: Adopter,
    epoch: u64,
}

impl WorkerBuilder {
    /// A burst, and a look for a new snapshot.
    fn poll(&mut self) {
        self.adopter.current().touch(self.worker);
        if self.adopter.adopt() {
            self.epoch += 1;
        }
        assert_eq!(self.adopter.current().epoch, self.epoch, "an epoch was passed over");
    }
}

/// Control's part while the workers poll; returns what it has published.
fn control(publisher: &mut Publisher, bounds: Bounds) -> u64 {
    let mut published = 0;
    let mut before = None;
    for _ in 0..bounds.tries {
        let last = sync::Arc::clone(publisher.current());
        if publisher.publish(Snapshot::of_control()) {
            published += 1;
            before = bounds.looks_back.then_some(last);
        }
        assert_eq!(publisher.current().epoch, published);
        if publisher.is_settled()
            && let Some(before) = before.take()
        {
            for cell in &before.touched {
                // SAFETY: settled, so that no worker uses it any more; loom reports it if one may.
                cell.with(|touched| unsafe { assert!(*touched < u64::MAX) });
            }
        }
        publisher.collect();
    }
    published
}

/// Runs control and workers against each other in every way; the furthest that control came.
fn explore(bounds: Bounds) -> u64 {
    let furthest = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let reached = std::sync::Arc::clone(&furthest);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(bounds.preemptions);
    model.check(move || {
        let (mut publisher, adopters) = publication(Snapshot::of_control(), bounds.workers);
        let start = |(worker, adopter)| {
            thread::spawn(move || {
                let mut seat = WorkerBuilder { worker, adopter, epoch: 0 };
                (0..bounds.polls).for_each(|_| seat.poll());
                seat
            })
        };
        let threads: Vec<_> = adopters.into_iter().enumerate().map(start).collect();
        let published = control(&mut publisher, bounds);
        let mut seats: Vec<WorkerBuilder> =
            threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        seats.iter_mut().for_each(WorkerBuilder::poll);
        assert!(publisher.is_settled(), "a worker that polls once more is up to date");
        assert!((0..bounds.workers).all(|worker| publisher.acknowledged(worker) == published));
        reached.fetch_max(published, std::sync::atomic::Ordering::Relaxed);
    });
    furthest.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn one_worker_follows_and_frees_nothing() {
    let bounds = Bounds { workers: 1, polls: 3, tries: 3, looks_back: false, preemptions: 5 };
    assert_eq!(explore(bounds), 3, "a worker can keep up");
}

#[test]
fn two_workers_follow_and_free_nothing() {
    let bounds = Bounds { workers: 2, polls: 2, tries: 2, looks_back: false, preemptions: 3 };
    assert_eq!(explore(bounds), 2);
}

#[test]
fn settled_means_that_nobody_uses_the_last_one() {
    let bounds = Bounds { workers: 2, polls: 2, tries: 2, looks_back: true, preemptions: 3 };
    assert_eq!(explore(bounds), 2);
}
