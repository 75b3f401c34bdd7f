//! The Internet checksum (RFC 1071), slow and simple, to check the director's.

use std::net::IpAddr;

fn sum(bytes: &[u8]) -> u64 {
    let words = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low)));
    words.sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The checksum of a header whose checksum field is 0.
pub fn of(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// True if a header (or an ICMP message) with its checksum field sums up correctly.
pub fn holds(bytes: &[u8]) -> bool {
    fold(sum(bytes)) == 0xffff
}

/// True if a transport segment sums up correctly with its pseudo header (RFC 768, RFC 9293 section 3.1, RFC 8200
/// section 8.1).
pub fn holds_with_pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    segment: &[u8],
) -> bool {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let pseudo = sum(&octets(source)) + sum(&octets(destination));
    let pseudo = pseudo + u64::from(protocol) + segment.len() as u64;
    fold(pseudo + sum(segment)) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_a_known_packet() {
        // A captured header: 45 00 .. with checksum b861.
        let mut header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
            0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert!(holds(&header));
        header[8] ^= 1;
        assert!(!holds(&header));
    }

    #[test]
    fn datagram_with_its_pseudo_header() {
        let source = "10.0.0.1".parse().unwrap();
        let destination = "10.0.0.2".parse().unwrap();
        // 1 -> 2, length 9, payload ff; the checksum is 14 14 + 11 + 9 + 1 + 2 + 9 + ff00, inverted.
        let mut datagram = [0, 1, 0, 2, 0, 9, 0, 0, 0xff];
        let total = 0x0a00 + 1 + 0x0a00 + 2 + 17 + 9 + 1 + 2 + 9 + 0xff00;
        let checksum = !fold(total);
        datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
        assert!(holds_with_pseudo_header(source, destination, 17, &datagram));
        datagram[8] = 0xfe;
        assert!(!holds_with_pseudo_header(source, destination, 17, &datagram));
    }
}
