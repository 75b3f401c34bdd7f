//! Reads the frames that the director sent.

use crate::observation::{Answer, AnswerKind, Outcome, Sent};
use crate::site;
use director::model::{Family, PortId};
use director::packet::ethernet::{self, ETHERNET, Payload};
use director::packet::{Address, Packet, Parse, icmp, ipv4, ipv6, tcp};
use std::net::{IpAddr, SocketAddr};

const IPIP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Headers of a packet of either family.
struct Headers {
    source: SocketAddr,
    destination: SocketAddr,
    protocol: u8,
    ttl: u8,
    header: usize,
}

fn headers(bytes: &[u8]) -> Headers {
    fn of<A: Address>(packet: &Packet<A>) -> Headers {
        let tuple = &packet.flow;
        Headers {
            source: SocketAddr::new(tuple.source.to_ip(), tuple.source_port),
            destination: SocketAddr::new(tuple.destination.to_ip(), tuple.destination_port),
            protocol: packet.protocol,
            ttl: packet.ttl,
            header: packet.header.into(),
        }
    }
    match bytes[0] >> 4 {
        4 => of(&u32::parse(bytes).expect("a valid IPv4 packet")),
        _ => of(&u128::parse(bytes).expect("a valid IPv6 packet")),
    }
}

/// A forwarded packet, without its tunnel headers.
pub fn sent(by: PortId, frame: &[u8]) -> Outcome {
    assert_eq!(ethernet::source(frame), site::mac(by), "sent from the port's address");
    let mac = ethernet::destination(frame);
    let next_hop = site::neighbours().find(|(_, known)| *known == mac).expect("a neighbour").0;
    let mut bytes = &frame[ETHERNET..];
    let is_ipv6 = matches!(ethernet::ethernet(frame), Ok(Payload::Ipv6));
    assert_eq!(bytes[0] >> 4, if is_ipv6 { 6 } else { 4 }, "EtherType and IP version differ");
    let mut read = headers(bytes);
    let mut outer = None;
    if matches!(read.protocol, IPIP | IPV6_IN_IP) {
        outer = Some((read.source.ip(), read.destination.ip(), read.ttl));
        bytes = &bytes[read.header..];
        read = headers(bytes);
    }
    let is_error = matches!(read.protocol, ICMP | ICMPV6);
    if is_error {
        let (from, to) = addresses(bytes);
        let (source, destination) = (SocketAddr::new(from, 0), SocketAddr::new(to, 0));
        let sent = Sent { by, next_hop, outer, source, destination, ttl: read.ttl };
        assert_message_checksum(bytes, read.header);
        return Outcome::SentError(sent, read.source, read.destination);
    }
    assert_transport_checksum(bytes, &read);
    let (source, destination) = (read.source, read.destination);
    Outcome::Sent(Sent { by, next_hop, outer, source, destination, ttl: read.ttl })
}

/// Addresses of the outermost packet.
fn addresses(packet: &[u8]) -> (IpAddr, IpAddr) {
    match packet[0] >> 4 {
        4 => (ipv4::source(packet).to_ip(), ipv4::destination(packet).to_ip()),
        _ => (u128::read(&packet[8..]).to_ip(), u128::read(&packet[24..]).to_ip()),
    }
}

fn assert_message_checksum(packet: &[u8], header: usize) {
    let sum = match addresses(packet) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            icmp::verify(from.to_bits(), to.to_bits(), &packet[header..])
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            icmp::verify(from.to_bits(), to.to_bits(), &packet[header..])
        }
        _ => panic!("both ends of a packet are of one family"),
    };
    assert_eq!(sum, 0, "checksum of an ICMP message");
}

/// The transport checksum must be correct after NAT.
fn assert_transport_checksum(packet: &[u8], read: &Headers) {
    let segment = &packet[read.header..];
    let sum = match (read.source.ip(), read.destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => director::packet::checksum::transport(
            from.to_bits(),
            to.to_bits(),
            read.protocol,
            segment,
        ),
        (IpAddr::V6(from), IpAddr::V6(to)) => director::packet::checksum::transport(
            from.to_bits(),
            to.to_bits(),
            read.protocol,
            segment,
        ),
        _ => panic!("both ends of a packet are of one family"),
    };
    assert_eq!(sum, 0, "checksum of {} > {}", read.source, read.destination);
}

/// An ICMP error or a TCP reset from the director.
pub fn answer(frame: &[u8]) -> Answer {
    let bytes = &frame[ETHERNET..];
    let (from, to) = addresses(bytes);
    let family = Family::of(from);
    let (protocol, upper) = match family {
        Family::Ipv4 => (ipv4::protocol(bytes), &bytes[ipv4::header_length(bytes)..]),
        Family::Ipv6 => (bytes[6], &bytes[ipv6::HEADER..]),
    };
    let kind = if protocol == ipv4::TCP {
        assert_ne!(tcp::flags(upper) & tcp::RST, 0, "the director itself sends only resets");
        AnswerKind::Reset
    } else {
        match (family, icmp::message_type(upper), icmp::code(upper)) {
            (Family::Ipv4, 3, 3) | (Family::Ipv6, 1, 4) => AnswerKind::PortUnreachable,
            (Family::Ipv4, 11, 0) | (Family::Ipv6, 3, 0) => AnswerKind::TimeExceeded,
            (Family::Ipv4, 3, 4) | (Family::Ipv6, 2, 0) => {
                AnswerKind::TooBig(icmp::rest(upper) as u16)
            }
            other => panic!("unexpected ICMP type and code {other:?}"),
        }
    };
    Answer { kind, from, to }
}
