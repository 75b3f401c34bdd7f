//! From a received burst to verdicts: packets are classified, looked up together, and processed one by one.

use crate::conn::Hint;
use crate::io::{Burst, Frame, Queue};
use crate::model::{IngressId, InterfaceId, PortId};
use crate::packet::Fragment;
use crate::packet::ethernet::{self, ETHERNET, EtherType};
use crate::reason::{DropReason, PuntDetail, PuntReason};
use crate::snapshot::{InterfaceEntry, Snapshot};
use crate::worker::batch::Batches;
use crate::worker::egress::Egress;
use crate::worker::engine::Engine;
use crate::worker::fast_path::fast_path;
use crate::worker::full_path;
use crate::worker::handoff::Handoff;
use crate::worker::tables::{Tables, WorkerFamily};
use std::hint::cold_path;

/// The parts of a worker that received packets use.
pub(super) struct Ingress<'w, Q: Queue> {
    pub(super) snapshot: &'w Snapshot,
    pub(super) engine: &'w mut Engine<Q::Frame>,
    pub(super) egress: &'w mut Egress<Q>,
    pub(super) batches: &'w mut Batches<Q::Frame>,
}

/// Where frames are received, with the interface's own MAC address.
#[derive(Clone, Copy)]
pub(super) struct IngressPort {
    ingress: IngressId,
    address: u64,
}

/// The destination MAC address of a frame as a number: six bytes after two zero bytes.
#[inline(always)]
fn destination(frame: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*frame) << 16
}

/// The interface's own MAC address as such a number.
#[inline(always)]
fn own_address(interface: &InterfaceEntry) -> u64 {
    let [a, b, c, d, e, f] = interface.mac;
    destination(&[a, b, c, d, e, f, 0, 0])
}

impl<Q: Queue> Ingress<'_, Q> {
    /// A port without an interface accepts only multicast and broadcast frames.
    #[inline]
    pub(super) fn ingress_port(&self, port: PortId) -> IngressPort {
        match self.snapshot.interfaces.of_port(port) {
            Some((interface, entry)) => {
                let ingress = IngressId::new(port, interface);
                IngressPort { ingress, address: own_address(entry) }
            }
            None => {
                let ingress = IngressId::new(port, InterfaceId(0));
                IngressPort { ingress, address: u64::MAX }
            }
        }
    }

    /// The ingress of a frame that another worker has checked already.
    #[inline]
    pub(super) fn ingress_again(&self, ingress: IngressId) -> IngressPort {
        let entry = self.snapshot.interfaces.get(ingress.interface());
        let address = entry.map_or(u64::MAX, own_address);
        IngressPort { ingress, address }
    }

    /// Classifies a burst received from a port; returns its bytes.
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

    /// Parses a frame and adds it to its family's batch; frames that are not IP are handled here.
    #[inline(always)]
    pub(super) fn classify(
        &mut self,
        frame: Q::Frame,
        ingress_port: IngressPort,
        handoff: Handoff,
    ) {
        let ingress = ingress_port.ingress;
        if !frame.is_contiguous() {
            return self.egress.drop_frame(ingress.port(), DropReason::NotContiguous);
        }
        let Some(header) = frame.bytes().first_chunk::<ETHERNET>() else {
            return self.egress.drop_frame(ingress.port(), DropReason::TooShort);
        };
        if header.first_chunk().map(destination) == Some(ingress_port.address) {
            self.classify_ether_type(frame, ingress, handoff, None);
        } else {
            self.classify_other_mac(frame, ingress, handoff);
        }
    }

    /// Classifies a frame with another destination than the interface's own MAC address.
    #[cold]
    #[inline(never)]
    fn classify_other_mac(&mut self, frame: Q::Frame, ingress: IngressId, handoff: Handoff) {
        let mac = ethernet::destination(frame.bytes());
        let interface = self.snapshot.interfaces.get(ingress.interface());
        if ethernet::is_multicast(mac) {
            self.classify_ether_type(frame, ingress, handoff, Some(self.snapshot));
        } else if interface.is_some_and(|interface| interface.virtual_macs.contains(&mac)) {
            self.classify_ether_type(frame, ingress, handoff, None);
        } else {
            self.egress.drop_frame(ingress.port(), DropReason::NotForUs);
        }
    }

    /// Classifies an accepted frame by its EtherType; with `group` it has a multicast or broadcast destination.
    #[inline(always)]
    fn classify_ether_type(
        &mut self,
        frame: Q::Frame,
        ingress: IngressId,
        handoff: Handoff,
        group: Option<&Snapshot>,
    ) {
        let Tables { ipv4, ipv6 } = &self.engine.tables;
        let ether_type = ethernet::ether_type(frame.bytes());
        let outcome = if ether_type == EtherType::IPV4 {
            self.batches.ipv4.add(ipv4, frame, group, ingress, handoff)
        } else if ether_type == EtherType::IPV6 {
            self.batches.ipv6.add(ipv6, frame, group, ingress, handoff)
        } else {
            cold_path();
            if ether_type == EtherType::ARP {
                return self.egress.punt(frame, ingress, PuntReason::Arp, PuntDetail::None);
            }
            Err(DropReason::BadEthernet)
        };
        if let Err(reason) = outcome {
            self.egress.drop_frame(ingress.port(), reason);
        }
    }

    /// Looks up all classified packets, processes each, and carries out the verdicts.
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
        let fast_path_on = engine.policy.fast_path_on[A::FAMILY as usize];
        for rx in &mut batch.rx[..count] {
            // Without a hint the fast path is skipped.
            rx.hint = if fast_path_on { table.prefetch_entry(rx.hash) } else { Hint::default() };
        }
        let frames = batch.frames.drain(..);
        for (rx, mut frame) in batch.rx[..count].iter().zip(frames) {
            match fast_path(engine, snapshot, &mut frame, rx) {
                Some(Ok(adjacency)) => {
                    egress.send_resolved(frame, rx.port(), adjacency);
                }
                Some(Err(reason)) => egress.execute(snapshot, frame, rx, reason.into()),
                None if rx.packet.fragment != Fragment::Whole => {
                    full_path::process_fragment(engine, snapshot, egress, frame, rx);
                }
                None => {
                    let verdict = full_path::process(engine, snapshot, &mut frame, rx);
                    egress.execute(snapshot, frame, rx, verdict);
                }
            }
        }
    }
}
