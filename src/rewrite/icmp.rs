//! ICMP errors about NAT connections: rewrites the outer header and the quoted packet (RFC 5508 section 4).

use super::{End, Layer3};
use crate::io::Frame;
use crate::model::Protocol;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, icmp};

/// Replaces `outer_end` of the error and the opposite end of the quoted packet by `address` and `port`.
///
/// From a server's side the source becomes the VIP, and so does the quoted destination. From a client's side the
/// destination becomes the server, and so does the quoted source.
pub fn translate_error<A: Layer3>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    outer_end: End,
    address: A,
    port: u16,
) {
    let ip = &mut frame.bytes_mut()[ETHERNET..ETHERNET + usize::from(packet.length)];
    let (old_outer, quoted_end, old_quoted, port_at) = match outer_end {
        End::Source => (packet.source(), End::Destination, packet.flow.destination, 2),
        End::Destination => (packet.destination(), End::Source, packet.flow.source, 0),
    };
    A::set_address(ip, outer_end, old_outer, address);
    let quoted = &mut ip[usize::from(packet.quoted)..];
    A::set_address(quoted, quoted_end, old_quoted, address);
    A::seal_header(quoted);
    if Protocol::from_number(packet.flow.protocol).is_some() {
        let ports = &mut ip[usize::from(packet.quoted_transport) + port_at..];
        ports[..2].copy_from_slice(&port.to_be_bytes());
    }
    let (source, destination) = (A::read(&ip[A::SOURCE..]), A::read(&ip[A::DESTINATION..]));
    icmp::write_checksum(&mut ip[usize::from(packet.header)..], source, destination);
}
