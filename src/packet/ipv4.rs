//! The IPv4 header (RFC 791): access to its fields, and writing one. Every function takes bytes that start at the
//! header and must contain at least [`HEADER`] bytes.

use super::{checksum, wire};

/// Length of a header without options, in bytes.
pub const HEADER: usize = 20;

/// IANA protocol numbers.
pub const ICMP: u8 = 1;
pub const IPIP: u8 = 4;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const IPV6: u8 = 41;
pub const GRE: u8 = 47;
pub const SCTP: u8 = 132;

/// Bits of the word at offset 6.
pub const DONT_FRAGMENT: u16 = 0x4000;
pub const MORE_FRAGMENTS: u16 = 0x2000;
pub const FRAGMENT_OFFSET: u16 = 0x1fff;

#[inline]
pub fn version(header: &[u8]) -> u8 {
    header[0] >> 4
}

/// Header length in bytes with options, as the header says: 0 to 60.
#[inline]
pub fn header_length(header: &[u8]) -> usize {
    usize::from(header[0] & 0x0f) * 4
}

#[inline]
pub fn tos(header: &[u8]) -> u8 {
    header[1]
}

/// Length of the whole packet in bytes.
#[inline]
pub fn total_length(header: &[u8]) -> u16 {
    wire::get16(header, 2)
}

#[inline]
pub fn identification(header: &[u8]) -> u16 {
    wire::get16(header, 4)
}

/// Flags and fragment offset (in units of 8 bytes) as in the header.
#[inline]
pub fn fragment_word(header: &[u8]) -> u16 {
    wire::get16(header, 6)
}

/// DF: routers must not fragment the packet.
#[inline]
pub fn dont_fragment(header: &[u8]) -> bool {
    fragment_word(header) & DONT_FRAGMENT != 0
}

/// True for every fragment.
#[inline]
pub fn is_fragment(header: &[u8]) -> bool {
    fragment_word(header) & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
}

/// True for fragments other than the first.
#[inline]
pub fn is_later_fragment(header: &[u8]) -> bool {
    fragment_word(header) & FRAGMENT_OFFSET != 0
}

#[inline]
pub fn ttl(header: &[u8]) -> u8 {
    header[8]
}

#[inline]
pub fn protocol(header: &[u8]) -> u8 {
    header[9]
}

#[inline]
pub fn checksum(header: &[u8]) -> u16 {
    wire::get16(header, 10)
}

#[inline]
pub fn source(header: &[u8]) -> u32 {
    wire::get32(header, 12)
}

#[inline]
pub fn destination(header: &[u8]) -> u32 {
    wire::get32(header, 16)
}

/// True if the checksum of a header without options is correct (RFC 791). The sum of its 16-bit words must be a
/// multiple of `0xffff`. The sum of longer words shows the same, because `0xffff` divides `2^32 - 1` and `2^64 - 1`.
#[inline]
pub fn is_sound(header: &[u8; HEADER]) -> bool {
    let (eights, rest) = header.as_chunks::<8>();
    let [first, second] = [0, 1].map(|index| u64::from_ne_bytes(eights[index]));
    let last = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]);
    let (sum, carry) = first.overflowing_add(second);
    let (sum, again) = sum.overflowing_add(u64::from(last) + u64::from(carry));
    let (sum, _) = sum.overflowing_add(u64::from(again));
    sum.is_multiple_of(0xffff)
}

/// Sets the source address and updates the header checksum.
#[inline]
pub fn set_source(header: &mut [u8], address: u32) {
    set_address(header, 12, address);
}

/// Sets the destination address and updates the header checksum.
#[inline]
pub fn set_destination(header: &mut [u8], address: u32) {
    set_address(header, 16, address);
}

#[inline]
fn set_address(header: &mut [u8], at: usize, address: u32) {
    let updated = checksum::update_address(checksum(header), wire::get32(header, at), address);
    wire::set32(header, at, address);
    wire::set16(header, 10, updated);
}

/// Sets the TTL and updates the header checksum.
#[inline]
pub fn set_ttl(header: &mut [u8], ttl: u8) {
    let old = wire::get16(header, 8);
    header[8] = ttl;
    let updated = checksum::update16(checksum(header), old, wire::get16(header, 8));
    wire::set16(header, 10, updated);
}

