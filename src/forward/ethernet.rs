//! The link-layer header of an outgoing frame.

use crate::packet::ethernet::{ETHERNET, EtherType};
use crate::port::Frame;
use crate::service::Adjacency;

/// Writes the addresses and the type of the payload. No frame that was taken in is shorter than the header.
#[inline]
pub fn address_frame(frame: &mut impl Frame, adjacency: &Adjacency, ether_type: EtherType) {
    let Some(header) = frame.bytes_mut().first_chunk_mut::<ETHERNET>() else { return };
    header[..12].copy_from_slice(&adjacency.macs);
    header[12..].copy_from_slice(&ether_type.octets());
}
