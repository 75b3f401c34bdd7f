//! Tunnelling: an outer header in front of the packet. IP in IP (RFC 2003), IPv6 tunnels (RFC 2473), Generic UDP
//! Encapsulation, and GRE (RFC 2784).

use super::Layer3;
use crate::io::Frame;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Address, Packet, checksum, ipv4, udp};
use crate::reason::DropReason;
use crate::snapshot::{Destination, Encapsulation, Ends};
use std::net::IpAddr;

/// Outer header fields that do not come from the inner packet.
#[derive(Clone, Copy, Debug)]
pub struct Outer<'w> {
    /// Address of the tunnel's end, source address towards it, and encapsulation.
    pub destination: &'w Destination,
    /// The outer DF is copied from the inner packet (`pmtu_disc`); otherwise it is 0.
    pub copy_dont_fragment: bool,
    /// Identification of an outer IPv4 header without DF.
    pub identification: u16,
    /// The GUE source port is derived from this, so that flows spread.
    pub flow: u32,
}

/// Linux's default range of local ports, used for GUE source ports.
const LOCAL_PORTS: (u32, u32) = (32_768, 60_999);
const UDP_HEADER: usize = 8;

/// Writes the outer headers in front of the frame's packet, whose TTL has been decremented and which ends with the
/// frame. Afterwards there is room for the Ethernet header, with undefined content.
///
/// # Errors
/// [`DropReason::NoHeadroom`] if the buffer has no room in front of the packet.
#[inline(always)]
pub fn encapsulate<A: Layer3>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    outer: &Outer,
) -> Result<(), DropReason> {
    let Some(ends) = &outer.destination.ipip else {
        return encapsulate_by_any(frame, packet, outer);
    };
    if !frame.prepend(u32::HEADER) {
        return Err(DropReason::NoHeadroom);
    }
    write_ipv4(&mut frame.bytes_mut()[ETHERNET..], packet, ends, A::ENCAPSULATED, outer);
    Ok(())
}

/// [`encapsulate`] for all encapsulations; a separate function, so that plain IP in IP stays short.
#[inline(never)]
fn encapsulate_by_any<A: Layer3>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    outer: &Outer,
) -> Result<(), DropReason> {
    match (outer.destination.tunnel_source, outer.destination.address) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let addresses = (source.to_bits(), destination.to_bits());
            encapsulate_behind_shim(frame, packet, outer, addresses)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let addresses = (source.to_bits(), destination.to_bits());
            encapsulate_behind_shim(frame, packet, outer, addresses)
        }
        // Control provides a tunnel source of the destination's family, or no route at all.
        _ => Err(DropReason::NoRoute),
    }
}

fn encapsulate_behind_shim<O: OuterHeader, A: Layer3>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    outer: &Outer,
    addresses: (O, O),
) -> Result<(), DropReason> {
    let shim = usize::from(outer.destination.encapsulation.overhead());
    if !frame.prepend(O::HEADER + shim) {
        return Err(DropReason::NoHeadroom);
    }
    let ip = &mut frame.bytes_mut()[ETHERNET..];
    let protocol = write_shim::<O, A>(&mut ip[O::HEADER..], addresses, outer);
    O::write_outer(ip, packet, addresses, protocol, outer);
    Ok(())
}

/// A family for outer headers.
trait OuterHeader: Layer3 {
    /// Writes the header at the start of `ip`, which ends with the packet.
    fn write_outer<A>(
        ip: &mut [u8],
        packet: &Packet<A>,
        addresses: (Self, Self),
        protocol: u8,
        outer: &Outer,
    );
}

/// ECN as in Linux's IPVS, the limited functionality of RFC 3168 section 9.1.1: "congestion experienced" is not copied
/// to the outer header.
fn outer_tos(inner: u8) -> u8 {
    inner - (inner & inner >> 1 & 1)
}

impl OuterHeader for u32 {
    fn write_outer<A>(
        ip: &mut [u8],
        packet: &Packet<A>,
        (source, destination): (u32, u32),
        protocol: u8,
        outer: &Outer,
    ) {
        let ends = Ends::new(source, destination);
        write_ipv4(ip, packet, &ends, protocol, outer);
    }
}

