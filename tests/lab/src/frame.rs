//! Offsets of the parts of an Ethernet frame, and a description of the frame.

use std::fmt::Write as _;
use std::net::IpAddr;

pub const ETHERNET_LENGTH: usize = 14;
pub const ARP: u16 = 0x0806;
pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const HOP_BY_HOP: u8 = 0;
pub const ICMP: u8 = 1;
pub const IGMP: u8 = 2;
pub const IPIP: u8 = 4;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const IPV6_IN: u8 = 41;
pub const IPV6_FRAGMENT: u8 = 44;
pub const GRE: u8 = 47;
pub const ICMPV6: u8 = 58;

/// The fields of a packet's outer IP header that are needed to compare and describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Internet {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class.
    pub tos: u8,
    /// IPv4 identification, or that of the IPv6 fragment header; 0 without one.
    pub ident: u32,
    pub flow_label: u32,
    /// In bytes, 0 for the first fragment.
    pub fragment_offset: u16,
    pub more_fragments: bool,
    /// Offset of the IPv6 fragment header in the frame.
    pub fragment_header: Option<usize>,
    /// Protocol after this header (and after an IPv6 fragment header).
    pub protocol: u8,
    /// Offset of the payload in the frame.
    pub payload: usize,
    /// Offset of the packet's end in the frame.
    pub end: usize,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub fn ethertype(frame: &[u8]) -> Option<u16> {
    be16(frame, 12)
}

/// The IP header of a frame, if it is complete.
pub fn internet(frame: &[u8]) -> Option<Internet> {
    match ethertype(frame)? {
        IPV4 => internet_v4(frame, ETHERNET_LENGTH),
        IPV6 => internet_v6(frame, ETHERNET_LENGTH),
        _ => None,
    }
}

fn internet_v4(frame: &[u8], at: usize) -> Option<Internet> {
    let header = frame.get(at..at + 20)?;
    let address = |from: usize| -> Option<IpAddr> {
        Some(IpAddr::from(<[u8; 4]>::try_from(header.get(from..from + 4)?).ok()?))
    };
    let fragment = be16(header, 6)?;
    Some(Internet {
        source: address(12)?,
        destination: address(16)?,
        ttl: header[8],
        tos: header[1],
        ident: u32::from(be16(header, 4)?),
        flow_label: 0,
        fragment_offset: (fragment & 0x1fff) * 8,
        more_fragments: fragment & 0x2000 != 0,
        fragment_header: None,
        protocol: header[9],
        payload: at + usize::from(header[0] & 0x0f) * 4,
        end: (at + usize::from(be16(header, 2)?)).min(frame.len()),
    })
}

fn internet_v6(frame: &[u8], at: usize) -> Option<Internet> {
    let header = frame.get(at..at + 40)?;
    let address = |from: usize| -> Option<IpAddr> {
        Some(IpAddr::from(<[u8; 16]>::try_from(header.get(from..from + 16)?).ok()?))
    };
    let first = be32(header, 0)?;
    let mut internet = Internet {
        source: address(8)?,
        destination: address(24)?,
        ttl: header[7],
        tos: (first >> 20) as u8,
        ident: 0,
        flow_label: first & 0x000f_ffff,
        fragment_offset: 0,
        more_fragments: false,
        fragment_header: None,
        protocol: header[6],
        payload: at + 40,
        end: (at + 40 + usize::from(be16(header, 4)?)).min(frame.len()),
    };
    let fragment = frame.get(at + 40..at + 48);
    if let Some(fragment) = fragment.filter(|_| internet.protocol == IPV6_FRAGMENT) {
        let offset = be16(fragment, 2)?;
        internet.fragment_header = Some(at + 40);
        internet.protocol = fragment[0];
        internet.fragment_offset = offset & 0xfff8;
        internet.more_fragments = offset & 1 != 0;
        internet.ident = be32(fragment, 4)?;
        internet.payload = at + 48;
    }
    Some(internet)
}

/// True if the director sends this frame unsolicited and by a timer: an ARP announcement (RFC 5227 section 2.3), an
/// unsolicited neighbour advertisement (RFC 4861 section 7.2.6) or a multicast listener report (RFC 3810).
pub fn is_announcement(frame: &[u8]) -> bool {
    match ethertype(frame) {
        Some(ARP) => frame.get(28..32).is_some() && frame.get(28..32) == frame.get(38..42),
        Some(IPV6) => internet(frame).is_some_and(|header| {
            let message = frame.get(header.payload..).unwrap_or_default();
            let advertisement = header.protocol == ICMPV6 && message.first() == Some(&136);
            let is_unsolicited = message.get(4).is_some_and(|flags| flags & 0x40 == 0);
            advertisement && is_unsolicited || is_membership_report(frame)
        }),
        _ => false,
    }
}

