//! The link-layer header of an outgoing frame.

use crate::packet::ethernet::{ETHERNET, EtherType};
use crate::port::Frame;
use crate::service::NextHop;

/// Writes the next hop's addresses and the type of the payload. No frame that was taken in is shorter than the header.
#[inline]
pub fn address_frame(frame: &mut impl Frame, next_hop: &NextHop, ether_type: EtherType) {
    let Some(header) = frame.bytes_mut().first_chunk_mut::<ETHERNET>() else { return };
    header[..12].copy_from_slice(&next_hop.macs);
    header[12..].copy_from_slice(&ether_type.octets());
}