/// [`OuterHeader::write_outer`] for IPv4.
#[inline(always)]
fn write_ipv4<A>(ip: &mut [u8], packet: &Packet<A>, ends: &Ends, protocol: u8, outer: &Outer) {
    let [length_high, length_low] = (ip.len() as u16).to_be_bytes();
    let [flags, _] = ipv4::DONT_FRAGMENT.to_be_bytes();
    // RFC 6864: an atomic datagram needs no identification.
    let identity = match outer.copy_dont_fragment && packet.dont_fragment {
        true => [0, 0, flags, 0],
        false => {
            let [high, low] = outer.identification.to_be_bytes();
            [high, low, 0, 0]
        }
    };
    let life = packet.ttl - 1;
    // Words in network byte order on every machine: the sum is the same (RFC 1071 section 2 B). It is computed here,
    // because reading the header back would wait for the bytes just written.
    let mut words = [
        u32::from_ne_bytes([0x45, outer_tos(packet.tos), length_high, length_low]),
        u32::from_ne_bytes(identity),
        u32::from_ne_bytes([life, protocol, 0, 0]),
        ends.words[0],
        ends.words[1],
    ];
    let sum: u64 = words[..3].iter().copied().map(u64::from).sum::<u64>() + u64::from(ends.sum);
    let sum = checksum::finish((sum & 0xffff) as u32 + (sum >> 16) as u32);
    let [sum_first, sum_second] = sum.to_ne_bytes();
    words[2] = u32::from_ne_bytes([life, protocol, sum_first, sum_second]);
    let Some(ip) = ip.first_chunk_mut::<{ ipv4::HEADER }>() else { return };
    for (octets, word) in ip.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *octets = word.to_ne_bytes();
    }
}

impl OuterHeader for u128 {
    #[inline]
    fn write_outer<A>(
        ip: &mut [u8],
        packet: &Packet<A>,
        (source, destination): (u128, u128),
        protocol: u8,
        _: &Outer,
    ) {
        let tos = outer_tos(packet.tos);
        let length = (ip.len() - u128::HEADER) as u16;
        ip[..4].copy_from_slice(&[0x60 | tos >> 4, tos << 4, 0, 0]);
        ip[4..6].copy_from_slice(&length.to_be_bytes());
        ip[6] = protocol;
        ip[7] = packet.ttl - 1;
        source.write(&mut ip[u128::SOURCE..]);
        destination.write(&mut ip[u128::DESTINATION..]);
    }
}

/// Writes the headers between the outer header of family `O` and the inner packet of family `A`; returns the protocol
/// number for the outer header. `body` starts after the outer header.
#[inline]
fn write_shim<O: Layer3, A: Layer3>(
    body: &mut [u8],
    (source, destination): (O, O),
    outer: &Outer,
) -> u8 {
    match outer.destination.encapsulation {
        Encapsulation::Ipip => A::ENCAPSULATED,
        Encapsulation::Gue { port, checksum: with_checksum } => {
            let (low, high) = LOCAL_PORTS;
            let spread = (u64::from(outer.flow) * u64::from(high - low + 1)) >> 32;
            let source_port = low as u16 + spread as u16;
            let length = body.len() as u16;
            body[..2].copy_from_slice(&source_port.to_be_bytes());
            body[2..4].copy_from_slice(&port.to_be_bytes());
            body[4..6].copy_from_slice(&length.to_be_bytes());
            body[6..8].fill(0);
            // Version 0, no control bit, no options: the next byte is the inner protocol.
            body[UDP_HEADER..UDP_HEADER + 4].copy_from_slice(&[0, A::ENCAPSULATED, 0, 0]);
            if with_checksum {
                let sum = checksum::transport(source, destination, ipv4::UDP, body);
                udp::set_checksum(body, udp::sendable(sum));
            }
            ipv4::UDP
        }
        Encapsulation::Gre { checksum: with_checksum } => {
            body[..2].copy_from_slice(&[if with_checksum { 0x80 } else { 0 }, 0]);
            body[2..4].copy_from_slice(&A::ETHER_TYPE.octets());
            if with_checksum {
                body[4..8].fill(0);
                let sum = checksum::internet(body);
                body[4..6].copy_from_slice(&sum.to_be_bytes());
            }
            ipv4::GRE
        }
    }
}
