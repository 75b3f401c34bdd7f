//! Membership of multicast groups: MLD for IPv6 (RFC 3810; version 1: RFC 2710) and IGMP for IPv4 (RFC 3376; version 2:
//! RFC 2236). Parses queries and writes complete frames with reports.

use super::ethernet::{self, ETHERNET, EtherType};
use super::{Address, Packet, checksum, icmp, ipv4, ipv6, ndp, wire};

/// Record type in a report. Source lists are always empty: members accept all sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Record {
    /// Current member: the answer to a query (MODE_IS_EXCLUDE).
    Member = 2,
    /// Has left the group (CHANGE_TO_INCLUDE_MODE).
    Leaves = 3,
    /// Has joined the group (CHANGE_TO_EXCLUDE_MODE).
    Joins = 4,
}

/// A query of a router or a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipQuery<A> {
    /// The queried group; the unspecified address for all groups.
    pub group: A,
    /// Maximum delay of the answer in milliseconds.
    pub max_response_ms: u32,
    /// MLD version 1 or IGMP version 2: the querier does not understand later versions.
    pub is_old: bool,
}

/// Source MAC and IP address of a report.
#[derive(Clone, Copy, Debug)]
pub struct Sender<A> {
    pub mac: [u8; 6],
    pub address: A,
}

/// Maximum records in one report, so that it fits the minimum MTU of IPv6.
pub const RECORDS: usize = 60;
/// Length in bytes of the longest frame written here.
pub const FRAME: usize = ETHERNET + ipv6::HEADER + HOP_BY_HOP + icmp::HEADER + RECORDS * 20;

/// IP protocol number of IGMP.
pub const IGMP: u8 = 2;
/// ICMPv6 types of MLD.
pub const MLD_QUERY: u8 = 130;
const MLD_REPORT_V1: u8 = 131;
const MLD_DONE: u8 = 132;
const MLD_REPORT_V2: u8 = 143;
/// Types of IGMP.
const IGMP_QUERY: u8 = 0x11;
const IGMP_REPORT_V2: u8 = 0x16;
const IGMP_LEAVE: u8 = 0x17;
const IGMP_REPORT_V3: u8 = 0x22;

/// `ff02::16` and `224.0.0.22`: routers that support the newest version.
const MLD_ROUTERS: u128 = 0xff02 << 112 | 0x16;
const IGMP_ROUTERS: u32 = 0xe000_0016;
/// `ff02::2` and `224.0.0.2`: all routers.
const ALL_ROUTERS_V6: u128 = 0xff02 << 112 | 2;
const ALL_ROUTERS_V4: u32 = 0xe000_0002;

/// Hop-by-hop options of MLD: router alert (RFC 2711) and padding.
const HOP_BY_HOP: usize = 8;
const ROUTER_ALERT_V6: [u8; HOP_BY_HOP] = [ipv6::ICMPV6, 0, 5, 2, 0, 0, 1, 0];
/// Router alert option (RFC 2113).
const ROUTER_ALERT_V4: [u8; 4] = [0x94, 4, 0, 0];
/// Length in bytes of an IPv4 header with that option.
const IPV4_HEADER: usize = ipv4::HEADER + ROUTER_ALERT_V4.len();
/// TOS "internetwork control" (RFC 3376 section 4).
const TOS: u8 = 0xc0;
/// Maximum delay in milliseconds for an IGMP version 1 query, which has none.
const VERSION_1_MS: u32 = 10_000;

/// Multicast in one address family.
pub trait Membership: Address {
    /// Parses a query. `bytes` begin with the IP header. `None` for other and invalid packets.
    fn query(packet: &Packet<Self>, bytes: &[u8]) -> Option<MembershipQuery<Self>>;

    /// Writes a report with up to [`RECORDS`] records in the newest version; returns the frame's length in bytes.
    ///
    /// # Panics
    /// If `out` is shorter than [`FRAME`].
    fn report(out: &mut [u8], sender: Sender<Self>, records: &[(Record, Self)]) -> usize;

    /// Writes a report about one group in the older version.
    fn old_report(out: &mut [u8], sender: Sender<Self>, record: (Record, Self)) -> usize;
}

