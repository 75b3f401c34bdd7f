//! Model check by loom of the protocol that publishes snapshots to workers. It explores all thread interleavings and
//! the reorderings that weak memory allows. It runs `src/snapshot/publish.rs` itself, on models of its ring, counter
//! and `Arc`.
//!
//! Checked for one worker with three publications and up to five preemptions, and for two workers with two publications
//! and up to three preemptions:
//! * every worker adopts every epoch, in order
//! * no snapshot is read before it is complete or while it is freed
//! * workers free no snapshot; none leaks, none is freed twice
//! * when control sees an epoch as settled, everything that workers did in earlier epochs has happened
//!
//! Assumed: the ring of `rtrb` behaves like `ring.rs`.

#[path = "../../src/snapshot/publish.rs"]
#[allow(dead_code)]
mod publish;
mod ring;

/// Replaces `snapshot::sync`.
mod sync {
    pub(super) use super::ring::{Consumer, Producer, ring};
    pub(super) use loom::sync::Arc;
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

use loom::cell::UnsafeCell;
use loom::thread::{self, ThreadId};
use publish::{Adopter, Publisher, publication};

/// Replaces `snapshot::Snapshot`: its epoch, and fields that detect misuse.
#[derive(Debug, Default)]
struct Snapshot {
    epoch: u64,
    /// Indexed by worker, which alone writes it while it uses the snapshot, without synchronisation.
    touched: [UnsafeCell<u64>; WORKERS],
    /// The thread that may free it.
    owner: Option<ThreadId>,
}

const WORKERS: usize = 2;

// SAFETY: the cells are unprotected on purpose; loom reports every race on them.
unsafe impl Send for Snapshot {}
// SAFETY: as above.
unsafe impl Sync for Snapshot {}

impl Snapshot {
    fn of_control() -> Self {
        let mut snapshot = Snapshot::default();
        snapshot.owner = Some(thread::current().id());
        snapshot
    }

    /// Uses the snapshot like a worker does for one burst.
    fn touch(&self, worker: usize) {
        // SAFETY: only this worker writes here; loom reports it if control reads or frees meanwhile.
        self.touched[worker].with_mut(|touched| unsafe { *touched += 1 });
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        assert_eq!(Some(thread::current().id()), self.owner, "a worker freed a snapshot");
        for cell in &self.touched {
            // SAFETY: no other thread may hold it; the write makes loom report one that still reads.
            cell.with_mut(|touched| unsafe { *touched = u64::MAX });
        }
    }
}

/// Size of a model. No thread waits in a loop, which would have endless interleavings.
#[derive(Clone, Copy)]
struct Bounds {
    workers: usize,
    /// How often a worker looks for a new snapshot.
    polls: usize,
    /// How often control tries to publish.
    tries: usize,
    /// Control keeps the previous snapshot until the next one is settled, then reads it.
    looks_back: bool,
    /// Maximum number of forced thread switches.
    preemptions: usize,
}

/// A worker and its epoch.
struct WorkerBuilder {
    worker: usize,
    adopter: Adopter,
    epoch: u64,
}

impl WorkerBuilder {
    /// One burst, then a look for a new snapshot.
    fn poll(&mut self) {
        self.adopter.current().touch(self.worker);
        if self.adopter.adopt() {
            self.epoch += 1;
        }
        assert_eq!(self.adopter.current().epoch, self.epoch, "an epoch was skipped");
    }
}

/// Publishes while the workers poll; returns the number of publications.
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
                // SAFETY: settled, so no worker uses it; loom reports it if one does.
                cell.with(|touched| unsafe { assert!(*touched < u64::MAX) });
            }
        }
        publisher.collect();
    }
    published
}

/// Runs control and workers in all interleavings; returns the highest number of publications reached.
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
        assert!(publisher.is_settled(), "the worker has not adopted the last snapshot");
        assert!((0..bounds.workers).all(|worker| publisher.acknowledged(worker) == published));
        reached.fetch_max(published, std::sync::atomic::Ordering::Relaxed);
    });
    furthest.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn one_worker_adopts_all_epochs_and_frees_nothing() {
    let bounds = Bounds { workers: 1, polls: 3, tries: 3, looks_back: false, preemptions: 5 };
    assert_eq!(explore(bounds), 3, "control must be able to publish three times");
}

#[test]
fn two_workers_adopt_all_epochs_and_free_nothing() {
    let bounds = Bounds { workers: 2, polls: 2, tries: 2, looks_back: false, preemptions: 3 };
    assert_eq!(explore(bounds), 2);
}

#[test]
fn no_worker_uses_the_previous_snapshot_once_settled() {
    let bounds = Bounds { workers: 2, polls: 2, tries: 2, looks_back: true, preemptions: 3 };
    assert_eq!(explore(bounds), 2);
}
