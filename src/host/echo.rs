//! Echo requests for a local address, answered as Linux does: same payload, same TOS, from the address that was pinged.
//! The frame may have a multicast MAC address if the packet's address is unicast. A fragmented request is reassembled
//! first; a reply above the MTU is fragmented.

use super::network::{HostFamily, Part};
use super::output::OutputRoute;
use super::reassembly::Piece;
use super::{IpHost, Outbox, local};
use crate::io::Frame;
use crate::limits::REPLY_FRAGMENTS;
use crate::model::{Family, InterfaceId};
use crate::packet::{Fragment, Packet, ethernet, icmp};
use crate::reason::{DropReason, Punt};
use crate::time::Instant;

impl<F: Frame> IpHost<F> {
    pub(super) fn echo<A: HostFamily>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let (asker, asked) = (packet.source().to_ip(), packet.destination().to_ip());
        if packet.protocol != icmp::protocol(A::FAMILY)
            || !self.local.is_local(asked)
            || local::is_no_host(asker)
            || self.local.is_local(asker)
            || self.local.is_broadcast(asker)
        {
            return self.drop(DropReason::NoLocalHandler);
        }
        if !self.may_be_delivered(punt, packet, now, out) {
            return;
        }
        let datagram = &punt.frame.bytes()[ethernet::ETHERNET..][..usize::from(packet.length)];
        if packet.fragment == Fragment::Whole {
            let message = &datagram[usize::from(packet.header)..];
            return self.answer_echo(punt.interface, packet, message, now, out);
        }
        let Some((offset, more, payload)) = A::fragment(datagram) else {
            return self.drop(DropReason::NoLocalHandler);
        };
        let piece = Piece { offset, more, bytes: payload };
        let key = (asker, asked, packet.identification);
        let drops = &mut self.drops;
        let count = |reason: DropReason| drops[reason as usize] += 1;
        if let Some(message) = self.reassembly.add(key, piece, now, count) {
            self.answer_echo(punt.interface, packet, &message, now, out);
        }
    }

    /// Answers a complete ICMP message. `packet`: the one that completed it.
    fn answer_echo<A: HostFamily>(
        &mut self,
        interface: InterfaceId,
        packet: &Packet<A>,
        message: &[u8],
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let (request, reply) = match A::FAMILY {
            Family::Ipv4 => (icmp::v4::ECHO_REQUEST, icmp::v4::ECHO_REPLY),
            Family::Ipv6 => (icmp::v6::ECHO_REQUEST, icmp::v6::ECHO_REPLY),
        };
        let (asker, asked) = (packet.source(), packet.destination());
        if message.len() < icmp::HEADER
            || icmp::message_type(message) != request
            || icmp::code(message) != 0
        {
            return self.drop(DropReason::NoLocalHandler);
        }
        if icmp::verify(asker, asked, message) != 0 {
            return self.drop(DropReason::BadIcmpChecksum);
        }
        if !self.limiters.echo.allow(asker.to_ip(), now) {
            return self.drop(DropReason::IcmpRateLimited);
        }
        let Some(way) = self.way(Some(interface), asker.to_ip()) else {
            return self.drop(DropReason::NoRoute);
        };
        let mut answer = message.to_vec();
        answer[0] = reply;
        icmp::write_checksum(&mut answer, asked, asker);
        self.send_reply(way, packet, &answer, now, out);
    }

    /// Sends an ICMP message to the source of `request`, fragmented if it is above the MTU.
    fn send_reply<A: HostFamily>(
        &mut self,
        way: OutputRoute,
        request: &Packet<A>,
        message: &[u8],
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let identification = self.next_identification();
        let mtu = usize::from(way.mtu);
        if A::HEADER + message.len() <= mtu {
            let length = A::HEADER + message.len();
            let write = |out: &mut [u8]| {
                A::write_reply_header(out, request, message.len(), identification);
                out[A::HEADER..length].copy_from_slice(message);
                length
            };
            return self.send_packet::<A>(way, length, write, now, out);
        }
        let room = mtu.saturating_sub(A::FRAGMENT_HEADERS) & !7;
        if room == 0 || message.len().div_ceil(room) > REPLY_FRAGMENTS {
            return self.drop(DropReason::TooBig);
        }
        for (index, piece) in message.chunks(room).enumerate() {
            let offset = index * room;
            let more = offset + piece.len() < message.len();
            let part = Part { offset: offset as u16, more, identification };
            let length = A::FRAGMENT_HEADERS + piece.len();
            let write = |out: &mut [u8]| {
                A::write_fragment_header(out, request, piece.len(), part);
                out[A::FRAGMENT_HEADERS..length].copy_from_slice(piece);
                length
            };
            self.send_packet::<A>(way, length, write, now, out);
        }
    }
}
