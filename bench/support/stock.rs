//! Traffic without a device: prepared frames, copied to mbufs that are reused when they are sent.

use super::traffic;
use director::dpdk::{Mbuf, Mempool};
use director::io::{Burst, Frame, Queue};
use director::model::{Family, Protocol};
use director::packet::{Tuple, ethernet};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// A complete frame of minimum length.
pub type Prepared = [u8; ethernet::SHORTEST];

/// Mbufs that a worker keeps; more return to the pool for other workers.
const KEEP: usize = 1024;

/// A frame with a UDP packet of `tuple`.
pub fn prepare(tuple: &Tuple<u32>) -> Prepared {
    assert_eq!(traffic::shortest(Family::Ipv4, Protocol::Udp), ethernet::SHORTEST);
    let mut frame = [0; ethernet::SHORTEST];
    traffic::write_headers(&mut frame, tuple, 0);
    frame
}

/// The unused mbufs of one worker.
#[derive(Clone)]
pub struct Stock {
    spare: Rc<RefCell<Vec<Mbuf>>>,
    mempool: Arc<Mempool>,
}

impl Stock {
    pub fn new(mempool: &Arc<Mempool>) -> Stock {
        let spare = Rc::new(RefCell::new(Vec::with_capacity(KEEP)));
        Stock { spare, mempool: Arc::clone(mempool) }
    }

    /// Copies `prepared` to an mbuf; `None` if all are in use.
    #[inline]
    pub fn fill(&self, prepared: &Prepared) -> Option<Mbuf> {
        let mut frame = self.spare.borrow_mut().pop().or_else(|| self.mempool.allocate())?;
        let short = prepared.len() - frame.bytes().len();
        if short != 0 {
            assert!(frame.append(short), "an mbuf has room for a frame of minimum length");
        }
        frame.bytes_mut().copy_from_slice(prepared);
        Some(frame)
    }

    /// Takes back sent frames.
    #[inline]
    pub fn take_back(&self, burst: &mut Burst<Mbuf>) {
        let mut spare = self.spare.borrow_mut();
        let room = KEEP - spare.len();
        spare.extend(burst.drain(..room.min(burst.len())));
        burst.clear();
    }
}

/// The frames that a port receives, repeated endlessly; nothing while empty.
#[derive(Default)]
pub struct Script {
    frames: Vec<Prepared>,
    next: usize,
}

impl Script {
    /// Replaces the frames by those of `tuples`, in this order.
    pub fn play(&mut self, tuples: impl IntoIterator<Item = Tuple<u32>>) {
        self.frames = tuples.into_iter().map(|tuple| prepare(&tuple)).collect();
        self.next = 0;
    }
}

/// A port that is always busy: every call receives a full burst, and everything is sent.
pub struct Source {
    script: Rc<RefCell<Script>>,
    stock: Stock,
}

impl Source {
    pub fn new(stock: &Stock) -> (Source, Rc<RefCell<Script>>) {
        let script = Rc::new(RefCell::new(Script::default()));
        (Source { script: Rc::clone(&script), stock: stock.clone() }, script)
    }
}

impl Queue for Source {
    type Frame = Mbuf;

    #[inline]
    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let Script { frames, next } = &mut *self.script.borrow_mut();
        while !burst.is_full() && !frames.is_empty() {
            let Some(frame) = self.stock.fill(&frames[*next]) else { return };
            burst.push(frame);
            *next = if *next + 1 == frames.len() { 0 } else { *next + 1 };
        }
    }

    #[inline]
    fn transmit(&mut self, burst: &mut Burst<Mbuf>) {
        self.stock.take_back(burst);
    }

    fn allocate(&mut self) -> Option<Mbuf> {
        self.stock.mempool.allocate()
    }
}
