//! NAT: replaces one address and one port, and updates the checksums (RFC 1624, RFC 3022 section 4.1).

use super::{End, Layer3};
use crate::io::Frame;
use crate::model::Protocol;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Fragment, Packet, Role, checksum, sctp, udp};
use crate::reason::DropReason;

const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// Replaces the packet's source address and port.
///
/// # Errors
/// If the port of a fragmented SCTP packet would change: its CRC covers bytes of other fragments.
#[inline(never)]
pub fn translate_source<A: Layer3>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    address: A,
    port: u16,
) -> Result<(), DropReason> {
    translate(frame, packet, End::Source, address, port)
}

/// Replaces the packet's destination address and port.
///
/// # Errors
/// As [`translate_source`].
#[inline(never)]
pub fn translate_destination<A: Layer3>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    address: A,
    port: u16,
) -> Result<(), DropReason> {
    translate(frame, packet, End::Destination, address, port)
}

/// Replaces address and port of one end, which is constant in each caller: the offsets are then constants too.
#[inline(always)]
fn translate<A: Layer3>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    end: End,
    address: A,
    port: u16,
) -> Result<(), DropReason> {
    let ip = &mut frame.bytes_mut()[ETHERNET..ETHERNET + usize::from(packet.length)];
    let (old_address, old_port, port_at) = match end {
        End::Source => (packet.flow.source, packet.flow.source_port, 0),
        End::Destination => (packet.flow.destination, packet.flow.destination_port, 2),
    };
    let difference = checksum::difference(old_address, address);
    A::replace_address(ip, end, address, difference);
    if packet.role != Role::Transport {
        return Ok(());
    }
    let transport = &mut ip[usize::from(packet.header)..];
    transport[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
    let difference = difference + checksum::difference16(old_port, port);
    let change = |sum: u16| checksum::apply(sum, difference);
    match Protocol::from_number(packet.protocol) {
        Some(Protocol::Tcp) => rewrite(transport, TCP_CHECKSUM, change),
        Some(Protocol::Udp) => {
            let before = [transport[UDP_CHECKSUM], transport[UDP_CHECKSUM + 1]];
            if before == [0, 0] {
                fill_udp_checksum::<A>(ip, packet);
            } else {
                rewrite(transport, UDP_CHECKSUM, |sum| udp::sendable(change(sum)));
            }
        }
        Some(Protocol::Sctp) if port != old_port => {
            if packet.fragment != Fragment::Whole {
                return Err(DropReason::FragmentedSctp);
            }
            sctp::write_checksum(transport);
        }
        Some(Protocol::Sctp) | None => {}
    }
    Ok(())
}

#[inline]
fn rewrite(transport: &mut [u8], at: usize, change: impl FnOnce(u16) -> u16) {
    let sum = change(u16::from_be_bytes([transport[at], transport[at + 1]]));
    transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// As in IPVS, a datagram without checksum gets one. Fragments stay without, because other bytes are missing.
fn fill_udp_checksum<A: Layer3>(ip: &mut [u8], packet: &Packet<A>) {
    if packet.fragment != Fragment::Whole {
        return;
    }
    let (source, destination) = (A::read(&ip[A::SOURCE..]), A::read(&ip[A::DESTINATION..]));
    let datagram = &mut ip[usize::from(packet.header)..];
    let sum = checksum::transport(source, destination, Protocol::Udp.number(), datagram);
    udp::set_checksum(datagram, udp::sendable(sum));
}
