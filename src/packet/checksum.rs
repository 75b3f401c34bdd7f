//! The Internet checksum (RFC 1071): over bytes, over pseudo-headers, and updated for a changed field (RFC 1624).
//!
//! A *sum* is an unfolded `u32` of 16-bit words. Sums of adjacent parts can be added if every part except the last has
//! an even length. A *checksum* is the value in a header.

use super::Address;

/// One's complement sum of `bytes` as big-endian words, at most `0xffff`. An odd last byte is the high half of its
/// word.
#[inline]
pub fn sum(bytes: &[u8]) -> u32 {
    // Byte order commutes with one's complement addition (RFC 1071 section 2 B), so the loop adds native words and
    // swaps the result once. 2^31 additions of 33 bits cannot overflow.
    let mut total: u64 = 0;
    let mut eights = bytes.chunks_exact(8);
    for eight in &mut eights {
        #[expect(clippy::expect_used, reason = "chunks_exact(8) yields eight bytes")]
        let word = u64::from_ne_bytes(eight.try_into().expect("chunks of eight"));
        total += (word >> 32) + (word & 0xffff_ffff);
    }
    let mut twos = eights.remainder().chunks_exact(2);
    for two in &mut twos {
        total += u64::from(u16::from_ne_bytes([two[0], two[1]]));
    }
    if let [last] = *twos.remainder() {
        total += u64::from(u16::from_ne_bytes([last, 0]));
    }
    total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 32) + (total & 0xffff_ffff);
    u32::from(u16::from_be(fold(total as u32)))
}

/// Folds a sum to 16 bits, adding the carries.
#[inline]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + sum) as u16
}

/// The checksum for a sum.
#[inline]
pub const fn finish(sum: u32) -> u16 {
    !fold(sum)
}

/// The checksum of `bytes`. It is 0 if `bytes` contain their own correct checksum.
#[inline]
pub fn internet(bytes: &[u8]) -> u16 {
    finish(sum(bytes))
}

/// Sum of the pseudo-header: RFC 9293 section 3.1 for IPv4, RFC 8200 section 8.1 for IPv6.
/// `length` is the length of transport header and payload in bytes.
#[inline]
pub fn pseudo<A: Address>(source: A, destination: A, protocol: u8, length: u32) -> u32 {
    let parts = source.words() + destination.words() + (length >> 16) + (length & 0xffff);
    u32::from(fold(parts + u32::from(protocol)))
}

/// The checksum over pseudo-header and `segment` (transport header and payload). It is 0 if the segment contains its
/// correct checksum. To compute a checksum, set the field to zero first.
#[inline]
pub fn transport<A: Address>(source: A, destination: A, protocol: u8, segment: &[u8]) -> u16 {
    finish(pseudo(source, destination, protocol, segment.len() as u32) + sum(segment))
}

/// Difference of one changed 16-bit word, for [`apply`]. Differences of several words can be added.
#[inline]
pub const fn difference16(old: u16, new: u16) -> u32 {
    !old as u32 + new as u32
}

/// Difference of a changed address in the header or the pseudo-header, for [`apply`].
#[inline]
pub fn difference<A: Address>(old: A, new: A) -> u32 {
    u32::from(!fold(old.words())) + new.words()
}

/// The checksum after a change (RFC 1624 equation 3).
#[inline]
pub const fn apply(checksum: u16, difference: u32) -> u16 {
    finish(!checksum as u32 + difference)
}

/// The checksum after a change of one 16-bit word.
#[inline]
pub const fn update16(checksum: u16, old: u16, new: u16) -> u16 {
    apply(checksum, difference16(old, new))
}

/// The checksum after a change of an address in the header or the pseudo-header.
#[inline]
pub fn update_address<A: Address>(checksum: u16, old: A, new: A) -> u16 {
    apply(checksum, difference(old, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ipv4, tcp};
    use proptest::prelude::*;

    /// RFC 1071's definition, one word at a time, with each carry.
    fn slow(bytes: &[u8]) -> u16 {
        let mut sum: u16 = 0;
        for pair in bytes.chunks(2) {
            let word = u16::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u16::from(*low));
            let (added, carry) = sum.overflowing_add(word);
            sum = added + u16::from(carry);
        }
        !sum
    }

    #[test]
    fn known_sums() {
        // RFC 1071 section 3's example.
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        assert_eq!(internet(&[]), 0xffff);
        assert_eq!(internet(&[0xff]), 0x00ff);
        // RFC 1624 section 4: the case that equation 2 computes wrongly.
        assert_eq!(update16(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    fn rewritten<A: Address>(source: A, destination: A, new: A, ports: [u16; 2], payload: &[u8]) {
        let mut segment = vec![0; tcp::HEADER];
        segment[12] = 0x50;
        segment.extend_from_slice(payload);
        tcp::set_source_port(&mut segment, ports[0]);
        let first = transport(source, destination, ipv4::TCP, &segment);
        let updated = update16(update_address(first, destination, new), ports[0], ports[1]);
        tcp::set_source_port(&mut segment, ports[1]);
        assert_eq!(updated, transport(source, new, ipv4::TCP, &segment));
        tcp::set_checksum(&mut segment, updated);
        assert_eq!(transport(source, new, ipv4::TCP, &segment), 0);
    }

    proptest! {
        #[test]
        fn the_fast_sum_equals_the_slow_one(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(internet(&bytes), slow(&bytes));
        }

        #[test]
        fn sums_of_pieces_add_up(
            words in prop::collection::vec(any::<[u8; 2]>(), 0..90),
            rest in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let first = words.concat();
            let whole = [first.as_slice(), &rest].concat();
            prop_assert_eq!(finish(sum(&first) + sum(&rest)), slow(&whole));
        }

        #[test]
        fn an_updated_checksum_equals_the_recomputed_one(
            v4 in any::<[u32; 3]>(), v6 in any::<[u128; 3]>(), ports in any::<[u16; 2]>(),
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            rewritten(v4[0], v4[1], v4[2], ports, &payload);
            rewritten(v6[0], v6[1], v6[2], ports, &payload);
        }

        #[test]
        fn pseudo_headers_are_summed_as_laid_out(
            v4 in any::<[u32; 2]>(), v6 in any::<[u128; 2]>(), protocol: u8, length: u32,
        ) {
            let mut short = [v4[0].to_be_bytes(), v4[1].to_be_bytes()].concat();
            short.extend([0, protocol]);
            short.extend((length as u16).to_be_bytes());
            let sum = pseudo(v4[0], v4[1], protocol, length & 0xffff);
            prop_assert_eq!(finish(sum), slow(&short));
            let mut long = [v6[0].to_be_bytes(), v6[1].to_be_bytes()].concat();
            long.extend(length.to_be_bytes());
            long.extend([0, 0, 0, protocol]);
            prop_assert_eq!(finish(pseudo(v6[0], v6[1], protocol, length)), slow(&long));
        }

        #[test]
        fn an_address_changes_both_its_words(before: u32, after: u32, rest: [u8; 7]) {
            let (old, new) = (before.to_be_bytes(), after.to_be_bytes());
            let checksum = internet(&[&old[..], &rest].concat());
            // A header of zeros has two checksums, 0 and 0xffff; real headers are not zero.
            prop_assume!(rest != [0; 7]);
            let updated = update_address(checksum, before, after);
            prop_assert_eq!(updated, internet(&[&new[..], &rest].concat()));
        }
    }
}
