//! Frames in, frames out: two traits that DPDK and plain memory implement.

mod memory;

use crate::limits::BURST;
use arrayvec::ArrayVec;

pub use memory::{MemoryFrame, MemoryQueue, MemoryWire};

/// Frames that travel together.
pub type Burst<F> = ArrayVec<F, BURST>;

/// One owned Ethernet frame, released by `Drop`.
pub trait Frame: Send + Sized {
    fn bytes(&self) -> &[u8];
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Grows the front by `count` bytes out of the headroom; false if there is not enough.
    /// The new bytes are undefined until written.
    #[must_use]
    fn prepend(&mut self, count: usize) -> bool;

    /// Cuts `count` bytes off the front; false if the frame is shorter.
    #[must_use]
    fn trim_front(&mut self, count: usize) -> bool;

    /// Cuts the frame to `length` bytes if it is longer.
    fn truncate(&mut self, length: usize);

    /// Grows the end by `count` bytes out of the tailroom; false if there is not enough.
    /// The new bytes are undefined until written.
    #[must_use]
    fn append(&mut self, count: usize) -> bool;

    /// The whole frame lies in one piece of memory. Other frames are dropped and counted.
    fn is_contiguous(&self) -> bool;

    /// The RSS hash the NIC computed, where it reports one.
    fn rss_hash(&self) -> Option<u32>;

    /// Prefetches the first bytes of the frame.
    fn prefetch(&self);
}

/// One receive and transmit queue pair of one port; belongs to one worker.
pub trait Queue {
    type Frame: Frame;

    /// Appends received frames, up to the free capacity of `burst`.
    fn receive(&mut self, burst: &mut Burst<Self::Frame>);

    /// Sends frames from the front. Frames that the device refuses stay in `burst`, in order.
    fn transmit(&mut self, burst: &mut Burst<Self::Frame>);

    /// An empty frame with headroom, for packets that the director creates.
    fn allocate(&mut self) -> Option<Self::Frame>;
}
