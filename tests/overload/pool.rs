//! A pool that counts its frames and can run empty, and a queue with a limited TX ring.

use director::io::{Burst, Frame, MemoryFrame, Queue};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Default)]
struct Counts {
    held: AtomicUsize,
    max_held: AtomicUsize,
    is_empty: AtomicBool,
}

/// Counts all frames and their maximum.
#[derive(Clone, Debug, Default)]
pub struct Pool(Arc<Counts>);

impl Pool {
    /// A received frame; the device has buffers of its own.
    pub fn frame(&self, bytes: &[u8]) -> PoolFrame {
        let held = self.0.held.fetch_add(1, Relaxed) + 1;
        self.0.max_held.fetch_max(held, Relaxed);
        PoolFrame { frame: MemoryFrame::new(bytes), pool: self.clone() }
    }

    /// A new frame of the director, or `None` while the pool is empty.
    pub fn allocate(&self) -> Option<PoolFrame> {
        (!self.0.is_empty.load(Relaxed)).then(|| self.frame(&[]))
    }

    pub fn set_empty(&self, is_empty: bool) {
        self.0.is_empty.store(is_empty, Relaxed);
    }

    /// Frames in use.
    pub fn held(&self) -> usize {
        self.0.held.load(Relaxed)
    }

    /// Maximum number of frames in use at once.
    pub fn max_held(&self) -> usize {
        self.0.max_held.load(Relaxed)
    }
}

#[derive(Debug)]
pub struct PoolFrame {
    frame: MemoryFrame,
    pool: Pool,
}

impl Drop for PoolFrame {
    fn drop(&mut self) {
        self.pool.0.held.fetch_sub(1, Relaxed);
    }
}

impl Frame for PoolFrame {
    fn bytes(&self) -> &[u8] {
        self.frame.bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.frame.bytes_mut()
    }

    fn prepend(&mut self, count: usize) -> bool {
        self.frame.prepend(count)
    }

    fn trim_front(&mut self, count: usize) -> bool {
        self.frame.trim_front(count)
    }

    fn truncate(&mut self, length: usize) {
        self.frame.truncate(length);
    }

    fn append(&mut self, count: usize) -> bool {
        self.frame.append(count)
    }

    fn is_contiguous(&self) -> bool {
        true
    }

    fn rss_hash(&self) -> Option<u32> {
        None
    }

    fn prefetch(&self) {}
}

#[derive(Debug, Default)]
pub struct Wire {
    pub to_receive: VecDeque<PoolFrame>,
    /// Frames sent; their buffers are freed.
    pub sent: Vec<Vec<u8>>,
    /// The device accepts no frames.
    pub is_stuck: bool,
}

#[derive(Clone, Debug)]
pub struct PoolQueue {
    pub wire: Rc<RefCell<Wire>>,
    pub pool: Pool,
}

impl Queue for PoolQueue {
    type Frame = PoolFrame;

    fn receive(&mut self, burst: &mut Burst<PoolFrame>) {
        let mut wire = self.wire.borrow_mut();
        while !burst.is_full() {
            let Some(frame) = wire.to_receive.pop_front() else { break };
            burst.push(frame);
        }
    }

    fn transmit(&mut self, burst: &mut Burst<PoolFrame>) {
        let mut wire = self.wire.borrow_mut();
        if !wire.is_stuck {
            wire.sent.extend(burst.drain(..).map(|frame| frame.bytes().to_vec()));
        }
    }

    fn allocate(&mut self) -> Option<PoolFrame> {
        self.pool.allocate()
    }
}
