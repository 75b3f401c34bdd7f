//! ICMP and ICMPv6 errors: when one may be sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4), what it says, and
//! which address says it.

use super::network::{Header, Network, TTL};
use super::{Outbox, SlowPath, local};
use crate::model::{Family, PortId};
use crate::packet::ethernet::{self, ETHERNET, Layer3};
use crate::packet::{Fragment, Packet, Parse, icmp, ipv4, ipv6};
use crate::port::Frame;
use crate::stop::DropReason;
use crate::time::Instant;
use std::net::IpAddr;

/// Why a packet cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    TtlExpired,
    /// A service without a usable destination.
    NoDestination,
    /// A real server's packet that belongs to no connection.
    NoConnection,
    /// A local address, but nobody at the port.
    UnservedPort,
    /// A local address, but nobody for the protocol. For IPv6: where the number of the protocol stands.
    UnservedProtocol { place: u32 },
    /// Longer than so many bytes.
    TooBig(u16),
    NoRoute,
    /// The next hop does not answer.
    HostUnreachable,
}

/// The first bytes of an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub message_type: u8,
    pub code: u8,
    /// The second four bytes.
    pub rest: u32,
}

impl Trouble {
    fn message(self, family: Family) -> Message {
        use icmp::{v4, v6};
        let unreachable = |code_v4, code_v6| match family {
            Family::Ipv4 => (v4::DESTINATION_UNREACHABLE, code_v4, 0),
            Family::Ipv6 => (v6::DESTINATION_UNREACHABLE, code_v6, 0),
        };
        let (message_type, code, rest) = match (self, family) {
            (Trouble::TtlExpired, Family::Ipv4) => (v4::TIME_EXCEEDED, 0, 0),
            (Trouble::TtlExpired, Family::Ipv6) => (v6::TIME_EXCEEDED, 0, 0),
            (Trouble::TooBig(mtu), Family::Ipv4) => {
                (v4::DESTINATION_UNREACHABLE, v4::FRAGMENTATION_NEEDED, u32::from(mtu))
            }
            (Trouble::TooBig(mtu), Family::Ipv6) => (v6::PACKET_TOO_BIG, 0, u32::from(mtu)),
            (Trouble::UnservedProtocol { .. }, Family::Ipv4) => {
                (v4::DESTINATION_UNREACHABLE, PROTOCOL_UNREACHABLE, 0)
            }
            (Trouble::UnservedProtocol { place }, Family::Ipv6) => {
                (v6::PARAMETER_PROBLEM, UNKNOWN_NEXT_HEADER, place)
            }
            (Trouble::NoDestination | Trouble::NoConnection | Trouble::UnservedPort, _) => {
                unreachable(v4::PORT_UNREACHABLE, v6::PORT_UNREACHABLE)
            }
            (Trouble::NoRoute, _) => unreachable(v4::NET_UNREACHABLE, v6::NO_ROUTE),
            (Trouble::HostUnreachable, _) => {
                unreachable(v4::HOST_UNREACHABLE, v6::ADDRESS_UNREACHABLE)
            }
        };
        Message { message_type, code, rest }
    }

    /// The reason that is counted when no error may be sent.
    fn drop_reason(self) -> DropReason {
        match self {
            Trouble::TtlExpired => DropReason::TtlExpired,
            Trouble::NoDestination | Trouble::NoConnection => DropReason::NoDestination,
            Trouble::UnservedPort | Trouble::UnservedProtocol { .. } => DropReason::UnservedPort,
            Trouble::TooBig(_) => DropReason::TooBig,
            Trouble::NoRoute => DropReason::NoRoute,
            Trouble::HostUnreachable => DropReason::NeighbourUnresolved,
        }
    }
}

/// Code of ICMP "destination unreachable".
const PROTOCOL_UNREACHABLE: u8 = 2;
/// Code of ICMPv6 "parameter problem".
const UNKNOWN_NEXT_HEADER: u8 = 1;

impl<F: Frame> SlowPath<F> {
    /// Tells the sender of `packet` about the trouble, if that is allowed. `frame` holds the packet behind an Ethernet
    /// header; `ingress` is the port it came in by, if it is known.
    pub(super) fn error<A: Network>(
        &mut self,
        ingress: Option<PortId>,
        frame: &[u8],
        packet: &Packet<A>,
        trouble: Trouble,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let group = ethernet::is_multicast(ethernet::destination(frame));
        if group || !self.may_be_told(packet) {
            return self.drop(trouble.drop_reason());
        }
        let to_us = self.local.is_local(packet.tuple.destination.to_ip());
        // The packet's own destination speaks if that is the director. Not so for a next hop that does not answer:
        // that is noticed by the sending side, which speaks for the port.
        let speaker = (to_us && trouble != Trouble::HostUnreachable)
            .then_some(packet.tuple.destination);
        // Towards a destination of IPVS the TTL is lowered before the length is looked at, else afterwards.
        let lowered = to_us && matches!(trouble, Trouble::TooBig(_));
        let quoted = &frame[ETHERNET..][..usize::from(packet.length)];
        let about = Quoted { bytes: quoted, tos: packet.tos, sender: packet.tuple.source, lowered };
        self.send_error(ingress, speaker, about, trouble.message(A::FAMILY), now, out);
    }

