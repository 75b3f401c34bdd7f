//! The link-layer header of an outgoing frame.

use crate::port::Frame;
use crate::service::NextHop;

/// Writes the next hop's addresses and the type of the payload.
#[inline]
pub fn address_frame(frame: &mut impl Frame, next_hop: &NextHop, ethertype: u16) {
    let header = frame.bytes_mut();
    header[..12].copy_from_slice(&next_hop.macs);
    header[12..14].copy_from_slice(&ethertype.to_be_bytes());
}
