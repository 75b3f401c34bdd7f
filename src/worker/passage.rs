//! A burst's passage from reception to its verdicts: taken in, looked up together, and each packet sent on its way.

use super::batch::{Batches, Parsed};
use super::engine::Engine;
use super::fragments::{Datagram, Fate};
use super::output::Output;
use super::tables::{Flows, Tables};
use super::verdict::{Verdict, Visit};
use crate::conn::Guess;
use crate::model::PortId;
use crate::packet::ethernet::{self, ETHERNET, EtherType};
use crate::packet::{Fragment, Role};
use crate::port::{Burst, Frame, Queue};
use crate::service::Snapshot;
use crate::stop::{DropReason, PuntReason};
use std::hint::cold_path;

/// Everything that a packet meets.
pub(super) struct Passage<'w, Q: Queue> {
    pub(super) world: &'w Snapshot,
    pub(super) engine: &'w mut Engine<Q::Frame>,
    pub(super) output: &'w mut Output<Q>,
    pub(super) batches: &'w mut Batches<Q::Frame>,
}

/// Where frames come in: a port and its own address.
#[derive(Clone, Copy)]
pub(super) struct Station {
    port: PortId,
    address: u64,
}

/// The destination address of a frame as a number: its first six octets, and two zeros in front of them.
#[inline(always)]
fn destination(frame: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*frame) << 16
}

impl<Q: Queue> Passage<'_, Q> {
    /// A port that the device does not have takes no frame but those to a group: its address is nobody's.
    #[inline]
    pub(super) fn station(&self, port: PortId) -> Station {
        let address = self.world.links.get(port.index()).map_or(u64::MAX, |link| {
            let [a, b, c, d, e, f] = link.mac;
            destination(&[a, b, c, d, e, f, 0, 0])
        });
        Station { port, address }
    }

    /// Takes a burst in that came straight from a port; returns its octets.
    #[inline(never)]
    pub(super) fn admit_burst(&mut self, burst: &mut Burst<Q::Frame>, port: PortId) -> u64 {
        let station = self.station(port);
        let mut bytes = 0;
        for frame in burst.drain(..) {
            bytes += frame.bytes().len() as u64;
            self.admit(frame, station, Visit::First);
        }
        bytes
    }

    /// Takes a frame in: parses it and puts it with its family's; what is not IP leaves here.
    #[inline(always)]
    pub(super) fn admit(&mut self, frame: Q::Frame, station: Station, visit: Visit) {
        let port = station.port;
        if !frame.is_contiguous() {
            return self.output.drop_frame(port, DropReason::NotContiguous);
        }
        let Some(header) = frame.bytes().first_chunk::<ETHERNET>() else {
            return self.output.drop_frame(port, DropReason::TooShort);
        };
        if header.first_chunk().map(destination) == Some(station.address) {
            self.admit_addressed(frame, port, visit, false);
        } else {
            self.admit_other(frame, port, visit);
        }
    }

    /// Takes a frame in that is not sent to the port's own address.
    #[cold]
    #[inline(never)]
    fn admit_other(&mut self, frame: Q::Frame, port: PortId, visit: Visit) {
        let to_group = frame.bytes().first().is_some_and(|octet| octet & ethernet::GROUP != 0);
        match to_group {
            true => self.admit_addressed(frame, port, visit, true),
            false => self.output.drop_frame(port, DropReason::NotForUs),
        }
    }

    /// Takes a frame in that is sent to the port, or `to_group`.
    #[inline(always)]
    fn admit_addressed(&mut self, frame: Q::Frame, port: PortId, visit: Visit, to_group: bool) {
        let Tables { ipv4, ipv6 } = &self.engine.tables;
        let ether_type = ethernet::ether_type(frame.bytes());
        let outcome = if ether_type == EtherType::IPV4 {
            self.batches.ipv4.add(ipv4, frame, to_group, port, visit)
        } else if ether_type == EtherType::IPV6 {
            self.batches.ipv6.add(ipv6, frame, to_group, port, visit)
        } else {
            cold_path();
            if ether_type == EtherType::ARP {
                return self.output.punt(frame, port, PuntReason::Arp, 0);
            }
            Err(DropReason::BadEthernet)
        };
        if let Err(reason) = outcome {
            self.output.drop_frame(port, reason);
        }
    }

    /// Looks everything up that was taken in and sends each packet on its way.
    pub(super) fn settle(&mut self) {
        self.settle_family::<u32>();
        self.settle_family::<u128>();
    }

    #[inline(never)]
    fn settle_family<A: Flows>(&mut self) {
        let Passage { world, engine, output, batches } = self;
        let batch = A::batch(batches);
        let table = A::table(&engine.tables);
        let count = batch.frames.len();
        let is_straight = engine.is_straight[A::FAMILY as usize];
        for parsed in &mut batch.parsed[..count] {
            // No guess, no straight way.
            parsed.guess =
                if is_straight { table.prefetch_entry(parsed.hash) } else { Guess::default() };
        }
        let frames = batch.frames.drain(..);
        for (parsed, mut frame) in batch.parsed[..count].iter().zip(frames) {
            match engine.straight(world, &mut frame, parsed) {
                Some(Ok((adjacency, ether_type))) => {
                    output.send_along(frame, parsed.port, adjacency, ether_type);
                }
                Some(Err(reason)) => output.carry_out(world, frame, parsed, reason.into()),
                None if parsed.packet.fragment != Fragment::Whole => {
                    handle_fragment(world, engine, output, frame, parsed);
                }
                None => {
                    let verdict = engine.judge(world, &mut frame, parsed);
                    output.carry_out(world, frame, parsed, verdict);
                }
            }
        }
    }
}

