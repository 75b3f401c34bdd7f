//! ARP, neighbour discovery and announcements on the wire.

use super::*;
use crate::packet::arp::Operation;
use crate::packet::ethernet::{self, BROADCAST, ETHERNET};
use crate::packet::ndp::{Flags, Kind, Neighbour as Message};
use crate::packet::parse;
use crate::testing::logged;

const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

fn read_arp(frame: &[u8]) -> Arp {
    assert_eq!(frame.len(), 42);
    Arp::parse(&frame[ETHERNET..]).unwrap()
}

fn read_nd(frame: &[u8]) -> Message {
    let packet = parse::ipv6(&frame[ETHERNET..]).unwrap();
    Message::parse(&packet, &frame[ETHERNET..]).unwrap()
}

fn request(sender: &str, target: &str) -> Arp {
    Arp::request(SERVER_MAC, bits(sender), bits(target))
}

#[test]
fn arp_is_answered_for_every_local_address_on_every_port() {
    for (port, target, mac) in [
        (LAN, "192.168.10.1", Some(LAN_MAC)),
        (LAN, "10.0.0.1", Some(LAN_MAC)),
        (LAN, "10.0.0.100", Some(LAN_MAC)),
        (WAN, "10.0.0.100", Some(WAN_MAC)),
        (LAN, "192.168.10.2", None),
        (WAN, "10.0.0.101", None),
    ] {
        let original_destination = request("192.168.10.11", target);
        let answers = TestHost::new().arp(port, original_destination, BROADCAST);
        assert_eq!(answers.len(), usize::from(mac.is_some()), "{target}");
        let (Some(mac), Some((by, frame))) = (mac, answers.first()) else { continue };
        assert_eq!((*by, read_arp(frame)), (port, original_destination.answer(mac)));
        assert_eq!((ethernet::destination(frame), ethernet::source(frame)), (SERVER_MAC, mac));
    }
}

#[test]
fn senders_of_requests_are_learned_if_they_can_be_neighbours() {
    for (sender, target, learned) in [
        ("192.168.10.11", "192.168.10.1", true),
        ("192.168.10.11", "192.168.10.2", false),
        ("172.16.0.5", "192.168.10.1", false),
        ("10.0.0.100", "192.168.10.1", false),
        ("192.168.10.255", "192.168.10.1", false),
        ("0.0.0.0", "192.168.10.1", false),
    ] {
        let mut director = TestHost::new();
        director.arp(LAN, request(sender, target), BROADCAST);
        let expected = learned.then_some(SERVER_MAC);
        assert_eq!(director.mac(sender), expected, "{sender} asks for {target}");
    }
}

#[test]
fn an_ipv4_address_probe_is_answered() {
    let original_destination = request("0.0.0.0", "10.0.0.100");
    let answers = TestHost::new().arp(WAN, original_destination, BROADCAST);
    assert_eq!(read_arp(&answers[0].1), original_destination.answer(WAN_MAC));
}

#[test]
fn packets_wait_for_arp() {
    let mut director = TestHost::new();
    let hop = (LAN, ip("192.168.10.11"));
    let syn = client().tcp(4000, 80).build();
    let original_destination = director.forward(hop, &syn);
    assert_eq!(original_destination.len(), 1);
    let question = read_arp(&original_destination[0].1);
    assert_eq!(question, Arp::request(LAN_MAC, bits("192.168.10.1"), bits("192.168.10.11")));
    assert_eq!(
        (original_destination[0].0, ethernet::destination(&original_destination[0].1)),
        (LAN, BROADCAST)
    );
    assert!(director.forward(hop, &client().udp(1, 2).build()).is_empty());

    let before = director.host.generation();
    let sent = director.arp(LAN, question.answer(SERVER_MAC), LAN_MAC);
    let mut expected = syn.clone();
    expected[..6].copy_from_slice(&SERVER_MAC);
    expected[6..12].copy_from_slice(&LAN_MAC);
    assert_eq!((sent.len(), &sent[0]), (2, &(LAN, expected.clone())));
    assert_ne!(director.host.generation(), before);
    assert_eq!(director.forward(hop, &syn), [(LAN, expected)], "resolved, so sent at once");

    // In use it is confirmed by unicast; then it moves to another MAC address.
    let probe = director.run(31);
    assert_eq!(ethernet::destination(&probe[0].1), SERVER_MAC);
    let moved = [2, 0, 0, 0, 0x10, 0x0c];
    director.arp(LAN, Arp::announcement(moved, bits("192.168.10.11")), BROADCAST);
    assert_eq!(director.mac("192.168.10.11"), Some(moved));
}

