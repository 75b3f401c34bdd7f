//! The SCTP common header and its chunks (RFC 9260). The checksum is a CRC32c over the whole packet, little-endian on
//! the wire (RFC 9260 appendix A). Every function takes bytes that start at the header and must contain at least
//! [`HEADER`] bytes.

use super::wire;

pub use super::ports::{destination_port, set_destination_port, set_source_port, source_port};

/// Length of the common header in bytes.
pub const HEADER: usize = 12;
/// Length of a chunk header in bytes.
pub const CHUNK_HEADER: usize = 4;

/// Chunk types (RFC 9260 section 3.2).
pub const DATA: u8 = 0;
pub const INIT: u8 = 1;
pub const INIT_ACK: u8 = 2;
pub const HEARTBEAT: u8 = 4;
pub const ABORT: u8 = 6;
pub const SHUTDOWN: u8 = 7;
pub const SHUTDOWN_ACK: u8 = 8;
pub const ERROR: u8 = 9;
pub const COOKIE_ECHO: u8 = 10;
pub const COOKIE_ACK: u8 = 11;
pub const SHUTDOWN_COMPLETE: u8 = 14;

#[inline]
pub fn verification_tag(header: &[u8]) -> u32 {
    wire::get32(header, 4)
}

/// Type of the second chunk of `packet` (common header and all chunks), if any. Chunks are padded to four bytes (RFC
/// 9260 section 3.2).
pub fn second_chunk(packet: &[u8]) -> Option<u8> {
    let chunks = packet.get(HEADER..)?;
    let length = usize::from(u16::from_be_bytes([*chunks.get(2)?, *chunks.get(3)?]));
    let is_sound = length >= CHUNK_HEADER;
    let second = chunks.get(length.next_multiple_of(4)..).filter(|_| is_sound)?;
    second.first_chunk::<CHUNK_HEADER>().map(|header| header[0])
}

/// The checksum of `packet` (common header and all chunks), whatever its checksum field contains.
pub fn checksum(packet: &[u8]) -> u32 {
    let head = crc32c::crc32c(&packet[..8]);
    let zeroed = crc32c::crc32c_append(head, &[0; 4]);
    crc32c::crc32c_append(zeroed, &packet[HEADER..])
}

/// True if the checksum is correct.
pub fn is_intact(packet: &[u8]) -> bool {
    packet[8..HEADER] == checksum(packet).to_le_bytes()
}

/// Computes and writes the checksum of `packet`.
pub fn write_checksum(packet: &mut [u8]) {
    let sum = checksum(packet);
    packet[8..HEADER].copy_from_slice(&sum.to_le_bytes());
}

/// Writes a common header with checksum 0 to the first [`HEADER`] bytes.
pub fn write(out: &mut [u8], source_port: u16, destination_port: u16, verification_tag: u32) {
    let out = &mut out[..HEADER];
    set_source_port(out, source_port);
    set_destination_port(out, destination_port);
    wire::set32(out, 4, verification_tag);
    wire::set32(out, 8, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// CRC32c bit by bit: polynomial 0x1edc6f41, reflected.
    fn slow(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |mut crc: u32, byte| {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            }
            crc
        })
    }

    proptest! {
        #[test]
        fn the_checksum_is_crc32c_with_a_zeroed_field(
            mut packet in prop::collection::vec(any::<u8>(), HEADER..80),
            bit in 0usize..96,
        ) {
            write_checksum(&mut packet);
            prop_assert!(is_intact(&packet));
            let mut zeroed = packet.clone();
            zeroed[8..HEADER].fill(0);
            prop_assert_eq!(checksum(&packet), slow(&zeroed));
            packet[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_intact(&packet));
        }
    }

    #[test]
    fn fields_are_where_rfc_9260_puts_them() {
        let mut bytes = [0xff; HEADER];
        write(&mut bytes, 4000, 3868, 0x0102_0304);
        assert_eq!(bytes, [15, 160, 15, 28, 1, 2, 3, 4, 0, 0, 0, 0]);
        assert_eq!((source_port(&bytes), destination_port(&bytes)), (4000, 3868));
        assert_eq!(verification_tag(&bytes), 0x0102_0304);
    }
}
