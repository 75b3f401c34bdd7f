//! Differences between IPv4 and IPv6 when a header is rewritten.

use crate::packet::ethernet::EtherType;
use crate::packet::{Address, checksum, ipv4, wire};

/// The end of a packet that is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Source,
    Destination,
}

/// Access to the header fields of one address family.
pub trait Layer3: Address {
    const ETHER_TYPE: EtherType = EtherType::of(Self::FAMILY);
    /// IP protocol number of this family inside IP (RFC 2003, RFC 2473).
    const ENCAPSULATED: u8;
    /// Length in bytes of the header without options or extensions.
    const HEADER: usize;
    /// Offsets of the two addresses.
    const SOURCE: usize;
    const DESTINATION: usize;
    /// IP protocol number of the family's ICMP.
    const ICMP: u8;

    /// Decrements TTL or hop limit, which must be above 1.
    fn decrement(ip: &mut [u8]);

    /// Applies a `checksum::difference` to the header checksum, if the family has one.
    fn adjust_header(ip: &mut [u8], difference: u32);

    /// Computes the header checksum, if the family has one.
    fn seal_header(ip: &mut [u8]);

    /// Replaces one address of the header and updates its checksum.
    #[inline]
    fn set_address(ip: &mut [u8], end: End, old: Self, new: Self) {
        Self::replace_address(ip, end, new, checksum::difference(old, new));
    }

    /// [`Layer3::set_address`] with a known difference.
    #[inline]
    fn replace_address(ip: &mut [u8], end: End, new: Self, difference: u32) {
        let at = match end {
            End::Source => Self::SOURCE,
            End::Destination => Self::DESTINATION,
        };
        new.write(&mut ip[at..]);
        Self::adjust_header(ip, difference);
    }
}

const IPV4_TTL: usize = 8;
const IPV4_CHECKSUM: usize = 10;
const IPV6_HOP_LIMIT: usize = 7;

impl Layer3 for u32 {
    const ENCAPSULATED: u8 = 4;
    const HEADER: usize = 20;
    const SOURCE: usize = 12;
    const DESTINATION: usize = 16;
    const ICMP: u8 = 1;

    #[inline]
    fn decrement(ip: &mut [u8]) {
        let Some(ip) = ip.first_chunk_mut::<{ ipv4::HEADER }>() else { return };
        ip[IPV4_TTL] -= 1;
        // The word of TTL and protocol decreases by 0x100, so the checksum increases by the same (RFC 1624). Done in
        // network byte order: two byte swaps would cost more than the addition.
        let sum = u32::from(u16::from_ne_bytes([ip[IPV4_CHECKSUM], ip[IPV4_CHECKSUM + 1]]));
        let sum = sum + u32::from(0x0100_u16.to_be());
        let sum = (sum + u32::from(sum >= 0xffff)) as u16;
        ip[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].copy_from_slice(&sum.to_ne_bytes());
    }

    #[inline]
    fn adjust_header(ip: &mut [u8], difference: u32) {
        let sum = checksum::apply(wire::get16(ip, IPV4_CHECKSUM), difference);
        wire::set16(ip, IPV4_CHECKSUM, sum);
    }

    fn seal_header(ip: &mut [u8]) {
        let length = ipv4::header_length(ip);
        ipv4::write_checksum(&mut ip[..length]);
    }
}

impl Layer3 for u128 {
    const ENCAPSULATED: u8 = 41;
    const HEADER: usize = 40;
    const SOURCE: usize = 8;
    const DESTINATION: usize = 24;
    const ICMP: u8 = 58;

    #[inline]
    fn decrement(ip: &mut [u8]) {
        ip[IPV6_HOP_LIMIT] -= 1;
    }

    #[inline]
    fn adjust_header(_: &mut [u8], _: u32) {}

    fn seal_header(_: &mut [u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decrementing_the_ttl_keeps_the_checksum_correct() {
        for identification in 0..=u16::MAX {
            let mut header = [0; ipv4::HEADER];
            header[0] = 0x45;
            header[IPV4_TTL] = identification as u8 | 2;
            wire::set16(&mut header, 4, identification);
            ipv4::write_checksum(&mut header);
            let mut expected = header;
            ipv4::set_ttl(&mut expected, header[IPV4_TTL] - 1);
            u32::decrement(&mut header);
            assert_eq!(header, expected);
        }
    }
}
