//! The UDP header (RFC 768): access to its fields, and writing one. Every function takes bytes that start at the header
//! and must contain at least [`HEADER`] bytes. Setters do not update the checksum: one update for all changes is
//! cheaper.

use super::{Address, checksum, ipv4, wire};

pub use super::ports::{destination_port, set_destination_port, set_source_port, source_port};

/// Length of the header in bytes.
pub const HEADER: usize = 8;

/// Length of header and payload in bytes, as the header says.
#[inline]
pub fn length(header: &[u8]) -> u16 {
    wire::get16(header, 4)
}

/// The checksum field; 0 means no checksum.
#[inline]
pub fn checksum(header: &[u8]) -> u16 {
    wire::get16(header, 6)
}

#[inline]
pub fn set_checksum(header: &mut [u8], checksum: u16) {
    wire::set16(header, 6, checksum);
}

/// A computed checksum as it is sent: 0 is sent as all ones, because 0 means no checksum.
#[inline]
pub const fn sendable(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// Computes and writes the checksum of `datagram` (header and payload).
#[inline]
pub fn write_checksum<A: Address>(datagram: &mut [u8], source: A, destination: A) {
    set_checksum(datagram, 0);
    let sum = checksum::transport(source, destination, ipv4::UDP, datagram);
    set_checksum(datagram, sendable(sum));
}

/// Writes a header with checksum 0 to the first [`HEADER`] bytes.
#[inline]
pub fn write(out: &mut [u8], source_port: u16, destination_port: u16, length: u16) {
    let out = &mut out[..HEADER];
    set_source_port(out, source_port);
    set_destination_port(out, destination_port);
    wire::set16(out, 4, length);
    set_checksum(out, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_rfc_768_puts_them() {
        let mut bytes = [0xff; HEADER];
        write(&mut bytes, 4000, 53, 12);
        assert_eq!(bytes, [15, 160, 0, 53, 0, 12, 0, 0]);
        set_checksum(&mut bytes, 0xcda6);
        assert_eq!((source_port(&bytes), destination_port(&bytes)), (4000, 53));
        assert_eq!((length(&bytes), checksum(&bytes)), (12, 0xcda6));
    }

    #[test]
    fn a_computed_checksum_is_never_zero() {
        // The payload makes the checksum zero.
        let mut datagram = [0; HEADER + 2];
        write(&mut datagram, 0, 0, 10);
        let missing = checksum::transport(0_u32, 0, ipv4::UDP, &datagram);
        wire::set16(&mut datagram, HEADER, missing);
        write_checksum(&mut datagram, 0_u32, 0);
        assert_eq!(checksum(&datagram), 0xffff);
        assert_eq!(checksum::transport(0_u32, 0, ipv4::UDP, &datagram), 0);
    }
}
