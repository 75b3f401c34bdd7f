//! One receive and transmit queue pair of one port: where a worker meets the wire.

use super::{Mbuf, Mempool, Port};
use crate::io::{Burst, Queue};
use std::ptr;
use std::sync::Arc;

/// A queue pair. Belongs to one worker: it moves between threads and is never shared.
#[derive(Debug)]
pub struct PortQueue {
    port: u16,
    queue: u16,
    mempool: Arc<Mempool>,
    /// Keeps the device running for as long as somebody can poll it.
    owner: Arc<Port>,
}

impl PortQueue {
    pub(super) fn new(owner: Arc<Port>, queue: u16, mempool: Arc<Mempool>) -> PortQueue {
        PortQueue { port: owner.id(), queue, mempool, owner }
    }

    /// Number of the queue in its port.
    pub fn index(&self) -> u16 {
        self.queue
    }

    /// The port it belongs to.
    pub fn port(&self) -> &Arc<Port> {
        &self.owner
    }

    /// Where received frames come from.
    pub fn mempool(&self) -> &Arc<Mempool> {
        &self.mempool
    }
}

impl Queue for PortQueue {
    type Frame = Mbuf;

    #[inline]
    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let held = burst.len();
        let room = burst.remaining_capacity();
        if room == 0 {
            return;
        }
        // SAFETY: `Mbuf` is a transparent non-null pointer, so the unused tail of the burst is room
        // for `room` mbuf pointers. The device writes the first `count` of them, each an mbuf it
        // gives up, and the length is raised by just that. The port runs while `owner` lives, and
        // no other value polls this queue.
        unsafe {
            let tail = burst.as_mut_ptr().add(held).cast();
            let count = dpdk_sys::director_rx_burst(self.port, self.queue, tail, room as u16);
            burst.set_len(held + usize::from(count));
        }
    }

    #[inline]
    fn transmit(&mut self, burst: &mut Burst<Mbuf>) {
        let held = burst.len();
        if held == 0 {
            return;
        }
        // SAFETY: the burst is an array of `held` mbuf pointers. The device takes the first `count`
        // of them for its own; the others move to the front and stay ours.
        unsafe {
            let frames = burst.as_mut_ptr();
            let count =
                dpdk_sys::director_tx_burst(self.port, self.queue, frames.cast(), held as u16);
            let sent = usize::from(count);
            if sent != 0 && sent != held {
                ptr::copy(frames.add(sent), frames, held - sent);
            }
            burst.set_len(held - sent);
        }
    }

    #[inline]
    fn allocate(&mut self) -> Option<Mbuf> {
        self.mempool.allocate()
    }
}
