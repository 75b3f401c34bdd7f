//! The link-layer header of an outgoing frame.

use crate::io::Frame;
use crate::packet::ethernet::{ETHERNET, EtherType};
use crate::snapshot::Adjacency;

/// Writes the addresses and the type of the payload. No frame that was taken in is shorter than the header.
#[inline]
pub fn write_link_header(frame: &mut impl Frame, adjacency: &Adjacency, ether_type: EtherType) {
    let Some(header) = frame.bytes_mut().first_chunk_mut::<ETHERNET>() else { return };
    header[..12].copy_from_slice(&adjacency.macs);
    header[12..].copy_from_slice(&ether_type.octets());
}