/// Sets the TOS byte and updates the header checksum.
#[inline]
pub fn set_tos(header: &mut [u8], tos: u8) {
    let old = wire::get16(header, 0);
    header[1] = tos;
    let updated = checksum::update16(checksum(header), old, wire::get16(header, 0));
    wire::set16(header, 10, updated);
}

/// Sets flags and fragment offset and updates the header checksum.
#[inline]
pub fn set_fragment_word(header: &mut [u8], word: u16) {
    let updated = checksum::update16(checksum(header), fragment_word(header), word);
    wire::set16(header, 6, word);
    wire::set16(header, 10, updated);
}

/// Fields of a new header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub tos: u8,
    /// Length of the whole packet in bytes.
    pub total_length: u16,
    pub identification: u16,
    /// Flags and fragment offset as in the header.
    pub fragment_word: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub source: u32,
    pub destination: u32,
}

impl Header {
    /// Writes a header without options, with its checksum, to the first [`HEADER`] bytes.
    #[inline]
    pub fn write(&self, out: &mut [u8]) {
        let out = &mut out[..HEADER];
        out[0] = 0x45;
        out[1] = self.tos;
        wire::set16(out, 2, self.total_length);
        wire::set16(out, 4, self.identification);
        wire::set16(out, 6, self.fragment_word);
        out[8] = self.ttl;
        out[9] = self.protocol;
        wire::set16(out, 10, 0);
        wire::set32(out, 12, self.source);
        wire::set32(out, 16, self.destination);
        write_checksum(out);
    }
}

/// Computes and writes the checksum of `header` with its options.
#[inline]
pub fn write_checksum(header: &mut [u8]) {
    wire::set16(header, 10, 0);
    let sum = checksum::internet(header);
    wire::set16(header, 10, sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(ttl: u8, tos: u8, addresses: [u32; 2], length: u16, word: u16) -> Header {
        Header {
            tos,
            total_length: length,
            identification: 0x4f43,
            fragment_word: word,
            ttl,
            protocol: TCP,
            source: addresses[0],
            destination: addresses[1],
        }
    }

    proptest! {
        /// After a setter the header equals one written with the new value.
        #[test]
        fn setters_keep_the_checksum(
            from in any::<(u8, u8, [u32; 2], u16, u16)>(),
            to in any::<(u8, u8, [u32; 2], u16)>(),
        ) {
            let mut bytes = [0; HEADER];
            header(from.0, from.1, from.2, from.3, from.4).write(&mut bytes);
            set_ttl(&mut bytes, to.0);
            set_tos(&mut bytes, to.1);
            set_source(&mut bytes, to.2[0]);
            set_destination(&mut bytes, to.2[1]);
            set_fragment_word(&mut bytes, to.3);
            let mut expected = [0; HEADER];
            header(to.0, to.1, to.2, from.3, to.3).write(&mut expected);
            prop_assert_eq!(bytes, expected);
            prop_assert_eq!(checksum::internet(&bytes), 0);
        }
    }

    proptest! {
        /// Correct headers, and headers with one wrong word.
        #[test]
        fn the_fast_header_check_matches_the_slow_one(mut bytes: [u8; HEADER], wrong: u16) {
            bytes[0] = 0x45;
            write_checksum(&mut bytes);
            prop_assert!(is_sound(&bytes));
            let sum = wire::get16(&bytes, 10);
            wire::set16(&mut bytes, 10, wrong);
            prop_assert_eq!(is_sound(&bytes), checksum::internet(&bytes) == 0);
            wire::set16(&mut bytes, 10, sum ^ 0xffff);
            prop_assert_eq!(is_sound(&bytes), checksum::internet(&bytes) == 0);
        }
    }

    #[test]
    fn fields_are_where_rfc_791_puts_them() {
        let mut bytes = [0; HEADER];
        header(64, 0xc0, [0x0a00_0064, 0x4d0f_ee47], 68, DONT_FRAGMENT | 3).write(&mut bytes);
        assert_eq!((version(&bytes), header_length(&bytes)), (4, HEADER));
        assert_eq!((tos(&bytes), ttl(&bytes), protocol(&bytes)), (0xc0, 64, TCP));
        assert_eq!((total_length(&bytes), identification(&bytes)), (68, 0x4f43));
        assert_eq!(fragment_word(&bytes), 0x4003);
        assert_eq!((source(&bytes), destination(&bytes)), (0x0a00_0064, 0x4d0f_ee47));
    }
}
