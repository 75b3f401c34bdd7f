//! A burst's ingress from reception to its verdicts: taken in, looked up together, and each packet sent on its way.

use crate::conn::Hint;
use crate::io::{Burst, Frame, Queue};
use crate::model::PortId;
use crate::packet::ethernet::{self, ETHERNET, EtherType};
use crate::packet::{Fragment, Role};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::Snapshot;
use crate::worker::batch::{Batches, Parsed};
use crate::worker::egress::Egress;
use crate::worker::engine::Engine;
use crate::worker::full_path::fragments::{Datagram, FragmentRoute};
use crate::worker::tables::{Tables, WorkerFamily};
use crate::worker::verdict::{Handoff, Verdict};
use std::hint::cold_path;

/// Everything that a packet meets.
pub(super) struct Ingress<'w, Q: Queue> {
    pub(super) snapshot: &'w Snapshot,
    pub(super) engine: &'w mut Engine<Q::Frame>,
    pub(super) egress: &'w mut Egress<Q>,
    pub(super) batches: &'w mut Batches<Q::Frame>,
}

/// Where frames come in: a port and its own address.
#[derive(Clone, Copy)]
pub(super) struct IngressPort {
    port: PortId,
    address: u64,
}

/// The destination address of a frame as a number: its first six octets, and two zeros in front of them.
#[inline(always)]
fn destination(frame: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*frame) << 16
}

impl<Q: Queue> Ingress<'_, Q> {
    /// A port that the device does not have takes no frame but those to a group: its address is nobody's.
    #[inline]
    pub(super) fn ingress_port(&self, port: PortId) -> IngressPort {
        let address = self.snapshot.links.get(port.index()).map_or(u64::MAX, |link| {
            let [a, b, c, d, e, f] = link.mac;
            destination(&[a, b, c, d, e, f, 0, 0])
        });
        IngressPort { port, address }
    }

    /// Takes a burst in that came straight from a port; returns its octets.
    #[inline(never)]
    pub(super) fn classify_burst(&mut self, burst: &mut Burst<Q::Frame>, port: PortId) -> u64 {
        let ingress_port = self.ingress_port(port);
        let mut bytes = 0;
        for frame in burst.drain(..) {
            bytes += frame.bytes().len() as u64;
            self.classify(frame, ingress_port, Handoff::None);
        }
        bytes
    }

    /// Takes a frame in: parses it and puts it with its family's; what is not IP leaves here.
    #[inline(always)]
    pub(super) fn classify(
        &mut self,
        frame: Q::Frame,
        ingress_port: IngressPort,
        handoff: Handoff,
    ) {
        let port = ingress_port.port;
        if !frame.is_contiguous() {
            return self.egress.drop_frame(port, DropReason::NotContiguous);
        }
        let Some(header) = frame.bytes().first_chunk::<ETHERNET>() else {
            return self.egress.drop_frame(port, DropReason::TooShort);
        };
        if header.first_chunk().map(destination) == Some(ingress_port.address) {
            self.classify_ether_type(frame, port, handoff, false);
        } else {
            self.classify_other_mac(frame, port, handoff);
        }
    }

    /// Takes a frame in that is not sent to the port's own address.
    #[cold]
    #[inline(never)]
    fn classify_other_mac(&mut self, frame: Q::Frame, port: PortId, handoff: Handoff) {
        let to_group = frame.bytes().first().is_some_and(|octet| octet & ethernet::GROUP != 0);
        match to_group {
            true => self.classify_ether_type(frame, port, handoff, true),
            false => self.egress.drop_frame(port, DropReason::NotForUs),
        }
    }

    /// Takes a frame in that is sent to the port, or `to_group`.
    #[inline(always)]
    fn classify_ether_type(
        &mut self,
        frame: Q::Frame,
        port: PortId,
        handoff: Handoff,
        to_group: bool,
    ) {
        let Tables { ipv4, ipv6 } = &self.engine.tables;
        let ether_type = ethernet::ether_type(frame.bytes());
        let outcome = if ether_type == EtherType::IPV4 {
            self.batches.ipv4.add(ipv4, frame, to_group, port, handoff)
        } else if ether_type == EtherType::IPV6 {
            self.batches.ipv6.add(ipv6, frame, to_group, port, handoff)
        } else {
            cold_path();
            if ether_type == EtherType::ARP {
                return self.egress.punt(frame, port, PuntReason::Arp, 0);
            }
            Err(DropReason::BadEthernet)
        };
        if let Err(reason) = outcome {
            self.egress.drop_frame(port, reason);
        }
    }

    /// Looks everything up that was taken in and sends each packet on its way.
    pub(super) fn process_burst(&mut self) {
        self.process_family::<u32>();
        self.process_family::<u128>();
    }

    #[inline(never)]
    fn process_family<A: WorkerFamily>(&mut self) {
        let Ingress { snapshot, engine, egress, batches } = self;
        let batch = A::batch(batches);
        let table = A::table(&engine.tables);
        let count = batch.frames.len();
        let fast_path_on = engine.fast_path_on[A::FAMILY as usize];
        for parsed in &mut batch.parsed[..count] {
            // No hint, no straight way.
            parsed.hint =
                if fast_path_on { table.prefetch_entry(parsed.hash) } else { Hint::default() };
        }
        let frames = batch.frames.drain(..);
        for (parsed, mut frame) in batch.parsed[..count].iter().zip(frames) {
            match engine.fast_path(snapshot, &mut frame, parsed) {
                Some(Ok((adjacency, ether_type))) => {
                    egress.send_resolved(frame, parsed.port, adjacency, ether_type);
                }
                Some(Err(reason)) => egress.execute(snapshot, frame, parsed, reason.into()),
                None if parsed.packet.fragment != Fragment::Whole => {
                    handle_fragment(snapshot, engine, egress, frame, parsed);
                }
                None => {
                    let verdict = engine.process(snapshot, &mut frame, parsed);
                    egress.execute(snapshot, frame, parsed, verdict);
                }
            }
        }
    }
}

