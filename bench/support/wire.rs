//! A queue without a device: it returns prepared mbufs and takes back sent ones. It moves one pointer for each, so that
//! the pipeline is measured and not the queue.

use super::traffic;
use director::dpdk::{Mbuf, Mempool};
use director::io::{Burst, Frame, Queue};
use director::packet::{Address, Tuple};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The far end of one port.
pub struct Wire {
    /// Frames to receive; the last one comes first.
    pub to_receive: Vec<Mbuf>,
    pub sent: Vec<Mbuf>,
}

/// One port's queue pair; the bench holds its [`Wire`].
pub struct WireQueue {
    wire: Rc<RefCell<Wire>>,
    mempool: Arc<Mempool>,
}

impl WireQueue {
    /// A queue and its wire, with room for `frames` frames.
    pub fn new(mempool: &Arc<Mempool>, frames: usize) -> (WireQueue, Rc<RefCell<Wire>>) {
        let wire =
            Wire { to_receive: Vec::with_capacity(frames), sent: Vec::with_capacity(frames) };
        let wire = Rc::new(RefCell::new(wire));
        (WireQueue { wire: Rc::clone(&wire), mempool: Arc::clone(mempool) }, wire)
    }
}

impl Queue for WireQueue {
    type Frame = Mbuf;

    #[inline]
    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let waiting = &mut self.wire.borrow_mut().to_receive;
        let rest = waiting.len().saturating_sub(burst.remaining_capacity());
        burst.extend(waiting.drain(rest..));
    }

    #[inline]
    fn transmit(&mut self, burst: &mut Burst<Mbuf>) {
        self.wire.borrow_mut().sent.extend(burst.drain(..));
    }

    fn allocate(&mut self) -> Option<Mbuf> {
        self.mempool.allocate()
    }
}

/// A used mbuf, or a new one, as received from a device: a packet of `tuple` with `length` bytes.
pub fn fill<A: Address>(mut frame: Mbuf, tuple: &Tuple<A>, tcp_flags: u8, length: usize) -> Mbuf {
    const HEADROOM: usize = 128;
    let grown = HEADROOM - frame.headroom();
    assert!(frame.trim_front(grown), "only a tunnel makes the headroom smaller, by its header");
    frame.truncate(length);
    let short = length - frame.bytes().len();
    assert!(frame.append(short), "an mbuf has room for a full frame");
    traffic::write_headers(frame.bytes_mut(), tuple, tcp_flags);
    frame
}