#[test]
fn packets_wait_for_neighbour_discovery() {
    let mut director = TestHost::new();
    let hop = (LAN, ip("fd00:b::11"));
    let original_destination = director.forward(hop, &client6().tcp(4000, 80).build());
    let question = read_nd(&original_destination[0].1);
    let (expected, route) = Message::solicitation(LAN_MAC, bits6("fd00:b::1"), bits6("fd00:b::11"));
    assert_eq!(question, expected);
    assert_eq!(ethernet::destination(&original_destination[0].1), route.destination_mac);
    let answer = question.answer(bits6("fd00:b::1"), LAN_MAC, SERVER_MAC, false);
    let sent = director.nd(LAN, answer);
    assert_eq!((sent.len(), ethernet::destination(&sent[0].1)), (1, SERVER_MAC));
    let probe = director.run(30);
    assert_eq!(ethernet::destination(&probe[0].1), SERVER_MAC);
    let packet = parse::ipv6(&probe[0].1[ETHERNET..]).unwrap();
    assert_eq!(packet.flow.destination, bits6("fd00:b::11"));
}

#[test]
fn solicitations_are_answered() {
    for (port, source, target, expected) in [
        (WAN, "fd00:a::fe", "fd00:a::100", true),
        (LAN, "fd00:b::11", "fd00:a::100", true),
        (WAN, "fd00:a::fe", "fd00:a::1", true),
        (LAN, "fd00:b::11", "fd00:a::1", false),
        (LAN, "fe80::5", "fe80::ff:fe00:2", true),
        (WAN, "fd00:a::fe", "fd00:a::101", false),
        (WAN, "fd00:a::100", "fd00:a::1", false),
    ] {
        let mut director = TestHost::new();
        let original_destination = Message::solicitation(SERVER_MAC, bits6(source), bits6(target));
        let answers = director.nd(port, original_destination);
        assert_eq!(answers.len(), usize::from(expected), "{source} asks for {target}");
        let Some((by, frame)) = answers.first() else { continue };
        let flags = Flags { router: true, solicited: true, override_entry: true };
        let mac = if port == WAN { WAN_MAC } else { LAN_MAC };
        let advertised =
            Message { kind: Kind::Advertisement(flags), target: bits6(target), mac: Some(mac) };
        assert_eq!((*by, read_nd(frame)), (port, advertised));
        assert_eq!(ethernet::destination(frame), SERVER_MAC);
    }
}

#[test]
fn a_solicitation_without_source_is_answered_to_all_nodes() {
    let mut director = TestHost::new();
    let (message, mut route) = Message::solicitation(SERVER_MAC, 0, bits6("fd00:a::100"));
    route.source = 0;
    let answers = director.nd(WAN, (Message { mac: None, ..message }, route));
    assert_eq!(ethernet::destination(&answers[0].1), ALL_NODES_MAC);
}

#[test]
fn forged_advertisements_change_nothing() {
    let mut director = TestHost::new();
    director.forward((LAN, ip("fd00:b::11")), &client6().tcp(4000, 80).build());
    let (message, route) = Message::announcement(SERVER_MAC, bits6("fd00:b::11"), false);
    let mut bytes = [0; ndp::FRAME];
    let length = message.write(&mut bytes, &route);
    bytes[ETHERNET + 7] = 254; // a router forwarded it
    director.input(LAN, PuntReason::NeighbourDiscovery, &bytes[..length]);
    assert_eq!(director.mac("fd00:b::11"), None);
    assert_eq!(director.dropped(DropReason::NoLocalHandler), 1);
    assert_eq!(director.nd(LAN, (message, route)).len(), 1, "the valid one releases the packet");
    let group = Message::announcement([0x33, 0x33, 0, 0, 0, 9], bits6("fd00:b::11"), false);
    director.nd(LAN, group);
    assert_eq!(director.mac("fd00:b::11"), Some(SERVER_MAC));
}

#[test]
fn the_ports_own_macs_are_never_learned() {
    let mut director = TestHost::new();
    director.forward((LAN, ip("192.168.10.11")), &client().tcp(4000, 80).build());
    director.forward((LAN, ip("fd00:b::11")), &client6().tcp(4000, 80).build());
    for own in [LAN_MAC, WAN_MAC] {
        director.arp(LAN, Arp::announcement(own, bits("192.168.10.11")), BROADCAST);
        let asking = Arp::request(own, bits("192.168.10.12"), bits("192.168.10.1"));
        assert!(director.arp(LAN, asking, BROADCAST).is_empty());
        director.nd(LAN, Message::announcement(own, bits6("fd00:b::11"), false));
        let asking = Message::solicitation(own, bits6("fd00:b::12"), bits6("fd00:b::1"));
        assert!(director.nd(LAN, asking).is_empty());
    }
    for server in ["192.168.10.11", "192.168.10.12", "fd00:b::11", "fd00:b::12"] {
        assert_eq!(director.mac(server), None, "{server}");
    }
    assert_eq!(director.dropped(DropReason::NoLocalHandler), 8);
}