/// The first fragment of a datagram shows the way; one that comes before it may have to wait.
#[cold]
fn handle_fragment<Q: Queue, A: WorkerFamily>(
    snapshot: &Snapshot,
    engine: &mut Engine<Q::Frame>,
    egress: &mut Egress<Q>,
    mut frame: Q::Frame,
    parsed: &Parsed<A>,
) {
    let verdict = engine.process(snapshot, &mut frame, parsed);
    match (verdict, parsed.packet.fragment) {
        (Verdict::Hold, _) => {
            let now_ms = engine.now_ms;
            let fragments = A::fragments_mut(engine);
            let datagram = Datagram::of(&parsed.packet);
            if fragments.hold(datagram, frame, parsed.port, now_ms).is_err() {
                egress.drop_frame(parsed.port, DropReason::FragmentTableFull);
            }
        }
        (_, Fragment::First) => {
            let datagram = Datagram::of_first(&frame, &parsed.packet);
            let fate = fate(engine, parsed, verdict);
            let now_ms = engine.now_ms;
            A::fragments_mut(engine).remember(datagram, fate, now_ms);
            egress.execute(snapshot, frame, parsed, verdict);
            release(snapshot, engine, egress, &datagram);
        }
        _ => egress.execute(snapshot, frame, parsed, verdict),
    }
}

/// Where the other fragments of a datagram go whose first one met this verdict.
fn fate<F: Frame, A: WorkerFamily>(
    engine: &Engine<F>,
    parsed: &Parsed<A>,
    verdict: Verdict,
) -> FragmentRoute {
    match verdict {
        Verdict::HandOff { to } => FragmentRoute::Worker(to),
        Verdict::Probe(workers) => {
            workers.first().map_or(FragmentRoute::Transit, FragmentRoute::Worker)
        }
        Verdict::Drop(reason) => FragmentRoute::Dropped(reason),
        Verdict::Punt(reason) => FragmentRoute::Punted(reason),
        // Its tuple is the quoted packet's, and no connection takes it in pieces.
        _ if parsed.packet.role == Role::IcmpError => FragmentRoute::Transit,
        _ => match A::table(&engine.tables).find(parsed.hash, &parsed.packet.tuple) {
            Some((id, direction)) => FragmentRoute::Connection(id, direction),
            None => FragmentRoute::Transit,
        },
    }
}

/// Sends those after the first fragment of a datagram that came before it.
fn release<Q: Queue, A: WorkerFamily>(
    snapshot: &Snapshot,
    engine: &mut Engine<Q::Frame>,
    egress: &mut Egress<Q>,
    datagram: &Datagram<A>,
) {
    while let Some((mut frame, port)) = A::fragments_mut(engine).release(datagram) {
        let mut waited = Parsed::new(port, Handoff::None);
        match A::parse_into(&frame.bytes()[ETHERNET..], &mut waited.packet) {
            Ok(()) => {
                let verdict = engine.process(snapshot, &mut frame, &waited);
                egress.execute(snapshot, frame, &waited, verdict);
            }
            Err(reason) => egress.drop_frame(port, reason),
        }
    }
}
