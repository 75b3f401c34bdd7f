//! Frames and queues in plain memory, for tests and benches of the real packet path.

use super::{Burst, Frame, Queue};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

const HEADROOM: usize = 128;
/// Largest frame in bytes, header included: the data room of one DPDK mbuf.
const ROOM: usize = 2048;

/// A frame in its own buffer, with the headroom and tailroom of an mbuf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFrame {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl MemoryFrame {
    pub fn new(bytes: &[u8]) -> Self {
        let mut buffer = vec![0; HEADROOM + ROOM.max(bytes.len())];
        buffer[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        MemoryFrame { buffer, start: HEADROOM, end: HEADROOM + bytes.len() }
    }
}

impl Frame for MemoryFrame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    fn prepend(&mut self, count: usize) -> bool {
        let fits = count <= self.start;
        if fits {
            self.start -= count;
        }
        fits
    }

    fn trim_front(&mut self, count: usize) -> bool {
        let fits = count <= self.end - self.start;
        if fits {
            self.start += count;
        }
        fits
    }

    fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start + length);
    }

    fn append(&mut self, count: usize) -> bool {
        let fits = count <= self.buffer.len() - self.end;
        if fits {
            self.end += count;
        }
        fits
    }

    fn is_contiguous(&self) -> bool {
        true
    }

    fn rss_hash(&self) -> Option<u32> {
        None
    }

    fn prefetch(&self) {}
}

/// Replaces the wire: frames to receive and frames that were sent.
#[derive(Debug, Default)]
pub struct MemoryWire {
    pub to_receive: VecDeque<MemoryFrame>,
    pub sent: Vec<MemoryFrame>,
    /// Number of frames that the device still accepts. `None`: no limit.
    pub transmit_room: Option<usize>,
}

/// A queue whose other end is a [`MemoryWire`] shared with the test.
#[derive(Clone, Debug, Default)]
pub struct MemoryQueue {
    pub wire: Rc<RefCell<MemoryWire>>,
}

impl Queue for MemoryQueue {
    type Frame = MemoryFrame;

    fn receive(&mut self, burst: &mut Burst<MemoryFrame>) {
        let mut wire = self.wire.borrow_mut();
        while !burst.is_full() {
            let Some(frame) = wire.to_receive.pop_front() else { break };
            burst.push(frame);
        }
    }

    fn transmit(&mut self, burst: &mut Burst<MemoryFrame>) {
        let mut wire = self.wire.borrow_mut();
        let count = wire.transmit_room.unwrap_or(burst.len()).min(burst.len());
        if let Some(room) = &mut wire.transmit_room {
            *room -= count;
        }
        wire.sent.extend(burst.drain(..count));
    }

    fn allocate(&mut self) -> Option<MemoryFrame> {
        Some(MemoryFrame::new(&[]))
    }
}
