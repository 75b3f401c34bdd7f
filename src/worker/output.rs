//! Where packets leave a worker: transmit buffers, the ring to the control thread, the rings to other workers.

use super::counters::WorkerCounters;
use super::tables::Flows;
use super::verdict::{Verdict, Visit};
use crate::forward::{self, Layer3};
use crate::limits::PORTS_MAX;
use crate::model::PortId;
use crate::packet::ethernet::ETHERNET;
use crate::port::{Burst, Frame, Queue};
use crate::service::{NextHop, NextHopId, Snapshot};
use crate::stop::{DropReason, Punt, PuntReason};
use arrayvec::ArrayVec;
use crossbeam_utils::CachePadded;
use rtrb::Producer;
use std::net::IpAddr;
use std::sync::Arc;

/// Times a full transmit ring is tried again before the rest of a buffer is dropped.
const TRANSMIT_TRIES: usize = 4;

/// Most pieces one packet is cut into: a full frame at the smallest IPv4 MTU.
const FRAGMENTS_MAX: usize = 64;

const _: () = assert!(PORTS_MAX <= u16::MAX as usize);

/// A frame on its way from one worker to another.
#[derive(Debug)]
pub struct Handed<F> {
    pub(super) frame: F,
    /// The port it came in by.
    pub(super) port: PortId,
    pub(super) visit: Visit,
}

/// A worker's end of the ring to another, on lines of its own, as where the ring stands is written with every frame.
pub(super) type HandOffEnd<F> = CachePadded<Producer<Handed<F>>>;

/// One port's queue pair and the frames that wait to be sent together.
#[repr(align(64))]
pub(super) struct Lane<Q: Queue> {
    pub(super) queue: Q,
    pub(super) buffer: Burst<Q::Frame>,
    /// Of the frames in the buffer.
    pub(super) bytes: u64,
}

/// See the module.
pub(super) struct Output<Q: Queue> {
    /// By port.
    pub(super) lanes: Vec<Lane<Q>>,
    pub(super) punts: Producer<Punt<Q::Frame>>,
    /// By worker; none to itself.
    pub(super) workers: Vec<Option<HandOffEnd<Q::Frame>>>,
    pub(super) counters: Arc<WorkerCounters>,
}

