//! The link header of an outgoing frame.

use crate::io::Frame;
use crate::packet::ethernet::ETHERNET;
use crate::snapshot::{Adjacency, LINK_HEADER_MAX};

/// Writes the prepared link header in front of a packet that has room for an Ethernet header there. False if the header
/// is longer and the buffer has no headroom for the rest.
#[inline(always)]
#[must_use]
pub fn write_link_header(frame: &mut impl Frame, adjacency: &Adjacency) -> bool {
    if usize::from(adjacency.header_len) != ETHERNET {
        return write_tagged_header(frame, adjacency);
    }
    // Every received frame is at least as long as the header.
    let (Some(room), Some(header)) =
        (frame.bytes_mut().first_chunk_mut::<ETHERNET>(), adjacency.header.first_chunk())
    else {
        return false;
    };
    *room = *header;
    true
}

/// As above for a header with a VLAN tag (IEEE 802.1Q), for which the frame must grow.
#[cold]
#[inline(never)]
fn write_tagged_header(frame: &mut impl Frame, adjacency: &Adjacency) -> bool {
    if !frame.prepend(LINK_HEADER_MAX - ETHERNET) {
        return false;
    }
    let Some(room) = frame.bytes_mut().first_chunk_mut() else { return false };
    *room = adjacency.header;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryFrame;
    use crate::model::PortId;
    use crate::packet::ethernet::EtherType;

    #[test]
    fn the_header_has_the_interfaces_vlan_tag() {
        let (to, from) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let plain = Adjacency::new(to, from, EtherType::IPV6, PortId(3));
        let mut frame = MemoryFrame::new(&[0xaa; 20]);
        assert!(write_link_header(&mut frame, &plain));
        let expected = [&to[..], &from, &[0x86, 0xdd], &[0xaa; 6]].concat();
        assert_eq!(frame.bytes(), expected);

        let mut tagged = plain;
        tagged.header[12..].copy_from_slice(&[0x81, 0, 0, 100, 0x86, 0xdd]);
        tagged.header_len = LINK_HEADER_MAX as u8;
        let mut frame = MemoryFrame::new(&[0xaa; 20]);
        assert!(write_link_header(&mut frame, &tagged));
        let expected = [&to[..], &from, &[0x81, 0, 0, 100, 0x86, 0xdd], &[0xaa; 6]].concat();
        assert_eq!(frame.bytes(), expected);
        // A buffer without headroom.
        while frame.prepend(1) {}
        assert!(!write_link_header(&mut frame, &tagged));
    }
}
