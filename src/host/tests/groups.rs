//! Multicast groups: reports when addresses are added or removed, and answers to queries.

use super::*;
use crate::packet::ethernet::ETHERNET;
use crate::packet::membership::Record;
use crate::packet::{Address, parse};

/// True if a frame is an MLD or IGMP report.
pub(super) fn is_report(frame: &[u8]) -> bool {
    match (&frame[12..14], frame.get(ETHERNET + 9), frame.get(ETHERNET + 48)) {
        ([0x86, 0xdd], _, Some(message_type)) => {
            frame[ETHERNET + 6] == 0 && matches!(message_type, 131 | 132 | 143)
        }
        ([8, 0], Some(protocol), _) => *protocol == 2,
        _ => false,
    }
}

/// Content of the reports: interface, record type (in the older version the message type), and group.
fn said(reports: &[(InterfaceId, Vec<u8>)]) -> Vec<(InterfaceId, u8, IpAddr)> {
    let mut all = Vec::new();
    for (interface, frame) in reports {
        let packet = &frame[ETHERNET..];
        match packet[0] >> 4 {
            6 => {
                let parsed = parse::ipv6(packet).unwrap();
                assert!(Ipv6Addr::from_bits(parsed.source()).is_unicast_link_local());
                let message = &packet[48..];
                match message[0] {
                    143 => {
                        all.extend(message[8..].chunks(20).map(|record| {
                            (*interface, record[0], u128::read(&record[4..]).to_ip())
                        }))
                    }
                    old => all.push((*interface, old, u128::read(&message[8..]).to_ip())),
                }
            }
            _ => match packet[24] {
                0x22 => all.extend(
                    packet[32..]
                        .chunks(8)
                        .map(|record| (*interface, record[0], u32::read(&record[4..]).to_ip())),
                ),
                old => all.push((*interface, old, u32::read(&packet[28..]).to_ip())),
            },
        }
    }
    all
}

impl TestHost {
    fn reports(&mut self, seconds: u64) -> Vec<(InterfaceId, u8, IpAddr)> {
        self.run(seconds);
        said(&std::mem::take(&mut self.sent.reports))
    }

    fn change_vip(&mut self, address: &str, is_virtual: bool) {
        let TestHost { host, sent, now } = self;
        host.change_virtual_addresses([(ip(address), is_virtual)], *now, sent);
    }
}

fn mld_query(group: &str, body: &[u8]) -> Vec<u8> {
    let group = ip(group);
    let mut octets = [0; 16];
    u128::from_ip(group).unwrap().write(&mut octets);
    let payload = [&octets[..], body].concat();
    frame()
        .ipv6("fe80::99", "ff02::1")
        .hop_by_hop()
        .ttl(1)
        .icmp(130, 0, 1000 << 16)
        .payload(payload)
        .build()
}

const VERSION_2: [u8; 4] = [2, 125, 0, 0];
const JOINS: u8 = Record::Joins as u8;
const LEAVES: u8 = Record::Leaves as u8;
const MEMBER: u8 = Record::Member as u8;

#[test]
fn addresses_are_added_and_removed() {
    let mut director = TestHost::new();
    director.sent.reports.clear();
    let group = ip("ff02::1:ff00:107");
    director.change_vip("fd00:a::107", true);
    assert_eq!(director.reports(0), [(WAN, JOINS, group)], "at once");
    assert_eq!(director.reports(5), [(WAN, JOINS, group)], "repeated once");
    // A second address with the same group changes nothing; removing the last one does.
    director.change_vip("fd00:a:0:0:1::107", true);
    director.change_vip("fd00:a::107", false);
    assert_eq!(director.reports(5), []);
    director.change_vip("fd00:a:0:0:1::107", false);
    assert_eq!(director.reports(5), [(WAN, LEAVES, group); 2]);
    // In none of our networks: on every interface. IPv4 needs no group.
    director.change_vip("2001:db8::107", true);
    director.change_vip("10.0.0.107", true);
    let everywhere = [(WAN, JOINS, group), (LAN, JOINS, group)];
    assert_eq!(director.reports(0), everywhere);
    let own = ip("ff02::1:ff00:100");
    let changes = director.host.take_group_changes();
    assert_eq!(changes, [((WAN, own), true), ((WAN, group), true), ((LAN, group), true)]);
    assert_eq!(director.host.take_group_changes(), []);
}

#[test]
fn own_addresses_are_reported_once_the_links_are_up() {
    let mut director = TestHost::new();
    director.sent.reports.clear();
    let TestHost { host, sent, now } = &mut director;
    host.announce(*now, sent);
    let mut reported = director.reports(0);
    reported.sort_unstable();
    let expected = [
        (WAN, JOINS, ip("ff02::1:ff00:1")),
        (LAN, JOINS, ip("ff02::1:ff00:1")),
        (LAN, JOINS, ip("ff02::1:ff00:2")),
    ];
    assert_eq!(reported, expected, "fe80::ff:fe00:1 and fd00:a::1 share their group");
}

#[test]
fn queries_are_answered() {
    let mut director = TestHost::new();
    director.run(5);
    director.change_vip("fd00:a::107", true);
    director.run(5);
    director.sent.reports.clear();
    let ask = |director: &mut TestHost, query: &[u8]| {
        director.input(WAN, PuntReason::GroupMembership, query);
        director.reports(2)
    };
    let (one, two) = (ip("ff02::1:ff00:100"), ip("ff02::1:ff00:107"));
    let both = [(WAN, MEMBER, one), (WAN, MEMBER, two)];
    assert_eq!(ask(&mut director, &mld_query("::", &VERSION_2)), both);
    assert_eq!(ask(&mut director, &mld_query("ff02::1:ff00:107", &VERSION_2)), both[1..]);
    assert_eq!(ask(&mut director, &mld_query("ff02::1:ff00:9", &VERSION_2)), []);
    // A querier with the older version gets older reports, also about changes, until it has been silent for long.
    assert_eq!(ask(&mut director, &mld_query("::", &[])), [(WAN, 131, one), (WAN, 131, two)]);
    director.change_vip("fd00:a::107", false);
    assert_eq!(director.reports(5), [(WAN, 132, two); 2]);
    director.run(260);
    director.change_vip("fd00:a::107", true);
    assert_eq!(director.reports(5), [(WAN, JOINS, two); 2]);
}

#[test]
fn groups_of_ipv4() {
    let mut director = TestHost::new();
    director.sent.reports.clear();
    let group = ip("224.0.0.18");
    let TestHost { host, sent, now } = &mut director;
    host.join(LAN, group, *now, sent);
    host.join(LAN, group, *now, sent);
    assert_eq!(director.reports(5), [(LAN, JOINS, group); 2]);
    // A query of IGMP version 2 (RFC 2236): 1 second, all groups.
    let query = frame().ipv4("192.168.10.254", "224.0.0.1").protocol(2).ttl(1);
    let query = query.payload([0x11, 10, 0xee, 0xf5, 0, 0, 0, 0]).build();
    director.input(LAN, PuntReason::GroupMembership, &query);
    assert_eq!(director.reports(2), [(LAN, 0x16, group)]);
    let TestHost { host, sent, now } = &mut director;
    host.leave(LAN, group, *now, sent);
    assert_eq!(director.reports(5), [(LAN, 0x17, group); 2]);
}
