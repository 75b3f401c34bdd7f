//! Packets for a local address and a port or protocol that nobody serves.

use super::errors::Trouble;
use super::network::{Header, Identification, Network, TTL};
use super::{Outbox, SlowPath, Unserved, local};
use crate::model::Family;
use crate::packet::ethernet::{self, ETHERNET};
use crate::packet::{Fragment, Packet, checksum, icmp, ipv4, ipv6, tcp, udp};
use crate::port::Frame;
use crate::stop::{DropReason, Punt};
use crate::time::Instant;

/// Bits of the TOS that belong to congestion notification, which a reset does not answer.
const ECN: u8 = 0x03;

impl<F: Frame> SlowPath<F> {
    pub(super) fn reject<A: Network>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let bytes = &punt.frame.bytes()[ETHERNET..][..usize::from(packet.length)];
        if self.settings.unserved == Unserved::Drop || packet.fragment == Fragment::Later {
            return self.drop(DropReason::UnservedPort);
        }
        let trouble = match packet.protocol {
            ipv4::TCP => return self.reset(punt, packet, &bytes[usize::from(packet.header)..], now, out),
            ipv4::UDP if !udp_is_sound(packet, &bytes[usize::from(packet.header)..]) => {
                return self.drop(DropReason::BadTransport);
            }
            ipv4::UDP => Trouble::UnservedPort,
            protocol if protocol == icmp::protocol(A::FAMILY) => {
                return self.drop(DropReason::SlowPathInput);
            }
            _ => Trouble::UnservedProtocol { place: protocol_place(A::FAMILY, bytes, packet.header) },
        };
        self.error(Some(punt.port), punt.frame.bytes(), packet, trouble, now, out);
    }

    /// Answers a TCP segment by a reset (RFC 9293 section 3.10.7.1). As in Linux a segment with a wrong checksum, or a
    /// reset, gets none.
    fn reset<A: Network>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        segment: &[u8],
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let (peer, own) = (packet.tuple.source, packet.tuple.destination);
        let header_length = tcp::header_length(segment);
        let sound = packet.fragment == Fragment::Whole
            && (tcp::HEADER..=segment.len()).contains(&header_length)
            && checksum::transport(peer, own, ipv4::TCP, segment) == 0;
        if !sound {
            return self.drop(DropReason::BadTransport);
        }
        let flags = tcp::flags(segment);
        if flags & tcp::RST != 0
            || ethernet::is_multicast(ethernet::destination(punt.frame.bytes()))
            || !self.local.is_local(own.to_ip())
            || local::is_no_host(peer.to_ip())
            || self.local.is_broadcast(peer.to_ip())
        {
            return self.drop(DropReason::UnservedPort);
        }
        if !self.limiters.unlimited_by_linux.allow(peer.to_ip(), now) {
            return self.drop(DropReason::IcmpRateLimited);
        }
        let Some(way) = self.way(Some(punt.port), peer.to_ip()) else {
            return self.drop(DropReason::NoRoute);
        };
        let payload = (segment.len() - header_length) as u32;
        let reset = reset_to(segment, flags, payload);
        let header = Header {
            source: own,
            destination: peer,
            protocol: ipv4::TCP,
            tos: packet.tos & !ECN,
            ttl: TTL,
            identification: Identification::Atomic,
            length: tcp::HEADER,
        };
        let fill = |out: &mut [u8]| {
            reset.write(out);
            let sum = checksum::transport(own, peer, ipv4::TCP, out);
            tcp::set_checksum(out, sum);
        };
        self.send_packet(way, &header, fill, now, out);
    }
}

/// The reset that answers a segment: with the number the peer waits for, or acknowledging all it sent.
fn reset_to(segment: &[u8], flags: u8, payload: u32) -> tcp::Header {
    let (sequence, acknowledgment, answer) = if flags & tcp::ACK != 0 {
        (tcp::acknowledgment(segment), 0, tcp::RST)
    } else {
        let marks = u32::from(flags & tcp::SYN != 0) + u32::from(flags & tcp::FIN != 0);
        let next = tcp::sequence(segment).wrapping_add(marks).wrapping_add(payload);
        (0, next, tcp::RST | tcp::ACK)
    };
    tcp::Header {
        source_port: tcp::destination_port(segment),
        destination_port: tcp::source_port(segment),
        sequence,
        acknowledgment,
        flags: answer,
        window: 0,
    }
}

/// A datagram that the stack would have taken: its checksum, if it is all here and has one, is right.
fn udp_is_sound<A: Network>(packet: &Packet<A>, datagram: &[u8]) -> bool {
    let length = usize::from(udp::length(datagram));
    if packet.fragment != Fragment::Whole {
        return true;
    }
    let Some(datagram) = datagram.get(..length).filter(|_| length >= udp::HEADER) else {
        return false;
    };
    match (udp::checksum(datagram), A::FAMILY) {
        (0, Family::Ipv4) => true,
        // IPv6 has no datagrams without a checksum (RFC 8200 section 8.1).
        (0, Family::Ipv6) => false,
        _ => {
            let (source, destination) = (packet.tuple.source, packet.tuple.destination);
            checksum::transport(source, destination, ipv4::UDP, datagram) == 0
        }
    }
}

/// Where the number of the upper-layer protocol stands in an IPv6 packet whose header chain ends at `end`.
fn protocol_place(family: Family, packet: &[u8], end: u16) -> u32 {
    if family == Family::Ipv4 {
        return 9;
    }
    // The chain was followed by the parser, so every header is there and has a length.
    let (mut place, mut at) = (6, ipv6::HEADER);
    while at < usize::from(end) {
        let length = match packet[place] {
            ipv6::FRAGMENT => ipv6::FRAGMENT_HEADER,
            ipv6::AUTHENTICATION => (usize::from(packet[at + 1]) + 2) * 4,
            _ => (usize::from(packet[at + 1]) + 1) * 8,
        };
        place = at;
        at += length;
    }
    place as u32
}
