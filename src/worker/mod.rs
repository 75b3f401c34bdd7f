//! One worker: the poll loop and a packet's way through it.
//!
//! The way of a burst, in order:
//!
//! 1. `poll`: take a new snapshot if there is one, receive from every port
//! 2. `classify`: Ethernet, IP, transport; every length checked (`packet::parse`); into a `batch` for each family
//! 3. hash, and ask the cache for the table's buckets; then for the entries
//! 4. `Engine::judge` finds the connection:
//!    * `inbound`: a client's packet: still usable? count, state, forward by method
//!    * `outbound`: a reply: translate, count, state, route
//!    * `related`: an ICMP error about either; `fragments`: what has no ports
//!    * `unknown`: another worker's (`steer`), a `martian`, or new: `schedule`
//! 5. `Output::dispatch`: transmit buffer, punt, hand-off, or a counted drop
//! 6. then a bounded piece of everything else: handed-over packets, control's frames, expiry, listings; last, transmit
//!
//! Nothing here allocates, locks, logs, waits or calls the system, but for the shared templates' brief locks when a
//! connection is made.

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
mod load;
mod martian;
mod outbound;
mod output;
mod persist;
mod related;
mod schedule;
mod setup;
pub mod steer;
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
use crate::packet::ethernet::{self, ETHERNET};
use crate::packet::{Fragment, Role};
use crate::port::{Burst, Frame, Queue};
use crate::service::{Adopter, Snapshot};
use crate::stop::{DropReason, PuntReason};
use crate::time::Instant;
use arrayvec::ArrayVec;
use batch::{Batch, Parsed};
use engine::Engine;
use fragments::{Datagram, Fate};
use output::Output;
use rtrb::{Consumer, Producer};
use tables::{Flows, Tables};
use verdict::{Verdict, Visit};
use verify::QueueCheck;

/// Wheel slots and entries looked at per poll.
const EXPIRE_BUDGET: usize = 64;
/// Entries a listing or a sweep looks at per poll: a few microseconds when none of them is in the cache.
const CHORE_BUDGET: usize = 64;

/// See the module.
pub struct Worker<Q: Queue> {
    snapshot: Adopter,
    engine: Engine<Q::Frame>,
    output: Output<Q>,
    handed: Vec<Consumer<Handed<Q::Frame>>>,
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
        let mut bytes = 0;
        for frame in &burst {
            frame.prefetch();
        }
        let (mut ipv4, mut ipv6) = (Batch::new(), Batch::new());
        for frame in burst.drain(..) {
            bytes += frame.bytes().len() as u64;
            self.classify(frame, port, Visit::First, &mut ipv4, &mut ipv6);
        }
        let queue = &self.output.counters.queues[port.index()];
        queue.rx_packets.add(count as u64);
        queue.rx_bytes.add(bytes);
        queue.rx_bursts.add(1);
        self.settle::<u32>(&mut ipv4);
        self.settle::<u128>(&mut ipv6);
        count
    }

    /// Packets that another worker found to be this one's.
    fn take_over(&mut self, ring: usize) -> usize {
        let waiting = self.handed[ring].slots().min(BURST);
        if waiting == 0 {
            return 0;
        }
        let (mut ipv4, mut ipv6) = (Batch::new(), Batch::new());
        for _ in 0..waiting {
            let Ok(Handed { frame, port, visit }) = self.handed[ring].pop() else { break };
            self.classify(frame, port, visit, &mut ipv4, &mut ipv6);
        }
        self.output.counters.taken_over.add(waiting as u64);
        self.settle::<u32>(&mut ipv4);
        self.settle::<u128>(&mut ipv6);
        waiting
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

    /// Parses a frame and puts it with its family's; what is not IP leaves here.
    #[inline(always)]
    fn classify(
        &mut self,
        frame: Q::Frame,
        port: PortId,
        visit: Visit,
        ipv4: &mut Batch<Q::Frame, u32>,
        ipv6: &mut Batch<Q::Frame, u128>,
    ) {
        let world: &Snapshot = self.snapshot.current();
        let Tables { ipv4: table4, ipv6: table6 } = &self.engine.tables;
        let to_group = match admit(world, &frame, port) {
            Ok(to_group) => to_group,
            Err(reason) => return self.output.drop_frame(port, reason),
        };
        let outcome = match ethernet::ethernet_type(frame.bytes()) {
            ethernet::TYPE_IPV4 => ipv4.add(table4, frame, to_group, port, visit),
            ethernet::TYPE_IPV6 => ipv6.add(table6, frame, to_group, port, visit),
            ethernet::TYPE_ARP => {
                return self.output.punt(frame, port, PuntReason::Arp, 0);
            }
            _ => Err(DropReason::BadEthernet),
        };
        if let Err(reason) = outcome {
            self.output.drop_frame(port, reason);
        }
    }
}

