//! Publication of snapshots to workers, and the return of old ones.
//!
//! Control puts the same `Arc` into a single-producer ring of each worker. Between bursts a worker takes the new
//! snapshot from its ring, returns the old one over a second ring, and stores the epoch that it now uses. Control
//! publishes the next snapshot only after all workers have acknowledged. So every worker sees every snapshot, and only
//! control drops the last reference: workers never free. `tests/publication` checks this for every interleaving.

use super::Snapshot;
use super::sync::{Arc, AtomicU64, Consumer, Ordering, Producer, ring};

/// Capacity of a ring. One snapshot at most is on its way to a worker, because control waits for the acknowledgement;
/// the rest is room for returned ones that control has not collected yet.
const RING: usize = 4;

/// Control's end.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<Snapshot>,
    workers: Vec<WorkerChannel>,
}

#[derive(Debug)]
struct WorkerChannel {
    new: Producer<Arc<Snapshot>>,
    old: Consumer<Returned>,
    acknowledged: Arc<Acknowledged>,
}

/// The epoch that a worker uses, on a cache line that no other worker writes.
#[derive(Debug)]
#[repr(align(64))]
struct Acknowledged(AtomicU64);

/// A returned snapshot. The alignment puts the ring slots of two workers on different cache lines.
#[derive(Debug)]
#[repr(align(64))]
struct Returned(#[allow(dead_code)] Arc<Snapshot>);

/// A worker's end.
#[derive(Debug)]
pub struct Adopter {
    current: Arc<Snapshot>,
    new: Consumer<Arc<Snapshot>>,
    old: Producer<Returned>,
    acknowledged: Arc<Acknowledged>,
}

/// Creates the ends for control and `workers` workers, which all start with `first`.
pub fn publication(first: Snapshot, workers: usize) -> (Publisher, Vec<Adopter>) {
    let current = Arc::new(first);
    let (channels, adopters) = (0..workers)
        .map(|_| {
            let (new, new_end) = ring(RING);
            let (old_end, old) = ring(RING);
            let acknowledged = Arc::new(Acknowledged(AtomicU64::new(current.epoch)));
            let adopter = Adopter {
                current: Arc::clone(&current),
                new: new_end,
                old: old_end,
                acknowledged: Arc::clone(&acknowledged),
            };
            (WorkerChannel { new, old, acknowledged }, adopter)
        })
        .unzip();
    (Publisher { current, workers: channels }, adopters)
}

impl Publisher {
    pub fn current(&self) -> &Arc<Snapshot> {
        &self.current
    }

    /// True if every worker uses the newest snapshot.
    pub fn is_settled(&self) -> bool {
        self.workers.iter().all(|channel| channel.acknowledged() == self.current.epoch)
    }

    /// The epoch that a worker has acknowledged.
    pub fn acknowledged(&self, worker: usize) -> u64 {
        self.workers[worker].acknowledged()
    }

    /// Publishes a new snapshot to every worker with the next epoch.
    ///
    /// False if a worker has not acknowledged the previous snapshot; then nothing is published.
    #[must_use]
    pub fn publish(&mut self, mut snapshot: Snapshot) -> bool {
        self.collect();
        if !self.is_settled() {
            return false;
        }
        snapshot.epoch = self.current.epoch + 1;
        self.current = Arc::new(snapshot);
        for channel in &mut self.workers {
            // All workers have acknowledged, so the rings are empty.
            let _ = channel.new.push(Arc::clone(&self.current));
        }
        true
    }

    /// Frees the snapshots that workers have returned.
    pub fn collect(&mut self) {
        for channel in &mut self.workers {
            while channel.old.pop().is_ok() {}
        }
    }
}

impl WorkerChannel {
    fn acknowledged(&self) -> u64 {
        self.acknowledged.0.load(Ordering::Acquire)
    }
}

impl Adopter {
    #[inline]
    pub fn current(&self) -> &Arc<Snapshot> {
        &self.current
    }

    /// Takes the next snapshot, if there is one; true if it did. Called between bursts.
    #[inline]
    pub fn adopt(&mut self) -> bool {
        if self.new.is_empty() || self.old.is_full() {
            return false;
        }
        let Ok(new) = self.new.pop() else { return false };
        let epoch = new.epoch;
        let old = std::mem::replace(&mut self.current, new);
        // There is room, as was checked, so the old snapshot is never dropped here.
        let _ = self.old.push(Returned(old));
        self.acknowledged.0.store(epoch, Ordering::Release);
        true
    }
}

#[cfg(test)]
impl Adopter {
    /// Address and length of the memory that this worker writes and others read.
    pub(crate) fn written(&self) -> Vec<(&'static str, usize, usize)> {
        let acknowledged: *const Acknowledged = &*self.acknowledged;
        vec![("epoch", acknowledged.addr(), size_of::<Acknowledged>())]
    }
}
