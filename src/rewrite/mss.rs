//! Lowers the MSS that a SYN announces, in place (RFC 9293 section 3.7.1).

use super::Layer3;
use crate::io::Frame;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, checksum, tcp, wire};

/// Lowers the MSS option of the frame's TCP segment to `limit`; true if it was larger. No option is added: without it
/// the receiver uses the minimum that every host accepts.
#[cold]
pub fn clamp_mss<A: Layer3>(frame: &mut impl Frame, packet: &Packet<A>, limit: u16) -> bool {
    let ip = &mut frame.bytes_mut()[ETHERNET..ETHERNET + usize::from(packet.length)];
    let segment = &mut ip[usize::from(packet.header)..];
    let Some(at) = tcp::mss_option(segment) else { return false };
    let old = wire::get16(segment, at);
    if old <= limit {
        return false;
    }
    wire::set16(segment, at, limit);
    // At an odd offset the value spans two words of the sum: its high byte is the low byte of the first word, its low
    // byte the high byte of the second. Together they count as the value with its bytes swapped (RFC 1071 section 2 B).
    let counted = |value: u16| if at.is_multiple_of(2) { value } else { value.swap_bytes() };
    let sum = checksum::update16(tcp::checksum(segment), counted(old), counted(limit));
    tcp::set_checksum(segment, sum);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryFrame;
    use crate::packet::Parse;
    use crate::testing::{PacketBuilder, frame};
    use proptest::prelude::*;

    /// The packet after clamping, and if it was changed.
    fn clamped<A: Layer3 + Parse>(packet: &PacketBuilder<A>, limit: u16) -> (bool, Vec<u8>) {
        let mut frame = MemoryFrame::new(&packet.build());
        let parsed = A::parse(&frame.bytes()[ETHERNET..]).unwrap();
        let changed = clamp_mss(&mut frame, &parsed, limit);
        (changed, frame.bytes().to_vec())
    }

    /// The same segment built with other options.
    fn expect<A: Layer3 + Parse>(
        packet: PacketBuilder<A>,
        before: &[u8],
        limit: u16,
        after: Option<&[u8]>,
    ) {
        let outcome = clamped(&packet.clone().tcp_options(before), limit);
        let wanted = packet.tcp_options(after.unwrap_or(before)).build();
        assert_eq!(outcome, (after.is_some(), wanted), "{before:?}");
    }

    #[test]
    fn only_a_larger_mss_is_lowered() {
        // 1460 and 1400 are 5,180 and 5,120.
        for (before, limit, after) in [
            (&[2, 4, 5, 180][..], 1400, Some(&[2, 4, 5, 120][..])),
            (&[2, 4, 5, 120], 1400, None),
            (&[2, 4, 2, 24], 1400, None),
            (&[2, 4, 0, 0], 1400, None),
            (&[2, 4, 255, 255], 1400, Some(&[2, 4, 5, 120])),
            // At an odd offset.
            (&[1, 2, 4, 5, 180, 1, 1, 0], 1400, Some(&[1, 2, 4, 5, 120, 1, 1, 0])),
            (&[3, 3, 7, 2, 4, 5, 180, 0], 1400, Some(&[3, 3, 7, 2, 4, 5, 120, 0])),
            // After the other options that Linux sends.
            (
                &[4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 2, 4, 5, 180],
                1400,
                Some(&[4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 2, 4, 5, 120]),
            ),
            // No option, after the end of options, cut off, and with a wrong length.
            (&[], 1400, None),
            (&[1, 1, 1, 1], 1400, None),
            (&[0, 2, 4, 5, 180, 0, 0, 0], 1400, None),
            (&[1, 2, 4, 5], 1400, None),
            (&[1, 1, 1, 2], 1400, None),
            (&[2, 3, 5, 0], 1400, None),
            (&[2, 0, 5, 180], 1400, None),
        ] {
            let segment = frame().ipv4("77.1.2.3", "10.0.0.100").tcp(4000, 80).flags(tcp::SYN);
            expect(segment, before, limit, after);
            let segment = frame().ipv6("2001:db8::3", "fd00:a::100").hop_by_hop();
            expect(segment.tcp(4000, 80).flags(tcp::SYN), before, limit, after);
        }
    }

    /// Padding to the minimum Ethernet frame is not read as options.
    #[test]
    fn padding_is_not_read() {
        let bare = frame().ipv4("77.1.2.3", "10.0.0.100").tcp(4000, 80).flags(tcp::SYN).padded();
        let mut bytes = bare.build();
        bytes[14 + 20 + 12] = 0x60;
        bytes[14 + 40..14 + 44].copy_from_slice(&[2, 4, 5, 180]);
        let mut frame = MemoryFrame::new(&bytes);
        let parsed = u32::parse(&bytes[ETHERNET..]).unwrap();
        assert!(!clamp_mss(&mut frame, &parsed, 536));
        assert_eq!(frame.bytes(), bytes);
    }

    /// A segment with the MSS option after `before` no-operations.
    fn holds<A: Layer3 + Parse>(
        packet: PacketBuilder<A>,
        (before, mss, limit): (usize, u16, u16),
        payload: &[u8],
    ) {
        let options = |mss: u16| {
            let [high, low] = mss.to_be_bytes();
            let mut options = vec![1; before];
            options.extend([2, 4, high, low]);
            options.resize(options.len().next_multiple_of(4), 0);
            options
        };
        let segment = packet.tcp(4000, 80).flags(tcp::SYN).payload(payload);
        let came = segment.clone().tcp_options(&options(mss));
        let (changed, bytes) = clamped(&came, limit);
        assert_eq!(changed, mss > limit);
        assert_eq!(bytes, segment.tcp_options(&options(mss.min(limit))).build());
    }

    proptest! {
        /// Compared with a segment built with the new MSS and a complete checksum.
        #[test]
        fn the_checksum_equals_the_recomputed_one(
            v4 in any::<[u32; 2]>(), v6 in any::<[u128; 2]>(), before in 0..=36_usize,
            mss: u16, limit: u16, payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let place = (before, mss, limit);
            holds(frame().ipv4(v4[0], v4[1]), place, &payload);
            holds(frame().ipv6(v6[0], v6[1]), place, &payload);
        }
    }
}