/// True if the kernel sends this frame for the link itself: ARP, IGMP, multicast listener reports (RFC 3810) or
/// neighbour discovery (RFC 4861).
pub fn is_housekeeping(frame: &[u8]) -> bool {
    match (ethertype(frame), internet(frame)) {
        (Some(ARP), _) => true,
        (Some(IPV4), Some(header)) => header.protocol == IGMP,
        (Some(IPV6), Some(header)) => {
            let byte = |at: usize| frame.get(at).copied().unwrap_or_default();
            // Reports have a router alert in a hop-by-hop header of 8 bytes.
            let (protocol, message) = match header.protocol {
                HOP_BY_HOP => (byte(header.payload), byte(header.payload + 8)),
                protocol => (protocol, byte(header.payload)),
            };
            protocol == ICMPV6 && matches!(message, 130..=136 | 143)
        }
        _ => false,
    }
}

/// An MLD version 2 report: ICMPv6 type 143 after the router alert option.
fn is_membership_report(frame: &[u8]) -> bool {
    frame.get(ETHERNET_LENGTH + 6) == Some(&HOP_BY_HOP)
        && frame.get(ETHERNET_LENGTH + 48) == Some(&143)
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// A frame in one line.
pub fn describe(frame: &[u8]) -> String {
    if frame.len() < ETHERNET_LENGTH {
        return format!("{} bytes, too few for Ethernet", frame.len());
    }
    let mut text = format!("{} > {}", mac(&frame[6..12]), mac(&frame[..6]));
    match internet(frame) {
        Some(header) => describe_internet(&mut text, frame, &header),
        None => {
            let _ = write!(text, " type {:04x}", ethertype(frame).unwrap_or_default());
        }
    }
    let _ = write!(text, " ({} bytes)", frame.len());
    text
}

fn describe_internet(text: &mut String, frame: &[u8], header: &Internet) {
    let Internet { source, destination, ttl, tos, .. } = header;
    let _ = write!(text, " {source} > {destination} ttl {ttl}");
    if *tos != 0 {
        let _ = write!(text, " tos {tos:#x}");
    }
    if header.fragment_offset != 0 || header.more_fragments {
        let more = if header.more_fragments { "+" } else { "" };
        let _ = write!(text, " fragment {}{more}", header.fragment_offset);
    }
    let inner = frame.get(header.payload..header.end).unwrap_or_default();
    if header.fragment_offset != 0 {
        let _ = write!(text, " protocol {}", header.protocol);
        return;
    }
    let ports = || Some((be16(inner, 0)?, be16(inner, 2)?));
    match (header.protocol, ports()) {
        (TCP, Some((from, to))) => {
            let flags = inner.get(13).copied().unwrap_or_default();
            let letters = "FSRPAUEC".char_indices().filter(|(bit, _)| flags & 1 << bit != 0);
            let letters: String = letters.map(|(_, letter)| letter).collect();
            let _ = write!(text, " TCP {from} > {to} [{letters}]");
        }
        (UDP, Some((from, to))) => {
            let _ = write!(text, " UDP {from} > {to}");
        }
        (ICMP | ICMPV6, Some(_)) => {
            let _ = write!(text, " ICMP type {} code {}", inner[0], inner[1]);
        }
        (protocol, _) => {
            let _ = write!(text, " protocol {protocol}");
        }
    }
}

/// Name of the field at `offset` of a frame.
pub fn field_at(frame: &[u8], offset: usize) -> &'static str {
    match offset {
        0..6 => return "destination MAC",
        6..12 => return "source MAC",
        12..14 => return "Ethernet type",
        _ => {}
    }
    let Some(header) = internet(frame) else { return "payload" };
    if offset >= header.payload {
        return transport_field(header.protocol, offset - header.payload);
    }
    match (header.source, offset - ETHERNET_LENGTH) {
        (IpAddr::V4(_), 0) => "IPv4 header length",
        (IpAddr::V4(_), 1) => "TOS",
        (IpAddr::V4(_), 2..4) => "IPv4 length",
        (IpAddr::V4(_), 4..6) => "IPv4 identification",
        (IpAddr::V4(_), 6..8) => "IPv4 flags and fragment offset",
        (IpAddr::V4(_), 8) => "TTL",
        (IpAddr::V4(_), 9) => "IPv4 protocol",
        (IpAddr::V4(_), 10..12) => "IPv4 header checksum",
        (IpAddr::V4(_), 12..16) => "source address",
        (IpAddr::V4(_), 16..20) => "destination address",
        (IpAddr::V4(_), _) => "IPv4 options",
        (IpAddr::V6(_), 0..4) => "traffic class and flow label",
        (IpAddr::V6(_), 4..6) => "IPv6 payload length",
        (IpAddr::V6(_), 6) => "IPv6 next header",
        (IpAddr::V6(_), 7) => "hop limit",
        (IpAddr::V6(_), 8..24) => "source address",
        (IpAddr::V6(_), 24..40) => "destination address",
        (IpAddr::V6(_), _) => "IPv6 extension header",
    }
}

