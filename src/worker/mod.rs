//! One worker: the poll loop and the packet path.
//!
//! The path of a packet, in order. Each step is a file or a folder:
//!
//! 1. `poll` (here): adopt a new snapshot if there is one; receive a burst from every port
//! 2. `ingress`: classify frames: check Ethernet, IP and transport headers and every length; sort packets by family into
//!    a `batch`; prefetch the table bucket, then the entry
//! 3. `fast_path`: packets of established connections that need no further check: rewrite, count, step, send
//! 4. `full_path`: every other packet; its page lists the questions in order
//! 5. `egress`: carries out the `verdict`: transmit buffer, punt, hand-off, counted drop
//! 6. `handoff`: packets that other workers passed on take steps 2 to 5 here
//! 7. `upkeep`: a bounded slice of expiry, `drop_entry` and listings per poll
//!
//! What the steps use: `method` (what each forwarding method does), `track` (what a packet does to its connection),
//! `own_packets` (the same for the packets of the director's own IP host). What they work on: `engine` (a worker's state
//! in parts: `tables` and `fragment_table`, `accounts`, `defence`), `steering` (which worker owns a flow), `stats` (what
//! is counted). `builder` makes the workers and the rings between them.
//!
//! The packet path never allocates, locks, logs, waits or calls the system. Two short locks are exceptions:
//!
//! * one shard of the persistence templates, when a connection is created, becomes established, is confirmed by a second
//!   packet (UDP) or ends
//! * one bucket of an lblc or lblcr map, when a connection is created; if it is locked, the worker goes on without it

mod accounts;
mod batch;
mod builder;
#[cfg(test)]
mod cache_line_tests;
pub(crate) mod defence;
mod egress;
mod engine;
mod fast_path;
mod fragment_ranges;
mod fragment_table;
mod full_path;
mod handoff;
mod host_rings;
mod ingress;
mod method;
mod own_packets;
mod punt;
pub mod stats;
pub mod steering;
mod tables;
mod track;
pub mod upkeep;
mod verdict;

pub use builder::{
    ControlEnd, Injection, SetupError, Shared, Sizing, WorkerBuilder, connect_host, connect_rings,
};
pub use host_rings::HostRings;
pub use punt::PuntReceiver;
pub use upkeep::jobs::{ConnectionPiece, RawConnection, TableJob};

use crate::io::{Burst, Frame, Queue};
use crate::limits::BURST;
use crate::model::PortId;
use crate::snapshot::Adopter;
use crate::time::Instant;
use arrayvec::ArrayVec;
use batch::Batches;
use egress::Egress;
use engine::Engine;
use handoff::{HandoffFrame, HandoffRx};
use host_rings::{HOST_BURST, HostReceiver};
use ingress::Ingress;
use own_packets::count_own_packet;
use rtrb::Consumer;
use upkeep::jobs::JobQueue;
use upkeep::rss_check::QueueCheck;

/// A worker: its snapshot, tables and ends of all rings. Cache-line aligned, so that it shares no line with other
/// memory.
#[repr(align(64))]
pub struct Worker<Q: Queue> {
    snapshot: Adopter,
    engine: Engine<Q::Frame>,
    egress: Egress<Q>,
    batches: Batches<Q::Frame>,
    handoff: HandoffRx<Q::Frame>,
    injections: Consumer<Injection<Q::Frame>>,
    /// Frames of the host's stack; `None` without a kernel interface.
    from_host: Option<HostReceiver<Q::Frame>>,
    jobs: JobQueue,
    /// Indexed by port: the RSS check of its queue.
    checks: Vec<QueueCheck>,
}

impl<Q: Queue> Worker<Q> {
    /// One poll: receives a burst from every port and ring, and does a slice of upkeep. Returns the number of frames
    /// handled.
    pub fn poll(&mut self, now: Instant) -> usize {
        self.engine.set_time(now);
        self.egress.punts.now = now;
        if self.snapshot.adopt() {
            self.engine.adopt_snapshot(self.snapshot.current());
        }
        let mut handled = 0;
        // Before the first configuration there are no addresses, so frames stay in the queue.
        if !self.snapshot.current().interfaces.is_empty() {
            for port in 0..self.egress.lanes.len() {
                handled += self.receive(PortId(port as u16));
            }
        }
        for ring in 0..self.handoff.rings() {
            handled += self.receive_handoffs(ring);
        }
        handled += self.inject();
        handled += self.send_for_host();
        let snapshot = self.snapshot.current();
        upkeep::run(&mut self.engine, snapshot, &self.egress, &mut self.jobs);
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
        if check.is_due(self.engine.clock.now) {
            check.look(&burst, &self.engine.accounts.counters.evidence[port.index()]);
        }
        let count = burst.len();
        for frame in &burst {
            frame.prefetch();
        }
        let mut ingress = self.ingress();
        let bytes = ingress.classify_burst(&mut burst, port);
        ingress.process_burst();
        let queue = &self.engine.accounts.counters.queues[port.index()];
        queue.rx_packets.add(count as u64);
        queue.rx_bytes.add(bytes);
        queue.rx_bursts.add(1);
        count
    }

    /// Handles a burst from another worker's ring.
    fn receive_handoffs(&mut self, ring: usize) -> usize {
        let waiting = self.handoff.waiting(ring).min(BURST);
        if waiting == 0 {
            return 0;
        }
        let Worker { snapshot, engine, egress, batches, handoff: rings, .. } = self;
        let mut all = Ingress { snapshot: snapshot.current(), engine, egress, batches };
        for _ in 0..waiting {
            let Some(HandoffFrame { frame, ingress, handoff }) = rings.receive(ring) else {
                break;
            };
            all.classify(frame, all.ingress_again(ingress), handoff);
        }
        all.process_burst();
        self.engine.accounts.counters.handoff_rx.add(waiting as u64);
        waiting
    }

    fn ingress(&mut self) -> Ingress<'_, Q> {
        let Worker { snapshot, engine, egress, batches, .. } = self;
        Ingress { snapshot: snapshot.current(), engine, egress, batches }
    }

    /// Sends a burst of frames of the control thread.
    fn inject(&mut self) -> usize {
        let waiting = self.injections.slots().min(BURST);
        for _ in 0..waiting {
            let Ok(Injection { port, frame, is_own_packet }) = self.injections.pop() else { break };
            if is_own_packet {
                count_own_packet(&mut self.engine, self.snapshot.current(), &frame);
            }
            // Control frames have no ingress port; their drops are counted on port 0.
            self.egress.send(frame, PortId(0), port);
        }
        waiting
    }

    /// Sends a burst of frames of the host's stack. They are sent as they are: the stack has written the link header.
    fn send_for_host(&mut self) -> usize {
        let Some(ring) = &mut self.from_host else { return 0 };
        let waiting = ring.slots().min(HOST_BURST);
        for _ in 0..waiting {
            let Ok((port, frame)) = ring.pop() else { break };
            self.egress.send(frame, port, port);
        }
        waiting
    }
}

#[cfg(any(test, feature = "testing"))]
impl<Q: Queue> Worker<Q> {
    /// All existing connections take the full path from now on.
    pub fn require_full_path(&mut self) {
        fn all<A: crate::packet::Address>(table: &mut crate::conn::Table<A>) {
            let ids: Vec<_> = table.iter_from(0, usize::MAX).0.map(|(id, _)| id).collect();
            ids.into_iter().for_each(|id| table.get_mut(id).require_full_path());
        }
        all(&mut self.engine.tables.ipv4);
        all(&mut self.engine.tables.ipv6);
    }
}