impl<Q: Queue> Worker<Q> {
    /// Looks a batch of parsed packets up and sends each on its way.
    #[inline(never)]
    fn settle<A: Flows>(&mut self, batch: &mut Batch<Q::Frame, A>) {
        let table = A::table(&self.engine.tables);
        for parsed in &mut batch.parsed {
            parsed.guess = table.prefetch_entry(parsed.hash);
        }
        for (frame, parsed) in batch.frames.drain(..).zip(&batch.parsed) {
            self.handle(frame, parsed);
        }
    }

    #[inline(always)]
    fn handle<A: Flows>(&mut self, mut frame: Q::Frame, parsed: &Parsed<A>) {
        if parsed.packet.fragment != Fragment::Whole {
            return self.handle_fragment(frame, parsed);
        }
        let world: &Snapshot = self.snapshot.current();
        let verdict = self.engine.judge(world, &mut frame, parsed);
        self.output.dispatch(world, frame, parsed, verdict);
    }

    /// The first fragment of a datagram shows the way; one that comes before it may have to wait.
    #[cold]
    fn handle_fragment<A: Flows>(&mut self, mut frame: Q::Frame, parsed: &Parsed<A>) {
        let world: &Snapshot = self.snapshot.current();
        let verdict = self.engine.judge(world, &mut frame, parsed);
        match (verdict, parsed.packet.fragment) {
            (Verdict::Wait, _) => self.wait(frame, parsed),
            (_, Fragment::First) => self.handle_first_fragment(frame, parsed, verdict),
            _ => self.output.dispatch(world, frame, parsed, verdict),
        }
    }

    fn wait<A: Flows>(&mut self, frame: Q::Frame, parsed: &Parsed<A>) {
        let now_ms = self.engine.now_ms;
        let fragments = A::fragments_mut(&mut self.engine);
        if fragments.wait(Datagram::of(&parsed.packet), frame, parsed.port, now_ms).is_err() {
            self.output.drop_frame(parsed.port, DropReason::FragmentTableFull);
        }
    }

    /// Remembers where the first fragment of a datagram goes and sends after it those that came before.
    fn handle_first_fragment<A: Flows>(
        &mut self,
        frame: Q::Frame,
        parsed: &Parsed<A>,
        verdict: Verdict,
    ) {
        let datagram = Datagram::of_first(&frame, &parsed.packet);
        let fate = match verdict {
            Verdict::HandOff { to, .. } => Fate::Worker(to),
            Verdict::Drop(reason) => Fate::Dropped(reason),
            Verdict::Punt(reason) => Fate::Punted(reason),
            // Its tuple is the quoted packet's, and no connection takes it in pieces.
            _ if parsed.packet.role == Role::IcmpError => Fate::Transit,
            _ => match A::table(&self.engine.tables).find(parsed.hash, &parsed.packet.tuple) {
                Some((id, direction)) => Fate::Connection(id, direction),
                None => Fate::Transit,
            },
        };
        let now_ms = self.engine.now_ms;
        A::fragments_mut(&mut self.engine).remember(datagram, fate, now_ms);
        self.output.dispatch(self.snapshot.current(), frame, parsed, verdict);
        while let Some((mut frame, port)) = A::fragments_mut(&mut self.engine).release(&datagram) {
            let world: &Snapshot = self.snapshot.current();
            let mut waited = Parsed::new(port, Visit::First);
            match A::parse_into(&frame.bytes()[ETHERNET..], &mut waited.packet) {
                Ok(()) => {
                    let verdict = self.engine.judge(world, &mut frame, &waited);
                    self.output.dispatch(world, frame, &waited, verdict);
                }
                Err(reason) => self.output.drop_frame(port, reason),
            }
        }
    }
}

/// Whether a frame concerns the director at all, and then whether it was sent to a group on the link.
#[inline]
fn admit(world: &Snapshot, frame: &impl Frame, port: PortId) -> Result<bool, DropReason> {
    if !frame.is_contiguous() {
        return Err(DropReason::NotContiguous);
    }
    let bytes = frame.bytes();
    if bytes.len() < ETHERNET {
        return Err(DropReason::TooShort);
    }
    // Compared where it lies.
    let is_own = world.links.get(port.index()).is_some_and(|link| bytes.starts_with(&link.mac));
    let to_group = bytes[0] & ethernet::GROUP != 0;
    if is_own || to_group { Ok(to_group) } else { Err(DropReason::NotForUs) }
}
