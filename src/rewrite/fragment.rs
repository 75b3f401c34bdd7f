//! Fragmentation of packets above the MTU of the next link: IPv4 packets without DF (RFC 791 section 3.2), and a
//! tunnel's outer IPv6 packets, whose source is the director (RFC 8200 section 4.5, RFC 2473 section 7.2).

use super::Layer3;
use crate::io::Frame;
use crate::packet::ethernet::ETHERNET;
use crate::packet::ipv4::{FRAGMENT_OFFSET, MORE_FRAGMENTS};
use crate::packet::{ipv6, wire};
use crate::reason::DropReason;

/// This bit marks options that are copied to all fragments.
const COPIED: u8 = 0x80;
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;

/// Splits the frame's packet into fragments of at most `mtu` bytes, each in a frame from `allocate` with the original's
/// Ethernet header, and passes them to `send` in order.
///
/// # Errors
/// [`DropReason::NoBuffer`] if the pool is empty; fragments already sent stay sent, as on a lossy link.
/// [`DropReason::TooBig`] if less than eight bytes of payload fit. [`DropReason::BadIpLength`] for a fragment that ends
/// beyond the maximum datagram length.
pub fn fragment_ipv4<F: Frame>(
    original: &F,
    mtu: usize,
    mut allocate: impl FnMut() -> Option<F>,
    mut send: impl FnMut(F),
) -> Result<(), DropReason> {
    let bytes = original.bytes();
    let ip = &bytes[ETHERNET..];
    let header = usize::from(ip[0] & 0x0f) * 4;
    let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let flags = u16::from_be_bytes([ip[6], ip[7]]);
    let room = mtu.saturating_sub(header) & !7;
    if room == 0 {
        return Err(DropReason::TooBig);
    }
    let payload = &ip[header..length];
    if usize::from(flags & FRAGMENT_OFFSET) * 8 + length > usize::from(u16::MAX) {
        return Err(DropReason::BadIpLength);
    }
    let pieces = payload.len().div_ceil(room);
    for (index, piece) in payload.chunks(room).enumerate() {
        let mut frame = allocate().ok_or(DropReason::NoBuffer)?;
        if !frame.append(ETHERNET + header + piece.len()) {
            return Err(DropReason::NoBuffer);
        }
        let out = frame.bytes_mut();
        out[..ETHERNET + header].copy_from_slice(&bytes[..ETHERNET + header]);
        out[ETHERNET + header..].copy_from_slice(piece);
        let out = &mut out[ETHERNET..];
        if index > 0 {
            blank_options(&mut out[20..header]);
        }
        let offset = (flags & FRAGMENT_OFFSET) + (index * room / 8) as u16;
        let more = if index + 1 < pieces { MORE_FRAGMENTS } else { flags & MORE_FRAGMENTS };
        out[2..4].copy_from_slice(&((header + piece.len()) as u16).to_be_bytes());
        out[6..8].copy_from_slice(&(offset | more).to_be_bytes());
        u32::seal_header(out);
        send(frame);
    }
    Ok(())
}

/// Splits the frame's IPv6 packet, which has no extension headers, into fragments of at most `mtu` bytes. Otherwise as
/// [`fragment_ipv4`].
///
/// # Errors
/// As [`fragment_ipv4`].
pub fn fragment_ipv6<F: Frame>(
    original: &F,
    mtu: usize,
    identification: u32,
    mut allocate: impl FnMut() -> Option<F>,
    mut send: impl FnMut(F),
) -> Result<(), DropReason> {
    const HEADERS: usize = ipv6::HEADER + ipv6::FRAGMENT_HEADER;
    let (header, rest) = original.bytes().split_at(ETHERNET + ipv6::HEADER);
    let next_header = ipv6::next_header(&header[ETHERNET..]);
    let payload = &rest[..usize::from(ipv6::payload_length(&header[ETHERNET..]))];
    let room = mtu.saturating_sub(HEADERS) & !7;
    if room == 0 {
        return Err(DropReason::TooBig);
    }
    let pieces = payload.len().div_ceil(room);
    for (index, piece) in payload.chunks(room).enumerate() {
        let mut frame = allocate().ok_or(DropReason::NoBuffer)?;
        if !frame.append(ETHERNET + HEADERS + piece.len()) {
            return Err(DropReason::NoBuffer);
        }
        let out = frame.bytes_mut();
        out[..header.len()].copy_from_slice(header);
        out[ETHERNET + HEADERS..].copy_from_slice(piece);
        let out = &mut out[ETHERNET..];
        ipv6::set_payload_length(out, (ipv6::FRAGMENT_HEADER + piece.len()) as u16);
        ipv6::set_next_header(out, ipv6::FRAGMENT);
        let more = u16::from(index + 1 < pieces);
        out[ipv6::HEADER..][..2].copy_from_slice(&[next_header, 0]);
        wire::set16(out, ipv6::HEADER + 2, (index * room) as u16 | more);
        wire::set32(out, ipv6::HEADER + 4, identification);
        send(frame);
    }
    Ok(())
}

/// Replaces options that only the first fragment has by no-operations, so that the header keeps its length.
fn blank_options(options: &mut [u8]) {
    let mut at = 0;
    while at < options.len() {
        let kind = options[at];
        match kind {
            END_OF_OPTIONS => return,
            NO_OPERATION => at += 1,
            kind => {
                let length = options.get(at + 1).map_or(0, |&length| usize::from(length));
                if length < 2 || at + length > options.len() {
                    return;
                }
                if kind & COPIED == 0 {
                    options[at..at + length].fill(NO_OPERATION);
                }
                at += length;
            }
        }
    }
}
