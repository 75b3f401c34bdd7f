//! Output of a worker: transmit buffers, the rings to the control thread, the rings to other workers.

use crate::io::{Burst, Frame, Queue};
use crate::limits::PORTS_MAX;
use crate::model::{IngressId, PortId};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, Role};
use crate::reason::{DropReason, Punt, PuntDetail, PuntReason};
use crate::rewrite;
use crate::snapshot::{Adjacency, NextHop, NextHopId, Snapshot};
use crate::worker::batch::Rx;
use crate::worker::handoff::{Handoff, HandoffTx};
use crate::worker::host_rings::HostSender;
use crate::worker::punt::PuntSender;
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;
use arrayvec::ArrayVec;
use std::net::IpAddr;
use std::sync::Arc;

/// How often a full TX ring is retried before the rest of a buffer is dropped.
const TRANSMIT_TRIES: usize = 4;

/// Maximum fragments of a packet: a full frame at the minimum IPv4 MTU.
const FRAGMENTS_MAX: usize = 64;

const _: () = assert!(PORTS_MAX <= u16::MAX as usize);

/// One port's queue pair, and the frames to send together.
#[repr(align(64))]
pub(super) struct Lane<Q: Queue> {
    pub(super) queue: Q,
    pub(super) buffer: Burst<Q::Frame>,
    /// Bytes of the frames in the buffer.
    pub(super) bytes: u64,
}

/// A worker's ends of all outputs.
pub(super) struct Egress<Q: Queue> {
    /// Indexed by port.
    pub(super) lanes: Vec<Lane<Q>>,
    pub(super) punts: PuntSender<Q::Frame>,
    /// `None` without a kernel interface.
    pub(super) host: Option<HostSender<Q::Frame>>,
    pub(super) handoff: HandoffTx<Q::Frame>,
    pub(super) counters: Arc<WorkerCounters>,
    /// Identification of the last IPv6 packet that was fragmented. Workers start with very different ones, because they
    /// share source addresses.
    pub(super) identification: u32,
}

