//! The ports at the start of TCP, UDP and SCTP headers. Every function takes bytes that start at the header and must
//! contain at least four bytes.

use super::wire;

#[inline]
pub fn source_port(header: &[u8]) -> u16 {
    wire::get16(header, 0)
}

#[inline]
pub fn destination_port(header: &[u8]) -> u16 {
    wire::get16(header, 2)
}

#[inline]
pub fn set_source_port(header: &mut [u8], port: u16) {
    wire::set16(header, 0, port);
}

#[inline]
pub fn set_destination_port(header: &mut [u8], port: u16) {
    wire::set16(header, 2, port);
}
