//! Packets of an established connection: a change between two of them counts for the very next one.

use crate::scene::*;
use crate::support::{LAN, LAN_MAC, TestDirector, TestSnapshot, VIP, WAN, server_mac};
use director::model::{ForwardMethod, Protocol};
use director::packet::sctp;
use director::packet::tcp::{ACK, SYN};
use director::reason::{DropReason, PuntReason};
use director::testing::frame;
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A conversation of some packets, with NAT from both sides.
fn under_way(method: ForwardMethod) -> TestDirector {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
    director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
    for _ in 0..3 {
        director.client(&original_destination()).frame();
        if method == ForwardMethod::Masq {
            director.server(&answered()).frame();
        }
    }
    director
}

/// 840 octets that must not be fragmented.
fn original_destination() -> Vec<u8> {
    request().df().tcp(3000, 80).flags(ACK).payload([7; 800]).build()
}

fn answered() -> Vec<u8> {
    answer(SERVER).df().tcp(80, 3000).flags(ACK).payload([8; 800]).build()
}

const METHODS: [ForwardMethod; 3] =
    [ForwardMethod::Route, ForwardMethod::Tunnel, ForwardMethod::Masq];

/// Packets of a connection that needs the full path all take it, also where a reply's route was cached before, and end
/// the same.
#[test]
fn a_connection_can_require_the_full_path() {
    for method in METHODS {
        let mut director = under_way(method);
        let exchange = |director: &mut TestDirector| {
            let before = director.shared.counters[0].full_path.get();
            let mut sent = vec![director.client(&original_destination()).frame()];
            if method == ForwardMethod::Masq {
                sent.push(director.server(&answered()).frame());
            }
            let on_full_path = director.shared.counters[0].full_path.get() - before;
            (sent, on_full_path)
        };
        let (sent, on_full_path) = exchange(&mut director);
        assert_eq!(on_full_path, 0, "{method:?}");
        director.workers[0].require_full_path();
        for _ in 0..3 {
            assert_eq!(exchange(&mut director), (sent.clone(), sent.len() as u64), "{method:?}");
        }
    }
}

#[test]
fn what_a_server_cannot_take_is_answered() {
    for method in METHODS {
        let mut director = under_way(method);
        let inside = if method == ForwardMethod::Tunnel { 859 } else { 839 };
        director.change(|snapshot| snapshot.mtu[LAN.index()] = inside);
        let punted = director.client(&original_destination()).punt();
        assert_eq!(
            (punted.reason, punted.mtu),
            (PuntReason::FragmentationNeeded, 839),
            "{method:?}"
        );
        director.change(|snapshot| snapshot.mtu[LAN.index()] = inside + 1);
        director.client(&original_destination()).frame();
    }
}

#[test]
fn a_removed_server_gets_nothing_more() {
    for method in METHODS {
        let mut director = under_way(method);
        director.change(|snapshot| snapshot.remove_destination(ONLY));
        assert_eq!(
            director.client(&original_destination()).drop(),
            DropReason::DestinationUnavailable
        );
        assert_eq!(director.counters(ONLY).in_packets, 4, "{method:?}");
    }
}

#[test]
fn obstacles_are_met_at_once() {
    type Edit = fn(&mut TestSnapshot);
    let edits: [(Edit, PuntReason); 3] = [
        (|snapshot| snapshot.unresolved.extend([ip(SERVER)]), PuntReason::NeighbourUnresolved),
        (|snapshot| snapshot.unrouted.extend([ip(SERVER)]), PuntReason::DestinationUnreachable),
        (|snapshot| snapshot.settings.inbound_off = true, PuntReason::UnservedPort),
    ];
    for (edit, reason) in edits {
        for method in METHODS {
            let mut director = under_way(method);
            director.change(edit);
            assert_eq!(
                director.client(&original_destination()).punt().reason,
                reason,
                "{method:?}"
            );
        }
    }
    let mut director = under_way(ForwardMethod::Masq);
    let last = request().ttl(1).tcp(3000, 80).flags(ACK);
    assert_eq!(director.client(&last.build()).punt().reason, PuntReason::TtlExpired);
    let last = answer(SERVER).ttl(1).tcp(80, 3000).flags(ACK);
    assert_eq!(director.server(&last.build()).punt().reason, PuntReason::TtlExpired);
}

