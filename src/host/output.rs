//! Routing of the host's own packets: by the routes, never simply back to the interface of their cause.

use super::network::HostFamily;
use super::{IpHost, Outbox};
use crate::io::Frame;
use crate::model::InterfaceId;
use crate::packet::ethernet::{self, ETHERNET, EtherType};
use crate::reason::DropReason;
use crate::time::Instant;
use std::net::IpAddr;

/// Next hop and source of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputRoute {
    pub interface: InterfaceId,
    pub next_hop: IpAddr,
    pub mtu: u16,
}

/// A frame for a next hop.
#[derive(Debug)]
pub(super) struct Outgoing<F> {
    pub frame: F,
    /// The destination that the client used, if NAT has changed it.
    pub original_destination: Option<(IpAddr, u16)>,
    /// The director has made the packet.
    pub is_own: bool,
}

impl<F: Frame> IpHost<F> {
    /// The route to `destination`. A link-local address is on the link of `ingress`, the interface of the packet that
    /// caused this one.
    pub(super) fn way(
        &self,
        ingress: Option<InterfaceId>,
        destination: IpAddr,
    ) -> Option<OutputRoute> {
        let (interface, next_hop, mtu) = match destination {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => (ingress?, destination, 0),
            _ => self.routes.lookup(destination)?,
        };
        let own_mtu = self.local.interface(interface)?.mtu;
        Some(OutputRoute { interface, next_hop, mtu: if mtu == 0 { own_mtu } else { mtu } })
    }

    /// Builds a packet of at most `room` bytes with `write`, which returns its length, and sends it.
    pub(super) fn send_packet<A: HostFamily>(
        &mut self,
        way: OutputRoute,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let Some(mut frame) = allocate(way.interface, ETHERNET + room, out) else {
            return self.drop(DropReason::NoBuffer);
        };
        let bytes = frame.bytes_mut();
        // The MAC addresses are written when the next hop is resolved.
        ethernet::write(bytes, [0; 6], [0; 6], EtherType::of(A::FAMILY));
        let length = write(&mut bytes[ETHERNET..]);
        if length > usize::from(way.mtu) {
            return self.drop(DropReason::TooBig);
        }
        frame.truncate(ETHERNET + length);
        let outgoing = Outgoing { frame, original_destination: None, is_own: true };
        self.neighbours.send((way.interface, way.next_hop), outgoing, now);
    }

    /// Builds a frame of at most `room` bytes with `write`, which returns its length, and sends it unchanged.
    pub(super) fn send_frame(
        &mut self,
        interface: InterfaceId,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
        out: &mut impl Outbox<F>,
    ) {
        let Some(mut frame) = allocate(interface, room, out) else {
            return self.drop(DropReason::NoBuffer);
        };
        let length = write(frame.bytes_mut());
        frame.truncate(length);
        out.send(interface, frame);
    }

    /// Writes the MAC addresses and sends.
    pub(super) fn send_to(
        &mut self,
        interface: InterfaceId,
        mac: [u8; 6],
        outgoing: Outgoing<F>,
        out: &mut impl Outbox<F>,
    ) {
        let Outgoing { mut frame, is_own, .. } = outgoing;
        let Some(own) = self.local.interface(interface) else {
            return self.drop(DropReason::NoRoute);
        };
        ethernet::set_destination(frame.bytes_mut(), mac);
        ethernet::set_source(frame.bytes_mut(), own.mac);
        match is_own {
            true => out.send_own_packet(interface, frame),
            false => out.send(interface, frame),
        }
    }

    /// Identification of the next IPv4 packet that may be fragmented.
    pub(super) fn next_identification(&mut self) -> u16 {
        self.identification = self.identification.wrapping_add(1);
        self.identification
    }
}

fn allocate<F: Frame>(
    interface: InterfaceId,
    length: usize,
    out: &mut impl Outbox<F>,
) -> Option<F> {
    let mut frame = out.allocate(interface)?;
    frame.append(length).then_some(frame)
}
