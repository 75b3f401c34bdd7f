//! ICMP and ICMPv6 errors: when one may be sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4), its content, and its
//! source address.

use super::network::{HostFamily, Message};
use super::output::Outgoing;
use super::{IpHost, Outbox};
use crate::io::Frame;
use crate::model::{Family, InterfaceId};
use crate::packet::ethernet::{self, ETHERNET, Payload};
use crate::packet::options::HeaderFault;
use crate::packet::{Packet, Parse, Role, icmp, icmp_error, udp};
use crate::reason::{DropReason, Punt};
use crate::time::Instant;
use std::net::IpAddr;

/// Why a packet cannot be forwarded or delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorCause {
    TtlExpired,
    /// A service without a usable destination.
    NoDestination,
    /// A packet from a real server that belongs to no connection.
    NoConnection,
    /// A local address without a listener on the port.
    UnservedPort,
    /// A local address without a listener for the protocol. For IPv6: offset of the protocol number.
    UnservedProtocol {
        place: u16,
    },
    /// An extension header that asks for an error: code and offset of an IPv6 parameter problem.
    BadExtensionHeader {
        code: u8,
        place: u16,
    },
    /// Longer than this MTU in bytes.
    TooBig(u16),
    NoRoute,
    /// No route to a connection's destination. The sender gets "host unreachable", about the address that it used.
    DestinationUnreachable,
    /// The next hop is not resolved.
    HostUnreachable,
}

impl ErrorCause {
    fn message(self, family: Family) -> Message {
        use icmp::{v4, v6};
        let unreachable = |code_v4, code_v6| match family {
            Family::Ipv4 => (v4::DESTINATION_UNREACHABLE, code_v4, 0),
            Family::Ipv6 => (v6::DESTINATION_UNREACHABLE, code_v6, 0),
        };
        let (message_type, code, rest) = match (self, family) {
            (ErrorCause::TtlExpired, Family::Ipv4) => (v4::TIME_EXCEEDED, 0, 0),
            (ErrorCause::TtlExpired, Family::Ipv6) => (v6::TIME_EXCEEDED, 0, 0),
            (ErrorCause::TooBig(mtu), Family::Ipv4) => {
                (v4::DESTINATION_UNREACHABLE, v4::FRAGMENTATION_NEEDED, mtu)
            }
            (ErrorCause::TooBig(mtu), Family::Ipv6) => (v6::PACKET_TOO_BIG, 0, mtu),
            (ErrorCause::UnservedProtocol { .. }, Family::Ipv4) => {
                (v4::DESTINATION_UNREACHABLE, PROTOCOL_UNREACHABLE, 0)
            }
            (ErrorCause::UnservedProtocol { place }, Family::Ipv6) => {
                (v6::PARAMETER_PROBLEM, UNKNOWN_NEXT_HEADER, place)
            }
            // Only IPv6 has extension headers.
            (ErrorCause::BadExtensionHeader { code, place }, _) => {
                (v6::PARAMETER_PROBLEM, code, place)
            }
            (
                ErrorCause::NoDestination | ErrorCause::NoConnection | ErrorCause::UnservedPort,
                _,
            ) => unreachable(v4::PORT_UNREACHABLE, v6::PORT_UNREACHABLE),
            (ErrorCause::NoRoute, _) => unreachable(v4::NET_UNREACHABLE, v6::NO_ROUTE),
            (ErrorCause::DestinationUnreachable | ErrorCause::HostUnreachable, _) => {
                unreachable(v4::HOST_UNREACHABLE, v6::ADDRESS_UNREACHABLE)
            }
        };
        Message { message_type, code, rest }
    }

    /// The drop reason if no error may be sent.
    fn drop_reason(self) -> DropReason {
        match self {
            ErrorCause::TtlExpired => DropReason::TtlExpired,
            ErrorCause::NoDestination | ErrorCause::NoConnection => DropReason::NoDestination,
            ErrorCause::UnservedPort | ErrorCause::UnservedProtocol { .. } => {
                DropReason::UnservedPort
            }
            ErrorCause::BadExtensionHeader { .. } => DropReason::BadIpHeader,
            ErrorCause::TooBig(_) => DropReason::TooBig,
            ErrorCause::NoRoute | ErrorCause::DestinationUnreachable => DropReason::NoRoute,
            ErrorCause::HostUnreachable => DropReason::NeighbourUnresolved,
        }
    }
}

/// Code of an ICMP "destination unreachable".
const PROTOCOL_UNREACHABLE: u8 = 2;
/// Code of an ICMPv6 "parameter problem".
const UNKNOWN_NEXT_HEADER: u8 = 1;

impl<F: Frame> IpHost<F> {
    /// Sends an error to the sender of `packet`, if it is allowed. `frame` contains the packet after an Ethernet
    /// header; `ingress` is its interface, if known.
    pub(super) fn error<A: HostFamily>(
        &mut self,
        ingress: Option<InterfaceId>,
        frame: &[u8],
        packet: &Packet<A>,
        trouble: ErrorCause,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let group = ethernet::is_multicast(ethernet::destination(frame));
        if group || !self.may_be_told(packet) {
            return self.drop(trouble.drop_reason());
        }
        // The source is the packet's own destination if that is local. For an unresolved next hop it is the address of
        // the interface towards the sender, because the error occurs when sending.
        let original_destination = packet.destination();
        let speaks = self.local.is_local(original_destination.to_ip())
            && trouble != ErrorCause::HostUnreachable;
        let about = Quoted {
            bytes: &frame[ETHERNET..][..usize::from(packet.length)],
            tos: packet.tos,
            sender: packet.source(),
        };
        let message = trouble.message(A::FAMILY);
        self.send_error(ingress, speaks.then_some(original_destination), about, message, now, out);
    }