impl<Q: Queue> Output<Q> {
    /// Carries out a verdict on a frame that came in by `port`.
    #[inline(always)]
    pub(super) fn dispatch(
        &mut self,
        world: &Snapshot,
        frame: Q::Frame,
        port: PortId,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Send { next_hop, ethertype } => {
                self.send_to(world, frame, port, next_hop, ethertype);
            }
            verdict => self.divert(world, frame, port, verdict),
        }
    }

    /// Carries out any verdict. Apart from the most frequent one, so that its way stays straight.
    #[inline(never)]
    fn divert(&mut self, world: &Snapshot, frame: Q::Frame, port: PortId, verdict: Verdict) {
        match verdict {
            Verdict::Send { next_hop, ethertype } => {
                self.send_to(world, frame, port, next_hop, ethertype);
            }
            Verdict::Fragment { next_hop, ethertype, mtu } => {
                self.send_in_pieces(world, frame, port, next_hop, ethertype, mtu);
            }
            Verdict::Resolve => self.resolve(world, frame, port),
            Verdict::Ask(workers) => {
                let to = workers.first().unwrap_or_default();
                self.hand_off(frame, port, to, Visit::Passed(workers.without(to)));
            }
            Verdict::HandOff { to } => self.hand_off(frame, port, to, Visit::Last),
            Verdict::Punt(reason) => self.punt(frame, port, reason, 0),
            Verdict::TooBig(mtu) => self.punt(frame, port, PuntReason::FragmentationNeeded, mtu),
            // Waiting frames are kept before they come here; one that finds no room is this.
            Verdict::Wait => self.drop_frame(port, DropReason::FragmentTableFull),
            Verdict::Drop(reason) => self.drop_frame(port, reason),
        }
    }

    /// Gives the frame its next hop's Ethernet header and sends it.
    #[inline(always)]
    fn send_to(
        &mut self,
        world: &Snapshot,
        mut frame: Q::Frame,
        port: PortId,
        next_hop: NextHopId,
        ethertype: u16,
    ) {
        let Some(hop) = world.next_hops.get(next_hop.0 as usize) else {
            return self.drop_frame(port, DropReason::NoRoute);
        };
        forward::address_frame(&mut frame, hop, ethertype);
        match hop.resolved {
            true => self.send(hop.port, frame),
            false => self.unresolved(frame, port, (hop.port, hop.address)),
        }
    }

    /// Counts the drop of a frame that came in by `port`; the frame goes with its owner.
    #[inline(never)]
    pub(super) fn drop_frame(&self, port: PortId, reason: DropReason) {
        self.counters.queues[port.index()].drop_of(reason).add(1);
    }

    /// Puts a finished frame into the port's buffer.
    #[inline]
    pub(super) fn send(&mut self, port: PortId, frame: Q::Frame) {
        let Some(lane) = self.lanes.get_mut(port.index()) else { return };
        lane.bytes += frame.bytes().len() as u64;
        lane.buffer.push(frame);
        if lane.buffer.is_full() {
            self.flush(port);
        }
    }

    /// Sends what waits for one port. What the device does not take after a few tries is dropped and counted.
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

    /// Gives a frame to the control thread. `mtu`: what to report of a frame that is too large.
    #[inline(never)]
    fn punt(&mut self, frame: Q::Frame, port: PortId, reason: PuntReason, mtu: u16) {
        self.push_punt(Punt { port, reason, mtu, next_hop: None, frame });
    }

    /// Finds out which neighbour it is that has to be resolved.
    #[cold]
    fn resolve(&mut self, world: &Snapshot, mut frame: Q::Frame, port: PortId) {
        let packet = &frame.bytes()[ETHERNET..];
        let (ethertype, next_hop) = match packet.first().map(|octet| octet >> 4) {
            Some(4) => (u32::ETHERTYPE, next_on_route::<u32>(world, packet)),
            _ => (u128::ETHERTYPE, next_on_route::<u128>(world, packet)),
        };
        let Some(next_hop) = next_hop else { return self.drop_frame(port, DropReason::NoRoute) };
        forward::address_frame(&mut frame, &NextHop::default(), ethertype);
        self.unresolved(frame, port, next_hop);
    }

    #[cold]
    fn unresolved(&mut self, frame: Q::Frame, port: PortId, next_hop: (PortId, IpAddr)) {
        let reason = PuntReason::NeighbourUnresolved;
        self.push_punt(Punt { port, reason, mtu: 0, next_hop: Some(next_hop), frame });
    }

    fn push_punt(&mut self, punt: Punt<Q::Frame>) {
        let (port, reason) = (punt.port, punt.reason);
        match self.punts.push(punt) {
            Ok(()) => self.counters.queues[port.index()].punt_of(reason).add(1),
            Err(_) => self.drop_frame(port, DropReason::PuntRingFull),
        }
    }

    #[inline(never)]
    fn hand_off(&mut self, frame: Q::Frame, port: PortId, to: u16, visit: Visit) {
        let Some(Some(ring)) = self.workers.get_mut(usize::from(to)) else {
            return self.drop_frame(port, DropReason::HandoffRingFull);
        };
        match ring.push(Handed { frame, port, visit }) {
            Ok(()) => self.counters.handed_off.add(1),
            Err(_) => self.drop_frame(port, DropReason::HandoffRingFull),
        }
    }

    /// IPv4 packets that may be fragmented are; anything else that is too large has come too far.
    #[cold]
    fn send_in_pieces(
        &mut self,
        world: &Snapshot,
        mut frame: Q::Frame,
        port: PortId,
        next_hop: NextHopId,
        ethertype: u16,
        mtu: u16,
    ) {
        let Some(hop) = world.next_hops.get(next_hop.0 as usize) else {
            return self.drop_frame(port, DropReason::NoRoute);
        };
        forward::address_frame(&mut frame, hop, ethertype);
        if !hop.resolved {
            return self.unresolved(frame, port, (hop.port, hop.address));
        }
        if ethertype != crate::packet::ethernet::TYPE_IPV4 {
            return self.drop_frame(port, DropReason::TooBig);
        }
        let egress = hop.port;
        let mut pieces: ArrayVec<Q::Frame, FRAGMENTS_MAX> = ArrayVec::new();
        let Some(lane) = self.lanes.get_mut(egress.index()) else { return };
        let mut overflow = false;
        let outcome = forward::fragment_ipv4(
            &frame,
            usize::from(mtu),
            || lane.queue.allocate(),
            |piece| overflow |= pieces.try_push(piece).is_err(),
        );
        match outcome {
            Ok(()) if !overflow => pieces.into_iter().for_each(|piece| self.send(egress, piece)),
            Ok(()) => self.drop_frame(port, DropReason::TooBig),
            Err(reason) => self.drop_frame(port, reason),
        }
    }
}

/// The port and the neighbour on the way to the destination of `packet`.
fn next_on_route<A: Flows>(world: &Snapshot, packet: &[u8]) -> Option<(PortId, IpAddr)> {
    let to = A::read(packet.get(A::DESTINATION..A::DESTINATION + A::BYTES)?);
    let route = world.routes.find(to)?;
    Some((route.port, route.next_hop.unwrap_or(to).to_ip()))
}
