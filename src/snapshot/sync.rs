//! What the publication of snapshots stands on: shared ownership, one counter, rings between two threads.
//!
//! A seam of its own, so that `tests/publication` can put a model checker's in their place and run the very source
//! of the protocol through every interleaving.

pub(super) use rtrb::{Consumer, Producer};
pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// A ring with one producer and one consumer and room for `capacity` values.
pub(super) fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    rtrb::RingBuffer::new(capacity)
}