impl Membership for u128 {
    fn query(packet: &Packet<u128>, bytes: &[u8]) -> Option<MembershipQuery<u128>> {
        let message = bytes.get(usize::from(packet.header)..usize::from(packet.length))?;
        let (source, destination) = (packet.source(), packet.destination());
        let group = message.get(8..24)?;
        let is_sound = packet.protocol == ipv6::ICMPV6
            && packet.icmp_type == MLD_QUERY
            && packet.ttl == 1
            && ipv6::is_link_local(source)
            && icmp::verify(source, destination, message) == 0;
        let code = wire::get16(message, 4);
        let max_response_ms = match code {
            // RFC 3810 section 5.1.3: a floating-point number.
            0x8000.. => u32::from(code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3),
            _ => u32::from(code),
        };
        let is_old = message.len() < 28;
        is_sound.then(|| MembershipQuery { group: u128::read(group), max_response_ms, is_old })
    }

    fn report(out: &mut [u8], sender: Sender<u128>, records: &[(Record, u128)]) -> usize {
        let length = icmp::HEADER + records.len() * 20;
        let message = &mut mld_message(out)[..length];
        icmp::write(message, MLD_REPORT_V2, 0, records.len() as u32);
        for ((record, group), out) in records.iter().zip(message[icmp::HEADER..].chunks_mut(20)) {
            out[..4].copy_from_slice(&[*record as u8, 0, 0, 0]);
            group.write(&mut out[4..]);
        }
        finish_mld(out, sender, MLD_ROUTERS, length)
    }

    fn old_report(out: &mut [u8], sender: Sender<u128>, record: (Record, u128)) -> usize {
        let (message_type, destination) = match record {
            (Record::Leaves, _) => (MLD_DONE, ALL_ROUTERS_V6),
            (Record::Member | Record::Joins, group) => (MLD_REPORT_V1, group),
        };
        let message = &mut mld_message(out)[..24];
        icmp::write(message, message_type, 0, 0);
        record.1.write(&mut message[8..]);
        finish_mld(out, sender, destination, 24)
    }
}

fn mld_message(out: &mut [u8]) -> &mut [u8] {
    &mut out[ETHERNET + ipv6::HEADER + HOP_BY_HOP..]
}

/// Writes the headers before an MLD message of `length` bytes.
fn finish_mld(out: &mut [u8], sender: Sender<u128>, destination: u128, length: usize) -> usize {
    let mac = ndp::multicast_mac(destination);
    ethernet::write(out, mac, sender.mac, EtherType::IPV6);
    ipv6::Header {
        payload_length: (HOP_BY_HOP + length) as u16,
        next_header: ipv6::HOP_BY_HOP,
        hop_limit: 1,
        source: sender.address,
        destination,
        ..Default::default()
    }
    .write(&mut out[ETHERNET..]);
    out[ETHERNET + ipv6::HEADER..][..HOP_BY_HOP].copy_from_slice(&ROUTER_ALERT_V6);
    icmp::write_checksum(&mut mld_message(out)[..length], sender.address, destination);
    ETHERNET + ipv6::HEADER + HOP_BY_HOP + length
}

impl Membership for u32 {
    fn query(packet: &Packet<u32>, bytes: &[u8]) -> Option<MembershipQuery<u32>> {
        let message = bytes.get(usize::from(packet.header)..usize::from(packet.length))?;
        let group = message.get(4..8)?;
        let is_sound =
            packet.protocol == IGMP && message[0] == IGMP_QUERY && checksum::internet(message) == 0;
        let is_old = message.len() < 12;
        let tenths = match message[1] {
            0 if is_old => VERSION_1_MS / 100,
            // RFC 3376 section 4.1.1: a floating-point number.
            code @ 128.. if !is_old => u32::from(code & 0xf | 0x10) << ((code >> 4 & 7) + 3),
            code => u32::from(code),
        };
        is_sound.then(|| MembershipQuery {
            group: u32::read(group),
            max_response_ms: tenths * 100,
            is_old,
        })
    }

