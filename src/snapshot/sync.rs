//! Types used by the publication of snapshots: shared ownership, a counter, rings between two threads.
//!
//! They are in their own module so that `tests/publication` can replace them by those of a model checker and check the
//! source of the protocol in every interleaving.

pub(super) use rtrb::{Consumer, Producer};
pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// A ring with one producer, one consumer and room for `capacity` values.
pub(super) fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    rtrb::RingBuffer::new(capacity)
}
