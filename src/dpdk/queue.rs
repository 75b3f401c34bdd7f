//! One receive and transmit queue pair of one port, owned by one worker.

use super::{Device, Mbuf, Mempool, Port, PortSettings, Result, Rss};
use crate::io::{Burst, Queue};
use crate::limits::BURST;
use std::ptr;
use std::sync::Arc;

/// A queue pair. Belongs to one worker: it moves between threads and is never shared.
#[derive(Debug)]
pub struct PortQueue {
    port: u16,
    queue: u16,
    mempool: Arc<Mempool>,
    /// Keeps the device running while this queue exists.
    owner: Arc<Port>,
}

impl Port {
    /// Configures and starts `device`. `mempools` are those of the queues in their order; the last
    /// one serves all further queues. Queue `n` of the answer belongs to worker `n`.
    ///
    /// # Errors
    /// The device has fewer queues or a smaller MTU than asked: it stays as it was. Or its driver
    /// refuses a step: then the device is closed.
    ///
    /// # Panics
    /// If `mempools` is empty.
    pub fn start(
        device: Device,
        settings: &PortSettings,
        mempools: &[Arc<Mempool>],
    ) -> Result<(Arc<Port>, Vec<PortQueue>)> {
        #[expect(clippy::expect_used, reason = "documented above: the caller passes at least one")]
        let last = mempools.last().expect("a port needs a mempool");
        let pools: Vec<Arc<Mempool>> = (0..usize::from(settings.queues))
            .map(|queue| Arc::clone(mempools.get(queue).unwrap_or(last)))
            .collect();
        let port = Arc::new(Port::open(device, settings, &pools)?);
        let mut queues: Vec<PortQueue> = (0..)
            .zip(pools)
            .map(|(queue, mempool)| {
                let owner = Arc::clone(&port);
                PortQueue { port: port.id(), queue, mempool, owner }
            })
            .collect();
        if !matches!(port.rss(), Rss::None { .. }) {
            let (received, _) = port.descriptors();
            queues.iter_mut().for_each(|queue| discard_waiting(queue, received));
        }
        Ok((port, queues))
    }
}

impl PortQueue {
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

/// Drops the frames that wait on a queue. A device receives as soon as it is started. It uses a redirection table of its
/// own until ours is written, so earlier frames may be on the wrong queue.
fn discard_waiting(queue: &mut PortQueue, descriptors: u16) {
    let mut burst = Burst::new();
    for _ in 0..usize::from(descriptors).div_ceil(BURST) {
        queue.receive(&mut burst);
        if burst.is_empty() {
            break;
        }
        Mbuf::free_all(&mut burst);
    }
}