    fn report(out: &mut [u8], sender: Sender<u32>, records: &[(Record, u32)]) -> usize {
        let length = 8 + records.len() * 8;
        let message = &mut igmp_message(out)[..length];
        icmp::write(message, IGMP_REPORT_V3, 0, records.len() as u32);
        for ((record, group), out) in records.iter().zip(message[8..].chunks_mut(8)) {
            out[..4].copy_from_slice(&[*record as u8, 0, 0, 0]);
            group.write(&mut out[4..]);
        }
        finish_igmp(out, sender, IGMP_ROUTERS, length)
    }

    fn old_report(out: &mut [u8], sender: Sender<u32>, record: (Record, u32)) -> usize {
        let (message_type, destination) = match record {
            (Record::Leaves, _) => (IGMP_LEAVE, ALL_ROUTERS_V4),
            (Record::Member | Record::Joins, group) => (IGMP_REPORT_V2, group),
        };
        icmp::write(&mut igmp_message(out)[..8], message_type, 0, record.1);
        finish_igmp(out, sender, destination, 8)
    }
}

fn igmp_message(out: &mut [u8]) -> &mut [u8] {
    &mut out[ETHERNET + IPV4_HEADER..]
}

/// The MAC address of an IPv4 multicast group (RFC 1112 section 6.4).
const fn multicast_mac(group: u32) -> [u8; 6] {
    let [_, b, c, d] = group.to_be_bytes();
    [1, 0, 0x5e, b & 0x7f, c, d]
}

/// Writes the headers before an IGMP message of `length` bytes.
fn finish_igmp(out: &mut [u8], sender: Sender<u32>, destination: u32, length: usize) -> usize {
    ethernet::write(out, multicast_mac(destination), sender.mac, EtherType::IPV4);
    let packet = &mut out[ETHERNET..];
    ipv4::Header {
        tos: TOS,
        total_length: (IPV4_HEADER + length) as u16,
        identification: 0,
        fragment_word: ipv4::DONT_FRAGMENT,
        ttl: 1,
        protocol: IGMP,
        source: sender.address,
        destination,
    }
    .write(packet);
    // The header is one word longer: update version and length, and compute the checksum again.
    packet[0] = 0x40 | (IPV4_HEADER / 4) as u8;
    packet[ipv4::HEADER..IPV4_HEADER].copy_from_slice(&ROUTER_ALERT_V4);
    set_checksum(&mut packet[..IPV4_HEADER], 10);
    set_checksum(&mut packet[IPV4_HEADER..][..length], 2);
    ETHERNET + IPV4_HEADER + length
}