#[test]
fn new_virtual_addresses_are_announced() {
    let mut director = TestHost::new();
    let vips = ["10.0.0.100", "10.0.0.101", "fd00:a::100", "fd00:a::101", "203.0.113.7"].map(ip);
    let TestHost { host, sent, now } = &mut director;
    host.change_virtual_addresses(vips.map(|vip| (vip, true)), *now, sent);
    let first = std::mem::take(&mut sent.frames);
    let told: Vec<(InterfaceId, String)> = first
        .iter()
        .map(|(port, frame)| match &frame[12..14] {
            [8, 6] => (*port, Ipv4Addr::from_bits(read_arp(frame).sender).to_string()),
            _ => (*port, Ipv6Addr::from_bits(read_nd(frame).target).to_string()),
        })
        .collect();
    let expected = [
        (WAN, "10.0.0.101"),
        (WAN, "203.0.113.7"),
        (WAN, "fd00:a::101"),
        (LAN, "203.0.113.7"), // in no interface's network, so on all
    ];
    assert_eq!(told, expected.map(|(port, address)| (port, address.to_string())));
    let arp = read_arp(&first[0].1);
    assert_eq!(
        (arp.operation, arp.sender, arp.sender_mac),
        (Operation::Request, arp.target, WAN_MAC)
    );
    assert_eq!(ethernet::destination(&first[2].1), ALL_NODES_MAC);
    assert_eq!(director.run(5).len(), 2 * first.len(), "three times in all");
}

#[test]
fn announcements_can_be_single_or_off() {
    for (announcements, expected) in [(0, 0), (1, 6), (2, 12)] {
        let mut director = TestHost::with(Settings { announcements, ..Default::default() });
        let TestHost { host, sent, now } = &mut director;
        host.announce(*now, sent);
        assert_eq!(director.run(5).len(), expected);
    }
}

#[test]
fn own_addresses_are_not_solicited() {
    let mut director = TestHost::new();
    let wanted = [(WAN, ip("10.0.0.100")), (LAN, ip("192.168.10.1")), (LAN, ip("192.168.10.9"))];
    let TestHost { host, sent, now } = &mut director;
    for next_hop in wanted {
        host.want(next_hop, *now, sent);
    }
    let original_destination = std::mem::take(&mut sent.frames);
    assert_eq!(original_destination.len(), 1);
    assert_eq!(read_arp(&original_destination[0].1).target, bits("192.168.10.9"));
    director.host.unwant(wanted[2]);
    assert!(director.run(10).len() < 4, "no longer wanted, so no longer solicited");
}

#[test]
fn own_addresses_are_announced() {
    let mut director = TestHost::new();
    let TestHost { host, sent, now } = &mut director;
    host.announce(*now, sent);
    assert_eq!(sent.frames.len(), 6, "two each, and the link-local ones");
    let vips = ["10.0.0.100", "fd00:a::100", "10.0.0.1"].map(|vip| (ip(vip), false));
    host.change_virtual_addresses(vips, *now, sent);
    assert_eq!(director.run(5).len(), 6 * 3);
}

#[test]
fn an_empty_pool_is_counted() {
    let mut director = TestHost::new();
    director.sent.dry = true;
    director.arp(WAN, request("10.0.0.9", "10.0.0.100"), BROADCAST);
    director.input(WAN, PuntReason::NoDestination, &client().udp(1, 2).build());
    assert_eq!(director.dropped(DropReason::NoBuffer), 2);
}

#[test]
fn virtual_addresses_added_and_removed_are_logged() {
    let mut director = TestHost::new();
    let mut change = |is_virtual| {
        let TestHost { host, sent, now } = &mut director;
        let vip = (ip("10.0.0.101"), is_virtual);
        logged(|| host.change_virtual_addresses([vip], *now, sent))
    };
    assert_eq!(change(true), ["info: virtual address 10.0.0.101 added: announced"]);
    assert!(change(true).is_empty(), "no news");
    assert_eq!(change(false), ["info: virtual address 10.0.0.101 removed"]);
}
