//! IPv4 fragmentation of packets that may be fragmented and are larger than the next link's MTU (RFC 791 section 3.2).

use super::Layer3;
use crate::packet::ethernet::ETHERNET;
use crate::port::Frame;
use crate::stop::DropReason;

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
/// Options a fragment behind the first must carry too have this bit.
const COPIED: u8 = 0x80;
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;

/// Cuts the frame's packet into pieces of at most `mtu` bytes, each in a frame from `allocate` with the
/// original's Ethernet header, and hands them to `send` in order.
///
/// # Errors
/// [`DropReason::NoBuffer`] when the pool is empty; pieces already sent stay sent, as on any lossy link.
/// [`DropReason::TooBig`] if not even eight bytes of payload fit.
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
        let offset = (flags & OFFSET) + (index * room / 8) as u16;
        let more = if index + 1 < pieces { MORE_FRAGMENTS } else { flags & MORE_FRAGMENTS };
        out[2..4].copy_from_slice(&((header + piece.len()) as u16).to_be_bytes());
        out[6..8].copy_from_slice(&(offset | more).to_be_bytes());
        u32::seal_header(out);
        send(frame);
    }
    Ok(())
}

/// Options that only the first fragment carries become no-operations, so that the header keeps its length.
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