/// Writes the Internet checksum of `bytes` to this offset.
fn set_checksum(bytes: &mut [u8], at: usize) {
    wire::set16(bytes, at, 0);
    let sum = checksum::internet(bytes);
    wire::set16(bytes, at, sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::parse;
    use crate::testing::{FrameBuilder, frame};

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn six(text: &str) -> u128 {
        text.parse::<std::net::Ipv6Addr>().unwrap().to_bits()
    }

    fn four(text: &str) -> u32 {
        text.parse::<std::net::Ipv4Addr>().unwrap().to_bits()
    }

    #[test]
    fn reports_of_mld() {
        let sender = Sender { mac: MAC, address: six("fe80::1") };
        let (one, two) = (six("ff02::1:ff00:1"), six("ff02::1:ff00:2"));
        let mut out = [0xaa; FRAME];
        let length = u128::report(&mut out, sender, &[(Record::Joins, one), (Record::Member, two)]);
        assert_eq!(out[..12], [0x33, 0x33, 0, 0, 0, 0x16, 2, 0, 0, 0, 0, 1]);
        let bytes = &out[ETHERNET..length];
        let packet = parse::ipv6(bytes).unwrap();
        assert_eq!((packet.ttl, packet.icmp_type, packet.header), (1, 143, 48));
        assert_eq!((packet.source(), packet.destination()), (sender.address, MLD_ROUTERS));
        let message = &bytes[48..];
        assert_eq!(icmp::verify(sender.address, MLD_ROUTERS, message), 0);
        assert_eq!(message[4..12], [0, 0, 0, 2, 4, 0, 0, 0]);
        assert_eq!((u128::read(&message[12..]), message[28]), (one, 2));
        assert_eq!((u128::read(&message[32..]), message.len()), (two, 48));

        for (record, message_type, destination) in [
            (Record::Joins, 131, one),
            (Record::Member, 131, one),
            (Record::Leaves, 132, ALL_ROUTERS_V6),
        ] {
            let length = u128::old_report(&mut out, sender, (record, one));
            let bytes = &out[ETHERNET..length];
            let packet = parse::ipv6(bytes).unwrap();
            assert_eq!((packet.icmp_type, packet.destination()), (message_type, destination));
            assert_eq!(u128::read(&bytes[56..]), one);
            assert_eq!(icmp::verify(sender.address, destination, &bytes[48..]), 0);
        }
    }

    #[test]
    fn reports_of_igmp() {
        let sender = Sender { mac: MAC, address: four("10.0.0.1") };
        let group = four("224.0.0.18");
        let mut out = [0xaa; FRAME];
        let length = u32::report(&mut out, sender, &[(Record::Leaves, group)]);
        assert_eq!(out[..6], [1, 0, 0x5e, 0, 0, 0x16]);
        let bytes = &out[ETHERNET..length];
        let packet = parse::ipv4(bytes).unwrap();
        assert_eq!((packet.ttl, packet.tos, packet.protocol, packet.header), (1, 0xc0, 2, 24));
        assert_eq!(bytes[24..26], [0x22, 0]);
        assert_eq!(bytes[28..], [0, 0, 0, 1, 3, 0, 0, 0, 224, 0, 0, 18]);
        assert_eq!(checksum::internet(&bytes[24..]), 0);
        let length = u32::old_report(&mut out, sender, (Record::Member, group));
        let bytes = &out[ETHERNET..length];
        assert_eq!(parse::ipv4(bytes).unwrap().destination(), group);
        assert_eq!((bytes[24], &bytes[28..]), (0x16, &[224, 0, 0, 18][..]));
        assert_eq!(checksum::internet(&bytes[24..]), 0);
    }

    #[test]
    fn queries() {
        let mld = |source: &str, ttl, code: u32, body: &[u8]| {
            let built = frame().ipv6(source, "ff02::1").hop_by_hop().ttl(ttl);
            let bytes = built.icmp(130, 0, code << 16).payload(body).packet();
            u128::query(&parse::ipv6(&bytes).unwrap(), &bytes)
        };
        let any = [0; 16];
        let query =
            |max_response_ms, is_old| Some(MembershipQuery { group: 0, max_response_ms, is_old });
        assert_eq!(mld("fe80::9", 1, 10_000, &any), query(10_000, true));
        assert_eq!(mld("fe80::9", 1, 1000, &[0; 20]), query(1000, false));
        assert_eq!(mld("fe80::9", 1, 0x8001, &[0; 20]), query(0x1001 << 3, false));
        assert_eq!(mld("fe80::9", 2, 1000, &[0; 20]), None);
        assert_eq!(mld("fd00::9", 1, 1000, &[0; 20]), None);
        assert_eq!(mld("fe80::9", 1, 1000, &[0; 15]), None);

        let igmp = |message: &[u8]| {
            let mut message = message.to_vec();
            set_checksum(&mut message, 2);
            let from: FrameBuilder = frame();
            let bytes = from.ipv4("10.0.0.254", "224.0.0.1").protocol(2).payload(&message).packet();
            u32::query(&parse::ipv4(&bytes).unwrap(), &bytes)
        };
        let query =
            |max_response_ms, is_old| Some(MembershipQuery { group: 0, max_response_ms, is_old });
        assert_eq!(igmp(&[0x11, 100, 0, 0, 0, 0, 0, 0]), query(10_000, true));
        assert_eq!(igmp(&[0x11, 0, 0, 0, 0, 0, 0, 0]), query(10_000, true));
        assert_eq!(igmp(&[0x11, 10, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0]), query(1000, false));
        assert_eq!(igmp(&[0x11, 0x80, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0]), query(12_800, false));
        assert_eq!(igmp(&[0x16, 10, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(igmp(&[0x11, 10, 0, 0]), None);
    }
}
