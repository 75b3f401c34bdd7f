//! The ring of `rtrb` on loom's memory, with the same loads, stores, orderings and cached indices as its source. Loom
//! reports a slot that is read while it is written or before the write is visible.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use std::cell::Cell;

#[derive(Debug)]
struct Slots<T> {
    /// Number of values taken, and number put.
    head: AtomicUsize,
    tail: AtomicUsize,
    values: Vec<UnsafeCell<Option<T>>>,
}

// SAFETY: as in `rtrb`: only the producer touches free slots, only the consumer filled ones; loom checks it.
unsafe impl<T: Send> Send for Slots<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Slots<T> {}

#[derive(Debug)]
pub struct Producer<T> {
    slots: Arc<Slots<T>>,
    head: Cell<usize>,
    tail: Cell<usize>,
}

#[derive(Debug)]
pub struct Consumer<T> {
    slots: Arc<Slots<T>>,
    head: Cell<usize>,
    tail: Cell<usize>,
}

pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let slots = Arc::new(Slots {
        head: AtomicUsize::new(0),
        tail: AtomicUsize::new(0),
        values: (0..capacity).map(|_| UnsafeCell::new(None)).collect(),
    });
    let producer = Producer { slots: Arc::clone(&slots), head: Cell::new(0), tail: Cell::new(0) };
    (producer, Consumer { slots, head: Cell::new(0), tail: Cell::new(0) })
}

impl<T> Producer<T> {
    pub fn is_full(&self) -> bool {
        let capacity = self.slots.values.len();
        if self.tail.get() - self.head.get() == capacity {
            self.head.set(self.slots.head.load(Ordering::Acquire));
        }
        self.tail.get() - self.head.get() == capacity
    }

    /// Returns the value if the ring is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        let tail = self.tail.get();
        let slot = &self.slots.values[tail % self.slots.values.len()];
        // SAFETY: the slot is free, so the consumer does not touch it.
        slot.with_mut(|slot| unsafe { *slot = Some(value) });
        self.slots.tail.store(tail + 1, Ordering::Release);
        self.tail.set(tail + 1);
        Ok(())
    }
}

impl<T> Consumer<T> {
    pub fn is_empty(&self) -> bool {
        if self.head.get() == self.tail.get() {
            self.tail.set(self.slots.tail.load(Ordering::Acquire));
        }
        self.head.get() == self.tail.get()
    }

    pub fn pop(&mut self) -> Result<T, Empty> {
        if self.is_empty() {
            return Err(Empty);
        }
        let head = self.head.get();
        let slot = &self.slots.values[head % self.slots.values.len()];
        // SAFETY: the slot is filled, so the producer does not touch it.
        let value = slot.with_mut(|slot| unsafe { (*slot).take() });
        self.slots.head.store(head + 1, Ordering::Release);
        self.head.set(head + 1);
        value.ok_or(Empty)
    }
}

#[derive(Debug)]
pub struct Empty;