    /// True if the extension headers of a packet for the director allow its delivery. Otherwise it is dropped, with an error
    /// if they ask for one.
    pub(super) fn may_be_delivered<A: HostFamily>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) -> bool {
        let bytes = &punt.frame.bytes()[ETHERNET..][..usize::from(packet.length)];
        match A::check_headers(bytes, usize::from(packet.header)) {
            Ok(()) => return true,
            Err(HeaderFault::Discard) => self.drop(DropReason::BadIpHeader),
            Err(HeaderFault::Problem { code, place }) => {
                let trouble = ErrorCause::BadExtensionHeader { code, place };
                self.error(Some(punt.interface), punt.frame.bytes(), packet, trouble, now, out);
            }
        }
        false
    }

    /// Sends an error that quotes `about`, within the rate limits. `speaker`: its source; `None`: the address of the
    /// interface towards the sender.
    pub(super) fn send_error<A: HostFamily>(
        &mut self,
        ingress: Option<InterfaceId>,
        speaker: Option<A>,
        about: Quoted<'_, A>,
        message: Message,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let sender = about.sender.to_ip();
        let limiter = match A::FAMILY {
            _ if message.is_about_length(A::FAMILY) => &mut self.limiters.unlimited_by_linux,
            Family::Ipv4 => &mut self.limiters.errors_v4,
            Family::Ipv6 => &mut self.limiters.errors_v6,
        };
        if !limiter.allow(sender, now) {
            return self.drop(DropReason::IcmpRateLimited);
        }
        let Some(way) = self.way(ingress, sender) else {
            return self.drop(DropReason::NoRoute);
        };
        let of_interface = || self.local.source(way.interface, sender).and_then(A::from_ip);
        let Some(source) = speaker.or_else(of_interface) else {
            return self.drop(DropReason::NoRoute);
        };
        let identification = self.next_identification();
        let write = |out: &mut [u8]| {
            A::write_error(out, source, about.bytes, message, about.tos, identification)
        };
        let room = A::ERROR_MAX.min(usize::from(way.mtu));
        self.send_packet::<A>(way, room, write, now, out);
    }

    /// Handles a frame that waited for a next hop that did not answer.
    pub(super) fn host_unreachable(
        &mut self,
        outgoing: Outgoing<F>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        self.drop(DropReason::NeighbourUnresolved);
        let Outgoing { mut frame, original_destination, .. } = outgoing;
        // The destination MAC address was never written; it must not count as multicast.
        ethernet::set_destination(frame.bytes_mut(), [0; 6]);
        match ethernet::ethernet(frame.bytes()) {
            Ok(Payload::Ipv4) => {
                self.host_unreachable_in::<u32>(&mut frame, original_destination, now, out)
            }
            Ok(Payload::Ipv6) => {
                self.host_unreachable_in::<u128>(&mut frame, original_destination, now, out)
            }
            _ => {}
        }
    }

    fn host_unreachable_in<A: HostFamily>(
        &mut self,
        frame: &mut F,
        original_destination: Option<(IpAddr, u16)>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let Ok(mut packet) = <A as Parse>::parse(&frame.bytes()[ETHERNET..]) else { return };
        let mut trouble = ErrorCause::HostUnreachable;
        if let Some((address, port)) = original_destination
            && let Some(address) = A::from_ip(address)
            && packet.role == Role::Transport
        {
            // As for other errors from a server's side, the source is the VIP, and it quotes what the client sent.
            let ip = &mut frame.bytes_mut()[ETHERNET..];
            A::set_destination(ip, address);
            udp::set_destination_port(&mut ip[usize::from(packet.header)..], port);
            packet.flow.destination = address;
            trouble = ErrorCause::DestinationUnreachable;
        }
        // Already counted as dropped, so only packets that may be answered continue.
        if self.may_be_told(&packet) {
            self.error(None, frame.bytes(), &packet, trouble, now, out);
        }
    }

    /// True if an error may be sent about the packet: by the rules for all hosts, and if its source is neither a
    /// broadcast address nor the director's own.
    fn may_be_told<A: HostFamily>(&self, packet: &Packet<A>) -> bool {
        let (source, destination) = (packet.source().to_ip(), packet.destination().to_ip());
        icmp_error::may_answer(packet)
            && !self.local.is_broadcast(source)
            && !self.local.is_broadcast(destination)
            && !self.local.is_local(source)
    }
}

/// The packet that an error is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a, A> {
    /// The packet from its IP header on.
    pub bytes: &'a [u8],
    /// Its TOS or traffic class.
    pub tos: u8,
    /// The sender of the packet, who gets the error.
    pub sender: A,
}