/// Of a destination that was edited while connections kept the method they began with.
#[test]
fn connections_keep_their_method() {
    for (began, edited) in [
        (ForwardMethod::Tunnel, ForwardMethod::Route),
        (ForwardMethod::Route, ForwardMethod::Tunnel),
    ] {
        let mut director = under_way(began);
        let before = director.client(&original_destination()).frame();
        director.change(|snapshot| snapshot.edit_destination(ONLY, |spec| spec.method = edited));
        let after = director.client(&original_destination()).frame();
        assert_eq!(before.1.len(), after.1.len(), "{began:?}");
    }
}

/// Where nothing is remembered of their way too.
#[test]
fn replies_follow_their_clients_route() {
    let home = |macs: ([u8; 6], [u8; 6])| {
        let back = frame().macs(macs.0, macs.1).ipv4(VIP, CLIENT).ttl(63).df();
        back.tcp(80, 3000).flags(ACK).payload([8; 800]).build()
    };
    let router = (crate::support::ROUTER_MAC, crate::support::WAN_MAC);
    for is_careful in [false, true] {
        let mut director = under_way(ForwardMethod::Masq);
        director.change(|snapshot| snapshot.is_careful = is_careful);
        assert_eq!(director.server(&answered()).frame(), (WAN, home(router)));
        let route = ((ip(CLIENT), 32), LAN, Some(ip("10.1.0.12")), 0);
        director.change(|snapshot| snapshot.routes.push(route));
        assert_eq!(director.server(&answered()).frame(), (LAN, home((server_mac(12), LAN_MAC))));
        director.change(|snapshot| snapshot.unresolved.extend([ip("10.1.0.12")]));
        assert_eq!(director.server(&answered()).punt().reason, PuntReason::NeighbourUnresolved);
        director.change(|snapshot| snapshot.routes.clear());
        assert_eq!(director.server(&answered()).frame(), (WAN, home(router)));
        let narrow = ((ip(CLIENT), 32), LAN, Some(ip("10.1.0.13")), 839);
        director.change(|snapshot| snapshot.routes.push(narrow));
        for _ in 0..2 {
            let punted = director.server(&answered()).punt();
            assert_eq!((punted.reason, punted.mtu), (PuntReason::FragmentationNeeded, 839));
        }
    }
}

#[test]
fn both_ways_are_counted_with_every_packet() {
    for method in METHODS {
        let director = under_way(method);
        let counters = director.counters(ONLY);
        let answers = if method == ForwardMethod::Masq { 3 } else { 0 };
        assert_eq!((counters.in_packets, counters.out_packets), (4, answers), "{method:?}");
        assert_eq!((counters.in_bytes, counters.out_bytes), (40 + 3 * 840, answers * 840));
    }
}

/// What stands in a packet is read before another header is in front of it.
#[test]
fn an_abort_behind_a_cookie_is_seen() {
    for method in METHODS {
        let mut director = one(Protocol::Sctp, "10.1.0.11:80", method);
        let packet = |chunk| request().sctp(3000, 80, chunk);
        director.client(&packet(sctp::INIT).build()).frame();
        let mut echo = packet(sctp::COOKIE_ECHO).payload([sctp::ABORT, 0, 0, 4]).build();
        echo[14 + 20 + sctp::HEADER + 3] = sctp::CHUNK_HEADER as u8;
        director.client(&echo).frame();
        assert_eq!(director.state().0, "CLOSED", "{method:?}");
    }
}

/// A first fragment whose checksum is out of reach goes nowhere, but it came.
#[test]
fn what_cannot_be_translated_is_counted() {
    let mut director = one(Protocol::Sctp, "10.1.0.11:8080", ForwardMethod::Masq);
    director.client(&request().sctp(3000, 80, sctp::INIT).build()).frame();
    let echo = request().sctp(3000, 80, sctp::COOKIE_ECHO).payload([1; 100]);
    let first = &echo.fragments(96)[0];
    assert_eq!(director.client(first).drop(), DropReason::FragmentedSctp);
    assert_eq!(director.counters(ONLY).in_packets, 2);
    assert_eq!(director.state().0, "INIT");
}
