//! The way of a packet the director makes: routed like any other, never just back to where the cause came from.

use super::network::{Header, Identification, Network};
use super::{Outbox, SlowPath};
use crate::model::PortId;
use crate::packet::ethernet::{self, ETHERNET};
use crate::port::Frame;
use crate::stop::DropReason;
use crate::time::Instant;
use std::net::IpAddr;

/// Where a packet goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub port: PortId,
    pub next_hop: IpAddr,
    pub mtu: u16,
}

impl<F: Frame> SlowPath<F> {
    /// The way to `destination`. A link-local address is on the link of `ingress`, the port its packet came in by.
    pub(super) fn way(&self, ingress: Option<PortId>, destination: IpAddr) -> Option<Way> {
        let on_link = match destination {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some((ingress?, destination, 0)),
            _ => None,
        };
        let (port, next_hop, mtu) = on_link.or_else(|| self.routes.lookup(destination))?;
        let mtu = if mtu == 0 { self.local.interface(port)?.mtu } else { mtu };
        Some(Way { port, next_hop, mtu })
    }

    /// Makes a packet of `header` and what `fill` writes behind it, and sends it.
    pub(super) fn send_packet<A: Network>(
        &mut self,
        way: Way,
        header: &Header<A>,
        fill: impl FnOnce(&mut [u8]),
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        if A::HEADER + header.length > usize::from(way.mtu) {
            return self.drop(DropReason::TooBig);
        }
        let length = ETHERNET + A::HEADER + header.length;
        let Some(mut frame) = allocate(way.port, length, out) else {
            return self.drop(DropReason::NoBuffer);
        };
        let bytes = frame.bytes_mut();
        // The addresses follow when the next hop's is known.
        ethernet::write(bytes, [0; 6], [0; 6], A::ETHERNET_TYPE);
        A::write(header, &mut bytes[ETHERNET..]);
        fill(&mut bytes[ETHERNET + A::HEADER..]);
        self.neighbours.send((way.port, way.next_hop), frame, now);
    }

    /// Makes a frame of `length` bytes, Ethernet header included, and sends it to `mac` without asking anybody.
    pub(super) fn send_frame(
        &mut self,
        port: PortId,
        mac: [u8; 6],
        length: usize,
        fill: impl FnOnce(&mut [u8]),
        out: &mut impl Outbox<F>,
    ) {
        match allocate(port, length, out) {
            Some(mut frame) => {
                fill(frame.bytes_mut());
                self.send_to(port, mac, frame, out);
            }
            None => self.drop(DropReason::NoBuffer),
        }
    }

    /// Writes the Ethernet addresses and sends.
    pub(super) fn send_to(
        &mut self,
        port: PortId,
        mac: [u8; 6],
        mut frame: F,
        out: &mut impl Outbox<F>,
    ) {
        let Some(interface) = self.local.interface(port) else {
            return self.drop(DropReason::NoRoute);
        };
        ethernet::set_destination(frame.bytes_mut(), mac);
        ethernet::set_source(frame.bytes_mut(), interface.mac);
        out.send(port, frame);
    }

    /// The identification of the next packet that may be fragmented.
    pub(super) fn next_identification(&mut self) -> Identification {
        self.identification = self.identification.wrapping_add(1);
        Identification::Number(self.identification)
    }
}

fn allocate<F: Frame>(port: PortId, length: usize, out: &mut impl Outbox<F>) -> Option<F> {
    let mut frame = out.allocate(port)?;
    frame.append(length).then_some(frame)
}
