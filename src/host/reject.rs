//! Packets for a local address and an unserved port or protocol.

use super::errors::ErrorCause;
use super::network::HostFamily;
use super::{IpHost, Outbox};
use crate::io::Frame;
use crate::model::Family;
use crate::model::Unserved;
use crate::packet::ethernet::{self, ETHERNET};
use crate::packet::{Fragment, Packet, checksum, icmp, ipv4, ipv6, tcp_reset, udp};
use crate::reason::{DropReason, Punt};
use crate::time::Instant;

/// Internet Group Management Protocol (RFC 3376).
const IGMP: u8 = 2;
/// Length of the longer of the two resets.
const RESET_MAX: usize = tcp_reset::IPV6;

impl<F: Frame> IpHost<F> {
    pub(super) fn reject<A: HostFamily>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        if self.settings.unserved == Unserved::Drop || packet.fragment == Fragment::Later {
            return self.drop(DropReason::UnservedPort);
        }
        if !self.may_be_delivered(punt, packet, now, out) {
            return;
        }
        let bytes = &punt.frame.bytes()[ETHERNET..][..usize::from(packet.length)];
        let trouble = match packet.protocol {
            ipv4::TCP => return self.reset(punt, packet, bytes, now, out),
            ipv4::UDP if !udp_is_sound(packet, &bytes[usize::from(packet.header)..]) => {
                return self.drop(DropReason::BadTransport);
            }
            ipv4::UDP => ErrorCause::UnservedPort,
            // Group membership is handled by `groups`; it is never answered by an error.
            IGMP if A::FAMILY == Family::Ipv4 => return self.drop(DropReason::NoLocalHandler),
            protocol if protocol == icmp::protocol(A::FAMILY) => {
                return self.drop(DropReason::NoLocalHandler);
            }
            _ => {
                let place = protocol_place(A::FAMILY, bytes, packet.header);
                ErrorCause::UnservedProtocol { place }
            }
        };
        self.error(Some(punt.interface), punt.frame.bytes(), packet, trouble, now, out);
    }

    /// Answers a TCP segment with a reset; as in Linux, not a reset or a segment with a wrong checksum.
    fn reset<A: HostFamily>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        segment: &[u8],
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let peer = packet.source().to_ip();
        let mut reset = [0; RESET_MAX];
        let Some(length) = A::write_reset(&mut reset, segment) else {
            return self.drop(DropReason::UnservedPort);
        };
        if ethernet::is_multicast(ethernet::destination(punt.frame.bytes()))
            || !self.local.is_local(packet.destination().to_ip())
            || self.local.is_local(peer)
            || self.local.is_broadcast(peer)
        {
            return self.drop(DropReason::UnservedPort);
        }
        if !self.limiters.unlimited_by_linux.allow(peer, now) {
            return self.drop(DropReason::IcmpRateLimited);
        }
        let Some(way) = self.way(Some(punt.interface), peer) else {
            return self.drop(DropReason::NoRoute);
        };
        let write = |out: &mut [u8]| {
            out.copy_from_slice(&reset[..length]);
            length
        };
        self.send_packet::<A>(way, length, write, now, out);
    }
}

/// True if the stack would accept the datagram: its checksum is correct, or cannot be checked.
fn udp_is_sound<A: HostFamily>(packet: &Packet<A>, datagram: &[u8]) -> bool {
    let length = usize::from(udp::length(datagram));
    if packet.fragment != Fragment::Whole {
        return true;
    }
    let Some(datagram) = datagram.get(..length).filter(|_| length >= udp::HEADER) else {
        return false;
    };
    match (udp::checksum(datagram), A::FAMILY) {
        (0, Family::Ipv4) => true,
        // IPv6 has no datagrams without checksum (RFC 8200 section 8.1).
        (0, Family::Ipv6) => false,
        _ => {
            let (source, destination) = (packet.source(), packet.destination());
            checksum::transport(source, destination, ipv4::UDP, datagram) == 0
        }
    }
}

/// Offset of the upper-layer protocol number in an IPv6 packet whose header chain ends at `end`.
fn protocol_place(family: Family, packet: &[u8], end: u16) -> u16 {
    if family == Family::Ipv4 {
        return 9;
    }
    // The parser followed the chain, so every header exists and has a length.
    let (mut place, mut at) = (6, ipv6::HEADER);
    while at < usize::from(end) {
        let length = match packet[place] {
            ipv6::FRAGMENT => ipv6::FRAGMENT_HEADER,
            _ => (usize::from(packet[at + 1]) + 1) * 8,
        };
        place = at;
        at += length;
    }
    place as u16
}