    /// Sends an error that quotes `about`, within the limits. `speaker`: its source; `None`: the address of the port
    /// that leads to the sender.
    pub(super) fn send_error<A: Network>(
        &mut self,
        ingress: Option<PortId>,
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
        let of_port = || self.local.source(way.port, sender).and_then(A::from_ip);
        let Some(source) = speaker.or_else(of_port) else {
            return self.drop(DropReason::NoRoute);
        };
        let room = A::ERROR_LENGTH - A::HEADER - icmp::HEADER;
        let quoted = &about.bytes[..about.bytes.len().min(room)];
        let header = Header {
            source,
            destination: about.sender,
            protocol: icmp::protocol(A::FAMILY),
            tos: error_tos(A::FAMILY, about.tos),
            ttl: TTL,
            identification: self.next_identification(),
            length: icmp::HEADER + quoted.len(),
        };
        let fill = |out: &mut [u8]| {
            icmp::write(out, message.message_type, message.code, message.rest);
            out[icmp::HEADER..].copy_from_slice(quoted);
            if about.lowered {
                lower_ttl(A::FAMILY, &mut out[icmp::HEADER..]);
            }
            icmp::write_checksum(out, source, about.sender);
        };
        self.send_packet(way, &header, fill, now, out);
    }

    /// A frame waited for a next hop that did not answer.
    pub(super) fn host_unreachable(
        &mut self,
        mut frame: F,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        self.drop(DropReason::NeighbourUnresolved);
        // What stands there was never the address of anybody.
        ethernet::set_destination(frame.bytes_mut(), [0; 6]);
        let bytes = frame.bytes();
        match ethernet::ethernet(bytes) {
            Ok(Layer3::Ipv4) => self.host_unreachable_in::<u32>(bytes, now, out),
            Ok(Layer3::Ipv6) => self.host_unreachable_in::<u128>(bytes, now, out),
            _ => {}
        }
    }

    fn host_unreachable_in<A: Network>(
        &mut self,
        bytes: &[u8],
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let Ok(packet) = <A as Parse>::parse(&bytes[ETHERNET..]) else { return };
        // Already counted as dropped, so only those that may be answered go on.
        if self.may_be_told(&packet) {
            self.error(None, bytes, &packet, Trouble::HostUnreachable, now, out);
        }
    }

    /// An error about the packet may be sent: it is no error itself, the beginning of a datagram, from one host to
    /// one host, and not our own.
    fn may_be_told<A: Network>(&self, packet: &Packet<A>) -> bool {
        let is_icmp = packet.protocol == icmp::protocol(A::FAMILY);
        let quotes = match A::FAMILY {
            Family::Ipv4 => icmp::is_error(Family::Ipv4, packet.icmp_type),
            // Unknown errors too (RFC 4443 section 2.4 e.1), and redirects.
            Family::Ipv6 => packet.icmp_type < 128 || packet.icmp_type == icmp::v6::REDIRECT,
        };
        let is_error = is_icmp && quotes;
        // The tuple of an error is that of the packet it quotes, so the rest is asked only for others.
        if is_error || packet.fragment == Fragment::Later {
            return false;
        }
        let one_host = |address: IpAddr| !local::is_no_host(address) && !self.local.is_broadcast(address);
        let (source, destination) = (packet.tuple.source.to_ip(), packet.tuple.destination.to_ip());
        one_host(source) && one_host(destination) && !self.local.is_local(source)
    }
}

/// The packet an error is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a, A> {
    /// The packet from its IP header on.
    pub bytes: &'a [u8],
    pub tos: u8,
    /// Who sent it and gets the error.
    pub sender: A,
    /// Its TTL is quoted lowered by one.
    pub lowered: bool,
}

impl Message {
    /// Path MTU discovery depends on these, so Linux does not limit them.
    fn is_about_length(self, family: Family) -> bool {
        match family {
            Family::Ipv4 => {
                self.message_type == icmp::v4::DESTINATION_UNREACHABLE
                    && self.code == icmp::v4::FRAGMENTATION_NEEDED
            }
            Family::Ipv6 => self.message_type == icmp::v6::PACKET_TOO_BIG,
        }
    }
}

/// The TOS of an error. IPv4: "internetwork control" precedence and the packet's own type of service (RFC 1812
/// section 4.3.2.5); IPv6: none.
fn error_tos(family: Family, tos: u8) -> u8 {
    match family {
        Family::Ipv4 => 0xc0 | tos & 0x1e,
        Family::Ipv6 => 0,
    }
}

fn lower_ttl(family: Family, packet: &mut [u8]) {
    match family {
        Family::Ipv4 => {
            let ttl = ipv4::ttl(packet).saturating_sub(1);
            ipv4::set_ttl(packet, ttl);
        }
        Family::Ipv6 => {
            let hop_limit = ipv6::hop_limit(packet).saturating_sub(1);
            ipv6::set_hop_limit(packet, hop_limit);
        }
    }
}
