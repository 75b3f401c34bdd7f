//! The TCP header (RFC 9293): access to its fields, and writing one. Every function takes bytes that start at the
//! header and must contain at least [`HEADER`] bytes. Setters do not update the checksum: one update for all changes is
//! cheaper.

use super::{Address, checksum, ipv4, wire};

pub use super::ports::{destination_port, set_destination_port, set_source_port, source_port};

/// Length of a header without options, in bytes.
pub const HEADER: usize = 20;

/// Bits of the flags byte.
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

/// Kind and length of the maximum segment size option (RFC 9293 section 3.7.1).
pub const OPTION_MSS: u8 = 2;
pub const OPTION_MSS_LENGTH: usize = 4;

#[inline]
pub fn sequence(header: &[u8]) -> u32 {
    wire::get32(header, 4)
}

#[inline]
pub fn acknowledgment(header: &[u8]) -> u32 {
    wire::get32(header, 8)
}

/// Header length in bytes with options, as the header says: 0 to 60.
#[inline]
pub fn header_length(header: &[u8]) -> usize {
    usize::from(header[12] >> 4) * 4
}

#[inline]
pub fn flags(header: &[u8]) -> u8 {
    header[13]
}

#[inline]
pub fn window(header: &[u8]) -> u16 {
    wire::get16(header, 14)
}

#[inline]
pub fn checksum(header: &[u8]) -> u16 {
    wire::get16(header, 16)
}

#[inline]
pub fn set_sequence(header: &mut [u8], sequence: u32) {
    wire::set32(header, 4, sequence);
}

#[inline]
pub fn set_acknowledgment(header: &mut [u8], acknowledgment: u32) {
    wire::set32(header, 8, acknowledgment);
}

#[inline]
pub fn set_checksum(header: &mut [u8], checksum: u16) {
    wire::set16(header, 16, checksum);
}

/// Computes and writes the checksum of `segment` (header, options and payload).
#[inline]
pub fn write_checksum<A: Address>(segment: &mut [u8], source: A, destination: A) {
    set_checksum(segment, 0);
    let sum = checksum::transport(source, destination, ipv4::TCP, segment);
    set_checksum(segment, sum);
}

/// Offset of the MSS value from the start of the TCP header. `segment` is the header with its options; at most 40
/// options are read.
pub fn mss_option(segment: &[u8]) -> Option<usize> {
    let end = header_length(segment).min(segment.len());
    let mut at = HEADER;
    while at < end {
        match segment[at] {
            0 => return None,
            1 => at += 1,
            kind => {
                let length = usize::from(*segment.get(at + 1)?);
                if length < 2 || at + length > end {
                    return None;
                }
                if kind == OPTION_MSS && length == OPTION_MSS_LENGTH {
                    return Some(at + 2);
                }
                at += length;
            }
        }
    }
    None
}

/// Fields of a new header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    pub window: u16,
}

impl Header {
    /// Writes a header without options and with checksum 0 to the first [`HEADER`] bytes.
    #[inline]
    pub fn write(&self, out: &mut [u8]) {
        let out = &mut out[..HEADER];
        out.fill(0);
        set_source_port(out, self.source_port);
        set_destination_port(out, self.destination_port);
        set_sequence(out, self.sequence);
        set_acknowledgment(out, self.acknowledgment);
        out[12] = ((HEADER / 4) << 4) as u8;
        out[13] = self.flags;
        wire::set16(out, 14, self.window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_rfc_9293_puts_them() {
        let header = Header {
            source_port: 4000,
            destination_port: 80,
            sequence: 0x0102_0304,
            acknowledgment: 0x0506_0708,
            flags: SYN | ACK,
            window: 8192,
        };
        let mut bytes = [0xff; HEADER];
        header.write(&mut bytes);
        assert_eq!(
            bytes,
            [15, 160, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x12, 0x20, 0, 0, 0, 0, 0]
        );
        set_checksum(&mut bytes, 0xbeef);
        assert_eq!((source_port(&bytes), destination_port(&bytes)), (4000, 80));
        assert_eq!((sequence(&bytes), acknowledgment(&bytes)), (0x0102_0304, 0x0506_0708));
        assert_eq!((header_length(&bytes), flags(&bytes)), (HEADER, 0x12));
        assert_eq!((window(&bytes), checksum(&bytes)), (8192, 0xbeef));
    }

    #[test]
    fn the_mss_option_is_found() {
        for (options, expected) in [
            (&[2, 4, 5, 180][..], Some(22)),
            (&[1, 1, 2, 4, 5, 180, 0, 0], Some(24)),
            (&[8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4], None),
            (&[0, 2, 4, 5], None),
            (&[3, 0, 2, 4], None),
            (&[3, 1, 2, 4], None),
            (&[2, 3, 5, 0], None),
            (&[], None),
        ] {
            let mut segment = [&[0; HEADER], options].concat();
            segment[12] = ((segment.len() / 4) << 4) as u8;
            assert_eq!(mss_option(&segment), expected, "{options:?}");
        }
    }

    #[test]
    fn options_beyond_the_bytes_are_not_read() {
        let mut segment = [0; HEADER + 1];
        segment[12] = 0xf0;
        segment[20] = 2;
        assert_eq!(mss_option(&segment), None);
    }
}
