//! The header shared by ICMP (RFC 792) and ICMPv6 (RFC 4443), their types, and their checksums. Every function takes
//! bytes that start at the message and must contain at least [`HEADER`] bytes.

use super::{Address, checksum, ipv4, ipv6, wire};
use crate::model::Family;

/// Length in bytes: type, code, checksum, and four bytes that depend on the type.
pub const HEADER: usize = 8;

/// Types of ICMP.
pub mod v4 {
    pub const ECHO_REPLY: u8 = 0;
    pub const DESTINATION_UNREACHABLE: u8 = 3;
    pub const SOURCE_QUENCH: u8 = 4;
    pub const REDIRECT: u8 = 5;
    pub const ECHO_REQUEST: u8 = 8;
    pub const TIME_EXCEEDED: u8 = 11;
    pub const PARAMETER_PROBLEM: u8 = 12;

    /// Codes of [`DESTINATION_UNREACHABLE`].
    pub const NET_UNREACHABLE: u8 = 0;
    pub const HOST_UNREACHABLE: u8 = 1;
    pub const PORT_UNREACHABLE: u8 = 3;
    pub const FRAGMENTATION_NEEDED: u8 = 4;
}

/// Types of ICMPv6.
pub mod v6 {
    pub const DESTINATION_UNREACHABLE: u8 = 1;
    pub const PACKET_TOO_BIG: u8 = 2;
    pub const TIME_EXCEEDED: u8 = 3;
    pub const PARAMETER_PROBLEM: u8 = 4;
    pub const ECHO_REQUEST: u8 = 128;
    pub const ECHO_REPLY: u8 = 129;
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;

    /// Codes of [`DESTINATION_UNREACHABLE`].
    pub const NO_ROUTE: u8 = 0;
    pub const ADDRESS_UNREACHABLE: u8 = 3;
    pub const PORT_UNREACHABLE: u8 = 4;
}

/// IP protocol number of the family's ICMP.
#[inline]
pub const fn protocol(family: Family) -> u8 {
    match family {
        Family::Ipv4 => ipv4::ICMP,
        Family::Ipv6 => ipv6::ICMPV6,
    }
}

/// True if messages of this type quote a packet.
#[inline]
pub const fn is_error(family: Family, message_type: u8) -> bool {
    match family {
        Family::Ipv4 => matches!(
            message_type,
            v4::DESTINATION_UNREACHABLE
                | v4::SOURCE_QUENCH
                | v4::REDIRECT
                | v4::TIME_EXCEEDED
                | v4::PARAMETER_PROBLEM
        ),
        Family::Ipv6 => {
            // RFC 4443 section 2.1: the high bit distinguishes errors from other messages, future ones included.
            message_type < 128
        }
    }
}

#[inline]
pub fn message_type(message: &[u8]) -> u8 {
    message[0]
}

#[inline]
pub fn code(message: &[u8]) -> u8 {
    message[1]
}

#[inline]
pub fn checksum(message: &[u8]) -> u16 {
    wire::get16(message, 2)
}

/// The four bytes after the checksum: identifier and sequence number of an echo, the MTU of an ICMPv6 "packet too big",
/// or in the low half the MTU of an ICMP "fragmentation needed" (RFC 1191).
#[inline]
pub fn rest(message: &[u8]) -> u32 {
    wire::get32(message, 4)
}

#[inline]
pub fn set_checksum(message: &mut [u8], checksum: u16) {
    wire::set16(message, 2, checksum);
}

/// The checksum over the whole `message`: 0 if it is correct. ICMPv6 includes the pseudo-header (RFC 4443 section 2.3),
/// ICMP does not.
#[inline]
pub fn verify<A: Address>(source: A, destination: A, message: &[u8]) -> u16 {
    match A::FAMILY {
        Family::Ipv4 => checksum::internet(message),
        Family::Ipv6 => checksum::transport(source, destination, ipv6::ICMPV6, message),
    }
}

/// Computes and writes the checksum of `message`.
#[inline]
pub fn write_checksum<A: Address>(message: &mut [u8], source: A, destination: A) {
    set_checksum(message, 0);
    let sum = verify(source, destination, message);
    set_checksum(message, sum);
}

/// Writes type, code, checksum 0 and the next four bytes to the first [`HEADER`] bytes.
#[inline]
pub fn write(out: &mut [u8], message_type: u8, code: u8, rest: u32) {
    out[0] = message_type;
    out[1] = code;
    set_checksum(out, 0);
    wire::set32(out, 4, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_other_messages() {
        let errors = |family| (0..=255).filter(|kind| is_error(family, *kind)).collect::<Vec<u8>>();
        assert_eq!(errors(Family::Ipv4), [3, 4, 5, 11, 12]);
        assert_eq!(errors(Family::Ipv6), (0..128).collect::<Vec<u8>>());
    }

    #[test]
    fn echo_replies_of_a_kernel() {
        // Linux's reply to a ping, and its ICMPv6 counterpart.
        let mut message = *b"\x00\x00\x6e\x64\x00\x05\x00\x01abcdefgh";
        assert_eq!(verify(0x0a00_0064_u32, 0x0b16_212c, &message), 0);
        assert_eq!((message_type(&message), code(&message)), (v4::ECHO_REPLY, 0));
        assert_eq!((checksum(&message), rest(&message)), (0x6e64, 0x0005_0001));
        let source = 0xfd00_000a_0000_0000_0000_0000_0000_0100_u128;
        let destination = 0x2001_0db8_0000_0000_0000_0000_0000_0044_u128;
        write(&mut message, v6::ECHO_REPLY, 0, 0x0001_0001);
        write_checksum(&mut message, source, destination);
        assert_eq!(checksum(&message), 0xc115);
        assert_eq!(verify(source, destination, &message), 0);
    }
}