fn transport_field(protocol: u8, offset: usize) -> &'static str {
    match (protocol, offset) {
        (TCP | UDP, 0..2) => "source port",
        (TCP | UDP, 2..4) => "destination port",
        (TCP, 4..12) => "TCP sequence numbers",
        (TCP, 12..14) => "TCP flags",
        (TCP, 14..16) => "TCP window",
        (TCP, 16..18) => "TCP checksum",
        (UDP, 4..6) => "UDP length",
        (UDP, 6..8) => "UDP checksum",
        (ICMP | ICMPV6, 0..2) => "ICMP type and code",
        (ICMP | ICMPV6, 2..4) => "ICMP checksum",
        (IPIP | IPV6_IN, _) => "inner packet",
        _ => "payload",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A TCP SYN from 11.22.33.44:4000 to 10.0.0.100:80.
    pub(crate) const SYN: [u8; 54] = [
        0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0xfe, 0xfe, 0x08, 0x00, 0x45, 0x00, 0x00, 0x28, 0,
        7, 0, 0, 0x40, 0x06, 0x44, 0x24, 11, 22, 33, 44, 10, 0, 0, 100, 0x0f, 0xa0, 0, 80, 0, 0, 3,
        0xe8, 0, 0, 0, 0, 0x50, 0x02, 0x20, 0, 0x45, 0x65, 0, 0,
    ];

    #[test]
    fn a_syn_in_words() {
        let text = describe(&SYN);
        assert_eq!(
            text,
            "02:00:00:00:fe:fe > 02:00:00:00:00:01 11.22.33.44 > 10.0.0.100 ttl 64 TCP 4000 > 80 [S] (54 bytes)"
        );
    }

    #[test]
    fn fields_have_names() {
        for (offset, name) in [
            (5, "destination MAC"),
            (22, "TTL"),
            (25, "IPv4 header checksum"),
            (37, "destination port"),
            (50, "TCP checksum"),
        ] {
            assert_eq!(field_at(&SYN, offset), name);
        }
    }

    #[test]
    fn any_bytes_can_be_described() {
        for length in 0..SYN.len() {
            describe(&SYN[..length]);
        }
        let mut frame = [0xff_u8; 60];
        for kind in [[0x08, 0x00], [0x86, 0xdd], [0x08, 0x06]] {
            frame[12..14].copy_from_slice(&kind);
            for length in 14..60 {
                describe(&frame[..length]);
                is_announcement(&frame[..length]);
            }
        }
    }

    #[test]
    fn a_hop_by_hop_header_alone_is_not_housekeeping() {
        let builder = director::testing::frame().ipv6("fd00:b::1", "ff02::16").hop_by_hop();
        assert!(is_housekeeping(&builder.clone().icmp(143, 0, 1).build()));
        assert!(!is_housekeeping(&builder.udp(4000, 53).payload([143; 8]).build()));
    }

    #[test]
    fn announcements_are_recognised() {
        let mut arp = vec![0xff; 6];
        arp.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        arp.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        assert!(is_announcement(&arp));
        arp[41] = 254;
        assert!(!is_announcement(&arp), "a reply is not an announcement");
        assert!(!is_announcement(&SYN));
        let mut report = vec![0; ETHERNET_LENGTH + 76];
        report[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
        report[ETHERNET_LENGTH + 48] = 143;
        assert!(is_announcement(&report));
        report[ETHERNET_LENGTH + 6] = 58;
        assert!(!is_announcement(&report));
    }
}