/// The first fragment of a datagram shows the way; one that comes before it may have to wait.
#[cold]
fn handle_fragment<Q: Queue, A: Flows>(
    world: &Snapshot,
    engine: &mut Engine<Q::Frame>,
    output: &mut Output<Q>,
    mut frame: Q::Frame,
    parsed: &Parsed<A>,
) {
    let verdict = engine.judge(world, &mut frame, parsed);
    match (verdict, parsed.packet.fragment) {
        (Verdict::Wait, _) => {
            let now_ms = engine.now_ms;
            let fragments = A::fragments_mut(engine);
            let datagram = Datagram::of(&parsed.packet);
            if fragments.wait(datagram, frame, parsed.port, now_ms).is_err() {
                output.drop_frame(parsed.port, DropReason::FragmentTableFull);
            }
        }
        (_, Fragment::First) => {
            let datagram = Datagram::of_first(&frame, &parsed.packet);
            let fate = fate(engine, parsed, verdict);
            let now_ms = engine.now_ms;
            A::fragments_mut(engine).remember(datagram, fate, now_ms);
            output.carry_out(world, frame, parsed, verdict);
            release(world, engine, output, &datagram);
        }
        _ => output.carry_out(world, frame, parsed, verdict),
    }
}

/// Where the other fragments of a datagram go whose first one met this verdict.
fn fate<F: Frame, A: Flows>(engine: &Engine<F>, parsed: &Parsed<A>, verdict: Verdict) -> Fate {
    match verdict {
        Verdict::HandOff { to } => Fate::Worker(to),
        Verdict::Ask(workers) => workers.first().map_or(Fate::Transit, Fate::Worker),
        Verdict::Drop(reason) => Fate::Dropped(reason),
        Verdict::Punt(reason) => Fate::Punted(reason),
        // Its tuple is the quoted packet's, and no connection takes it in pieces.
        _ if parsed.packet.role == Role::IcmpError => Fate::Transit,
        _ => match A::table(&engine.tables).find(parsed.hash, &parsed.packet.tuple) {
            Some((id, direction)) => Fate::Connection(id, direction),
            None => Fate::Transit,
        },
    }
}

/// Sends those after the first fragment of a datagram that came before it.
fn release<Q: Queue, A: Flows>(
    world: &Snapshot,
    engine: &mut Engine<Q::Frame>,
    output: &mut Output<Q>,
    datagram: &Datagram<A>,
) {
    while let Some((mut frame, port)) = A::fragments_mut(engine).release(datagram) {
        let mut waited = Parsed::new(port, Visit::First);
        match A::parse_into(&frame.bytes()[ETHERNET..], &mut waited.packet) {
            Ok(()) => {
                let verdict = engine.judge(world, &mut frame, &waited);
                output.carry_out(world, frame, &waited, verdict);
            }
            Err(reason) => output.drop_frame(port, reason),
        }
    }
}
