//! The IPv6 header (RFC 8200): access to its fields, and writing one. Every function takes bytes that start at the
//! header and must contain at least [`HEADER`] bytes.

use super::{Address, wire};

/// Length of the header in bytes, without extension headers.
pub const HEADER: usize = 40;
/// Length of a fragment header in bytes.
pub const FRAGMENT_HEADER: usize = 8;

/// IANA numbers of extension headers.
pub const HOP_BY_HOP: u8 = 0;
pub const ROUTING: u8 = 43;
pub const FRAGMENT: u8 = 44;
pub const ESP: u8 = 50;
pub const AUTHENTICATION: u8 = 51;
pub const ICMPV6: u8 = 58;
pub const DESTINATION_OPTIONS: u8 = 60;

#[inline]
pub fn version(header: &[u8]) -> u8 {
    header[0] >> 4
}

#[inline]
pub fn traffic_class(header: &[u8]) -> u8 {
    (wire::get16(header, 0) >> 4) as u8
}

#[inline]
pub fn flow_label(header: &[u8]) -> u32 {
    wire::get32(header, 0) & 0x000f_ffff
}

/// Bytes after the header, with extension headers.
#[inline]
pub fn payload_length(header: &[u8]) -> u16 {
    wire::get16(header, 4)
}

#[inline]
pub fn next_header(header: &[u8]) -> u8 {
    header[6]
}

#[inline]
pub fn hop_limit(header: &[u8]) -> u8 {
    header[7]
}

#[inline]
pub fn source(header: &[u8]) -> u128 {
    u128::read(&header[8..])
}

#[inline]
pub fn destination(header: &[u8]) -> u128 {
    u128::read(&header[24..])
}

#[inline]
pub fn set_source(header: &mut [u8], address: u128) {
    address.write(&mut header[8..]);
}

#[inline]
pub fn set_destination(header: &mut [u8], address: u128) {
    address.write(&mut header[24..]);
}

#[inline]
pub fn set_hop_limit(header: &mut [u8], hop_limit: u8) {
    header[7] = hop_limit;
}

#[inline]
pub fn set_next_header(header: &mut [u8], number: u8) {
    header[6] = number;
}

#[inline]
pub fn set_payload_length(header: &mut [u8], length: u16) {
    wire::set16(header, 4, length);
}

/// Fields of a new header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub traffic_class: u8,
    /// 20 bits.
    pub flow_label: u32,
    /// Bytes after the header.
    pub payload_length: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: u128,
    pub destination: u128,
}

impl Header {
    /// Writes the header to the first [`HEADER`] bytes.
    #[inline]
    pub fn write(&self, out: &mut [u8]) {
        let out = &mut out[..HEADER];
        let label = self.flow_label & 0x000f_ffff;
        wire::set32(out, 0, 6 << 28 | u32::from(self.traffic_class) << 20 | label);
        wire::set16(out, 4, self.payload_length);
        out[6] = self.next_header;
        out[7] = self.hop_limit;
        set_source(out, self.source);
        set_destination(out, self.destination);
    }
}

/// Multicast addresses are `ff00::/8`.
#[inline]
pub const fn is_multicast(address: u128) -> bool {
    address >> 120 == 0xff
}

/// Link-local addresses are `fe80::/10`.
#[inline]
pub const fn is_link_local(address: u128) -> bool {
    address >> 118 == 0x3fa
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn bits(text: &str) -> u128 {
        text.parse::<Ipv6Addr>().unwrap().to_bits()
    }

    #[test]
    fn fields_are_where_rfc_8200_puts_them() {
        let header = Header {
            traffic_class: 0xa5,
            flow_label: 0x31ac0,
            payload_length: 1240,
            next_header: ICMPV6,
            hop_limit: 63,
            source: bits("fd00:a::100"),
            destination: bits("2001:db8::44"),
        };
        let mut bytes = [0xff; HEADER];
        header.write(&mut bytes);
        assert_eq!(&bytes[..8], [0x6a, 0x53, 0x1a, 0xc0, 0x04, 0xd8, 0x3a, 0x3f]);
        assert_eq!((version(&bytes), traffic_class(&bytes)), (6, 0xa5));
        assert_eq!((flow_label(&bytes), payload_length(&bytes)), (0x31ac0, 1240));
        assert_eq!((next_header(&bytes), hop_limit(&bytes)), (ICMPV6, 63));
        assert_eq!((source(&bytes), destination(&bytes)), (header.source, header.destination));
        set_hop_limit(&mut bytes, 1);
        set_payload_length(&mut bytes, 7);
        set_source(&mut bytes, header.destination);
        set_destination(&mut bytes, header.source);
        let mut expected = [0; HEADER];
        Header {
            hop_limit: 1,
            payload_length: 7,
            source: header.destination,
            destination: header.source,
            ..header
        }
        .write(&mut expected);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn kinds_of_addresses() {
        assert!(is_multicast(bits("ff02::1")) && !is_multicast(bits("fe80::1")));
        assert!(is_link_local(bits("fe80::1")) && is_link_local(bits("febf::1")));
        assert!(!is_link_local(bits("fec0::1")) && !is_link_local(bits("fd00::1")));
    }
}