impl<Q: Queue> Egress<Q> {
    /// Carries out the verdict on a frame with metadata `rx`.
    #[inline(never)]
    pub(super) fn execute<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: Q::Frame,
        rx: &Rx<A>,
        verdict: Verdict,
    ) {
        let (ingress, port) = (rx.ingress, rx.port());
        match verdict {
            Verdict::Send { next_hop } => {
                self.send_to(snapshot, frame, rx, next_hop);
            }
            Verdict::Fragment { next_hop, mtu } => {
                self.send_in_pieces(snapshot, frame, rx, next_hop, mtu);
            }
            Verdict::Resolve => self.resolve(snapshot, frame, rx),
            Verdict::Probe(workers) => {
                let to = workers.first().unwrap_or_default();
                self.hand_off(frame, ingress, to, Handoff::Probing(workers.without(to)));
            }
            Verdict::HandOff { to } => self.hand_off(frame, ingress, to, Handoff::Final),
            Verdict::Punt(PuntReason::UnservedPort | PuntReason::LocalOther)
                if snapshot.interfaces.has_kernel(ingress.interface()) =>
            {
                self.pass_to_host(frame, ingress);
            }
            Verdict::Punt(reason) => self.punt(frame, ingress, reason, PuntDetail::None),
            Verdict::TunnelError(destination) => {
                let detail = PuntDetail::Destination(destination);
                self.punt(frame, ingress, PuntReason::TunnelIcmp, detail);
            }
            Verdict::TooBig(mtu) => {
                self.punt(frame, ingress, PuntReason::FragmentationNeeded, PuntDetail::Mtu(mtu));
            }
            // The caller handles `Hold`; here the hold queue is full.
            Verdict::Hold => self.drop_frame(port, DropReason::FragmentTableFull),
            Verdict::Drop(reason) => self.drop_frame(port, reason),
        }
    }

    /// Writes the next hop's link header and sends the frame. If the next hop is unresolved, the frame is punted.
    pub(super) fn send_to<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: Q::Frame,
        rx: &Rx<A>,
        next_hop: NextHopId,
    ) {
        match snapshot.next_hops.get(next_hop.0 as usize) {
            Some(hop) if hop.resolved => self.send_resolved(frame, rx.port(), &hop.adjacency),
            Some(hop) => self.unresolved(frame, rx, hop),
            None => self.drop_frame(rx.port(), DropReason::NoRoute),
        }
    }

    /// Sends a frame received on `port` to a resolved neighbour.
    #[inline(always)]
    pub(super) fn send_resolved(
        &mut self,
        mut frame: Q::Frame,
        port: PortId,
        adjacency: &Adjacency,
    ) {
        match rewrite::write_link_header(&mut frame, adjacency) {
            true => self.send(frame, port, adjacency.port),
            false => self.drop_frame(port, DropReason::NoHeadroom),
        }
    }

    /// Counts the drop of a frame received on `port`. The caller drops the frame.
    #[inline(never)]
    pub(super) fn drop_frame(&self, port: PortId, reason: DropReason) {
        self.counters.queues[port.index()].drop_of(reason).add(1);
    }

    /// Appends a finished frame received on `port` to the transmit buffer of `egress`.
    #[inline]
    pub(super) fn send(&mut self, frame: Q::Frame, port: PortId, egress: PortId) {
        let Some(lane) = self.lanes.get_mut(egress.index()) else {
            return self.drop_frame(port, DropReason::NoPort);
        };
        lane.bytes += frame.bytes().len() as u64;
        lane.buffer.push(frame);
        if lane.buffer.is_full() {
            self.flush(egress);
        }
    }

    /// Sends the buffer of one port. Frames that the device still refuses after a few tries are dropped and counted.
    #[inline]
    pub(super) fn flush(&mut self, port: PortId) {
        let lane = &mut self.lanes[port.index()];
        let counters = &self.counters.queues[port.index()];
        let packets = lane.buffer.len();
        for _ in 0..TRANSMIT_TRIES {
            lane.queue.transmit(&mut lane.buffer);
            if lane.buffer.is_empty() {
                break;
            }
        }
        let left: u64 = lane.buffer.iter().map(|frame| frame.bytes().len() as u64).sum();
        counters.tx_packets.add((packets - lane.buffer.len()) as u64);
        counters.tx_bytes.add(std::mem::take(&mut lane.bytes) - left);
        if !lane.buffer.is_empty() {
            counters.drop_of(DropReason::TransmitRingFull).add(lane.buffer.len() as u64);
            lane.buffer.clear();
        }
    }

    pub(super) fn flush_all(&mut self) {
        for port in 0..self.lanes.len() {
            if !self.lanes[port].buffer.is_empty() {
                self.flush(PortId(port as u16));
            }
        }
    }

    /// Punts a frame to the control thread, or counts its drop.
    #[inline(never)]
    pub(super) fn punt(
        &mut self,
        frame: Q::Frame,
        ingress: IngressId,
        reason: PuntReason,
        detail: PuntDetail,
    ) {
        match self.punts.push(Punt { interface: ingress.interface(), reason, detail, frame }) {
            Ok(()) => self.counters.queues[ingress.port().index()].punt_of(reason).add(1),
            Err(dropped) => self.drop_frame(ingress.port(), dropped),
        }
    }

    /// Passes a received packet to the host's stack, or counts its drop.
    #[inline(never)]
    fn pass_to_host(&mut self, frame: Q::Frame, ingress: IngressId) {
        let outcome = match &mut self.host {
            Some(host) => host.push(ingress.interface(), frame, self.punts.now),
            None => Err(DropReason::NoLocalHandler),
        };
        match outcome {
            Ok(()) => {
                let queue = &self.counters.queues[ingress.port().index()];
                queue.punt_of(PuntReason::HostStack).add(1);
            }
            Err(dropped) => self.drop_frame(ingress.port(), dropped),
        }
    }

    /// Punts a frame because the next hop of its destination is unresolved.
    #[cold]
    fn resolve<A: WorkerFamily>(&mut self, snapshot: &Snapshot, frame: Q::Frame, rx: &Rx<A>) {
        let to = rx.packet.destination();
        match snapshot.routes.find(to) {
            Some(route) => {
                let address = route.next_hop.unwrap_or(to).to_ip();
                self.unresolved(frame, rx, &NextHop::unresolved(route.interface, address));
            }
            None => self.drop_frame(rx.port(), DropReason::NoRoute),
        }
    }

    #[cold]
    fn unresolved<A: WorkerFamily>(&mut self, mut frame: Q::Frame, rx: &Rx<A>, hop: &NextHop) {
        // An unresolved neighbour's header has no tag, so it fits.
        let _ = rewrite::write_link_header(&mut frame, &hop.adjacency);
        let original_destination = original_destination(&frame, &rx.packet);
        let next_hop = (hop.interface, hop.address);
        let detail = PuntDetail::NextHop { next_hop, original_destination };
        self.punt(frame, rx.ingress, PuntReason::NeighbourUnresolved, detail);
    }

    #[inline(never)]
    fn hand_off(&mut self, frame: Q::Frame, ingress: IngressId, to: u16, handoff: Handoff) {
        match self.handoff.send(frame, ingress, to, handoff) {
            true => self.counters.handoff_tx.add(1),
            false => self.drop_frame(ingress.port(), DropReason::HandoffRingFull),
        }
    }

    /// Fragments a packet: IPv4, or a tunnel's outer packet, whose source is the director. IPv6 packets of other hosts
    /// are never fragmented.
    #[cold]
    fn send_in_pieces<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: Q::Frame,
        rx: &Rx<A>,
        next_hop: NextHopId,
        mtu: u16,
    ) {
        let port = rx.port();
        let Some(hop) = snapshot.next_hops.get(next_hop.0 as usize) else {
            return self.drop_frame(port, DropReason::NoRoute);
        };
        if !hop.resolved {
            return self.unresolved(frame, rx, hop);
        }
        let Some(lane) = self.lanes.get_mut(hop.adjacency.port.index()) else {
            return self.drop_frame(port, DropReason::NoPort);
        };
        let mut pieces: ArrayVec<Q::Frame, FRAGMENTS_MAX> = ArrayVec::new();
        let mut overflow = false;
        let allocate = || lane.queue.allocate();
        let keep = |piece| overflow |= pieces.try_push(piece).is_err();
        let mtu = usize::from(mtu);
        let outcome = match hop.address {
            IpAddr::V4(_) => rewrite::fragment_ipv4(&frame, mtu, allocate, keep),
            IpAddr::V6(_) => {
                self.identification = self.identification.wrapping_add(1);
                rewrite::fragment_ipv6(&frame, mtu, self.identification, allocate, keep)
            }
        };
        match outcome {
            Ok(()) if !overflow => {
                pieces
                    .into_iter()
                    .for_each(|piece| self.send_resolved(piece, port, &hop.adjacency));
            }
            Ok(()) => self.drop_frame(port, DropReason::TooBig),
            Err(reason) => self.drop_frame(port, reason),
        }
    }
}

/// The destination address and port of a client's packet before NAT. `None` for tunnel packets, which have another
/// source.
fn original_destination<A: WorkerFamily>(
    frame: &impl Frame,
    came: &Packet<A>,
) -> Option<(IpAddr, u16)> {
    let sent = A::parse(&frame.bytes()[ETHERNET..]).ok()?;
    let is_request = came.role == Role::Transport && sent.flow.source == came.flow.source;
    let is_translated = sent.flow.destination != came.flow.destination;
    let original_destination = (came.flow.destination.to_ip(), came.flow.destination_port);
    (is_request && is_translated).then_some(original_destination)
}
