//! One worker: the poll loop and the packet path.
//!
//! A packet's way, in order. Each step is a file or a folder:
//!
//! 1. `poll` (here): adopt a new snapshot if there is one; receive a burst from every port
//! 2. `ingress`: check Ethernet, IP and transport headers and every length; sort packets by family into a `batch`;
//!    prefetch the table bucket, then the entry
//! 3. `fast_path`: packets of established connections that need no further check: rewrite, count, step, send
//! 4. `full_path`: every other packet; its page lists the questions in order
//! 5. `egress`: carries out the `verdict`: transmit buffer, punt, hand-off, counted drop
//! 6. `handoff`: packets that other workers passed on take steps 2 to 5 here
//! 7. `upkeep`: a bounded slice of expiry, `drop_entry` and listings per poll
//!
//! Beside the steps: `tables` (connection tables of both families), `steering` (which worker owns a flow), `stats` (what
//! is counted), `builder` (workers and the rings between them).
//!
//! The packet path never allocates, locks, logs, waits or calls the system. One exception: the shared table of persistence
//! templates takes a short lock when a connection is created or ends.

mod batch;
mod builder;
#[cfg(test)]
mod cache_line_tests;
mod egress;
mod engine;
mod fast_path;
mod full_path;
mod ingress;
pub mod stats;
pub mod steering;
mod tables;
pub mod upkeep;
mod verdict;

pub use builder::{
    ControlEnd, Injection, SetupError, Shared, Sizing, WorkerBuilder, connect_rings,
};
pub use egress::HandoffFrame;
pub use upkeep::jobs::{ConnectionPiece, RawConnection, TableJob};

use crate::io::{Burst, Frame, Queue};
use crate::limits::BURST;
use crate::model::PortId;
use crate::snapshot::Adopter;
use crate::time::Instant;
use arrayvec::ArrayVec;
use batch::Batches;
use crossbeam_utils::CachePadded;
use egress::Egress;
use engine::Engine;
use ingress::Ingress;
use rtrb::{Consumer, Producer};
use upkeep::rss_check::QueueCheck;

/// Wheel slots and entries looked at per poll.
const EXPIRE_BUDGET: usize = 64;
/// Entries a listing or a sweep looks at per poll: a few microseconds when none of them is in the cache.
const JOB_BUDGET: usize = 64;

/// A worker: its snapshot, its tables and its ends of every ring. Cache-line aligned, so that it shares no line with a
/// neighbouring allocation.
#[repr(align(64))]
pub struct Worker<Q: Queue> {
    snapshot: Adopter,
    engine: Engine<Q::Frame>,
    egress: Egress<Q>,
    batches: Batches<Q::Frame>,
    /// Each end on cache lines of its own, as what it has seen of the other end is written with every frame.
    handoff_rings: Vec<CachePadded<Consumer<HandoffFrame<Q::Frame>>>>,
    injections: Consumer<Injection<Q::Frame>>,
    jobs: Consumer<TableJob>,
    job: Option<TableJob>,
    done: Producer<TableJob>,
    /// By port: a look at the device's first frames.
    checks: Vec<QueueCheck>,
}

impl<Q: Queue> Worker<Q> {
    /// One turn: everything that waits, a burst of each. Returns the frames handled.
    pub fn poll(&mut self, now: Instant) -> usize {
        self.engine.set_time(now);
        if self.snapshot.adopt() {
            self.engine.adopt_snapshot(self.snapshot.current());
        }
        let mut handled = 0;
        for port in 0..self.egress.lanes.len() {
            handled += self.receive(PortId(port as u16));
        }
        for ring in 0..self.handoff_rings.len() {
            handled += self.receive_handoffs(ring);
        }
        handled += self.inject();
        self.housekeep();
        self.egress.flush_all();
        handled
    }

    fn receive(&mut self, port: PortId) -> usize {
        let mut burst: Burst<Q::Frame> = ArrayVec::new();
        self.egress.lanes[port.index()].queue.receive(&mut burst);
        if burst.is_empty() {
            return 0;
        }
        let check = &mut self.checks[port.index()];
        if check.is_due(self.engine.now) {
            check.look(&burst, &self.egress.counters.evidence[port.index()]);
        }
        let count = burst.len();
        for frame in &burst {
            frame.prefetch();
        }
        let mut ingress = self.ingress();
        let bytes = ingress.classify_burst(&mut burst, port);
        ingress.process_burst();
        let queue = &self.egress.counters.queues[port.index()];
        queue.rx_packets.add(count as u64);
        queue.rx_bytes.add(bytes);
        queue.rx_bursts.add(1);
        count
    }

    /// Packets that another worker found to be this one's.
    fn receive_handoffs(&mut self, ring: usize) -> usize {
        let waiting = self.handoff_rings[ring].slots().min(BURST);
        if waiting == 0 {
            return 0;
        }
        let Worker { snapshot, engine, egress, batches, handoff_rings, .. } = self;
        let mut ingress = Ingress { snapshot: snapshot.current(), engine, egress, batches };
        for _ in 0..waiting {
            let Ok(HandoffFrame { frame, port, handoff }) = handoff_rings[ring].pop() else {
                break;
            };
            ingress.classify(frame, ingress.ingress_port(port), handoff);
        }
        ingress.process_burst();
        self.egress.counters.handoff_rx.add(waiting as u64);
        waiting
    }

    fn ingress(&mut self) -> Ingress<'_, Q> {
        let Worker { snapshot, engine, egress, batches, .. } = self;
        Ingress { snapshot: snapshot.current(), engine, egress, batches }
    }

    /// Frames of the control thread, ready to be sent.
    fn inject(&mut self) -> usize {
        let waiting = self.injections.slots().min(BURST);
        for _ in 0..waiting {
            let Ok(Injection { port, frame }) = self.injections.pop() else { break };
            // It came in by no port: what has nowhere to go counts at the first.
            self.egress.send(frame, PortId(0), port);
        }
        waiting
    }
}
