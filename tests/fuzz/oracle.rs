//! Slow and simple checksums, to compare with the director's.

use director::model::Family;
use director::packet::{Address, Fragment, Packet, Role, icmp, ipv4};

/// RFC 1071, one 16-bit word at a time.
fn internet(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum = 0u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// CRC-32c, one bit at a time (RFC 9260 appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// True if the checksum of an IPv4 header with its options is correct. `ip` starts with the header.
pub fn is_header_right(ip: &[u8]) -> bool {
    internet(&[&ip[..usize::from(ip[0] & 15) * 4]]) == 0
}

/// True if the checksum of the transport header is correct. `None` if it cannot be checked: fragments, other protocols,
/// UDP without a checksum.
pub fn is_upper_right<A: Address>(packet: &Packet<A>, ip: &[u8]) -> Option<bool> {
    let (addresses, length) = match A::FAMILY {
        Family::Ipv4 => (&ip[12..20], usize::from(packet.length)),
        Family::Ipv6 => (&ip[8..40], usize::from(packet.length)),
    };
    let segment = &ip[usize::from(packet.header)..length];
    if packet.fragment != Fragment::Whole {
        return None;
    }
    let pseudo = |protocol: u8| {
        let length = segment.len() as u16;
        internet(&[addresses, &[0, protocol], &length.to_be_bytes(), segment])
    };
    match (packet.role, packet.protocol) {
        (Role::Transport, ipv4::UDP) if segment[6..8] == [0, 0] => None,
        (Role::Transport, ipv4::TCP | ipv4::UDP) => Some(pseudo(packet.protocol) == 0),
        (Role::Transport, ipv4::SCTP) => {
            let mut blank = segment.to_vec();
            blank[8..12].fill(0);
            Some(crc32c(&blank).to_le_bytes() == segment[8..12])
        }
        (Role::Icmp | Role::IcmpError, protocol) => Some(match A::FAMILY {
            Family::Ipv4 => internet(&[segment]) == 0,
            Family::Ipv6 => pseudo(protocol) == 0,
        }),
        _ => None,
    }
    .filter(|_| packet.protocol != icmp::protocol(A::FAMILY) || segment.len() >= icmp::HEADER)
}

#[test]
fn published_check_values() {
    // RFC 1071 section 3; published check value of CRC-32C.
    assert_eq!(internet(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
