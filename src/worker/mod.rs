//! One worker: the poll loop and a packet's way through it.
//!
//! The way of a burst, in order:
//!
//! 1. `poll`: take a new snapshot if there is one, receive from every port
//! 2. `Passage::admit`: Ethernet, IP, transport; every length checked (`packet::parse`); into a `batch` for each family
//! 3. hash, and ask the cache for the table's buckets; then for the entries
//! 4. `straight`: the packets of a conversation under way, about which nothing has to be asked, are rewritten, counted and
//!    sent at once. About all others `Engine::judge` decides, which finds the connection
//!    * `inbound`: a client's packet: still usable? count, state, forward by method
//!    * `outbound`: a reply: translate, count, state, route
//!    * `related`: an ICMP error about either; `fragments`: what has no ports
//!    * `unknown`: another worker's (`steer`), a `martian`, or new: `schedule`
//!    * `mss`: what a SYN of any of them announces
//! 5. `Output::carry_out`: transmit buffer, punt, hand-off, or a counted drop
//! 6. then a bounded piece of everything else: handed-over packets, control's frames, expiry, listings; last, transmit
//!
//! Nothing here allocates, locks, logs, waits or calls the system, but for the shared templates' brief locks when a
//! connection is made.

pub mod aged;
mod batch;
mod call_out;
mod carried;
mod chores;
pub mod counters;
mod engine;
mod expiry;
mod fragments;
mod inbound;
pub mod ledger;
#[cfg(test)]
mod lines_tests;
mod load;
mod martian;
mod mss;
mod outbound;
mod output;
mod passage;
mod persist;
mod related;
mod schedule;
mod setup;
pub mod steer;
mod straight;
mod tables;
mod tunnel_error;
mod unknown;
mod verdict;
pub mod verify;

pub use chores::{Chore, ConnectionPiece, RawConnection};
pub use output::Handed;
pub use setup::{ControlEnd, Injection, Plan, Seat, SetupError, Shared, mesh};

use crate::limits::BURST;
use crate::model::PortId;
use crate::port::{Burst, Frame, Queue};
use crate::service::Adopter;
use crate::time::Instant;
use arrayvec::ArrayVec;
use batch::Batches;
use crossbeam_utils::CachePadded;
use engine::Engine;
use output::Output;
use passage::Passage;
use rtrb::{Consumer, Producer};
use verify::QueueCheck;

/// Wheel slots and entries looked at per poll.
const EXPIRE_BUDGET: usize = 64;
/// Entries a listing or a sweep looks at per poll: a few microseconds when none of them is in the cache.
const CHORE_BUDGET: usize = 64;

/// See the module. From one cache line's begin to another's end, wherever it lies.
#[repr(align(64))]
pub struct Worker<Q: Queue> {
    snapshot: Adopter,
    engine: Engine<Q::Frame>,
    output: Output<Q>,
    batches: Batches<Q::Frame>,
    /// Each end on lines of its own, as what it has seen of the other end is written with every frame.
    handed: Vec<CachePadded<Consumer<Handed<Q::Frame>>>>,
    injections: Consumer<Injection<Q::Frame>>,
    chores: Consumer<Chore>,
    chore: Option<Chore>,
    done: Producer<Chore>,
    /// By port: a look at the device's first frames.
    checks: Vec<QueueCheck>,
}

impl<Q: Queue> Worker<Q> {
    /// One turn: everything that waits, a burst of each. Returns the frames handled.
    pub fn poll(&mut self, now: Instant) -> usize {
        self.engine.set_time(now);
        if self.snapshot.adopt() {
            self.engine.adopted(self.snapshot.current());
        }
        let mut handled = 0;
        for port in 0..self.output.lanes.len() {
            handled += self.receive(PortId(port as u16));
        }
        for ring in 0..self.handed.len() {
            handled += self.take_over(ring);
        }
        handled += self.inject();
        self.housekeep();
        self.output.flush_all();
        handled
    }

    fn receive(&mut self, port: PortId) -> usize {
        let mut burst: Burst<Q::Frame> = ArrayVec::new();
        self.output.lanes[port.index()].queue.receive(&mut burst);
        if burst.is_empty() {
            return 0;
        }
        let check = &mut self.checks[port.index()];
        if check.is_due(self.engine.now) {
            check.look(&burst, &self.output.counters.evidence[port.index()]);
        }
        let count = burst.len();
        for frame in &burst {
            frame.prefetch();
        }
        let mut passage = self.passage();
        let bytes = passage.admit_burst(&mut burst, port);
        passage.settle();
        let queue = &self.output.counters.queues[port.index()];
        queue.rx_packets.add(count as u64);
        queue.rx_bytes.add(bytes);
        queue.rx_bursts.add(1);
        count
    }

    /// Packets that another worker found to be this one's.
    fn take_over(&mut self, ring: usize) -> usize {
        let waiting = self.handed[ring].slots().min(BURST);
        if waiting == 0 {
            return 0;
        }
        let Worker { snapshot, engine, output, batches, handed, .. } = self;
        let mut passage = Passage { world: snapshot.current(), engine, output, batches };
        for _ in 0..waiting {
            let Ok(Handed { frame, port, visit }) = handed[ring].pop() else { break };
            passage.admit(frame, passage.station(port), visit);
        }
        passage.settle();
        self.output.counters.taken_over.add(waiting as u64);
        waiting
    }

    fn passage(&mut self) -> Passage<'_, Q> {
        let Worker { snapshot, engine, output, batches, .. } = self;
        Passage { world: snapshot.current(), engine, output, batches }
    }

    /// Frames of the control thread, ready to be sent.
    fn inject(&mut self) -> usize {
        let waiting = self.injections.slots().min(BURST);
        for _ in 0..waiting {
            let Ok(Injection { port, frame }) = self.injections.pop() else { break };
            // It came in by no port: what has nowhere to go counts at the first.
            self.output.send(frame, PortId(0), port);
        }
        waiting
    }
}
