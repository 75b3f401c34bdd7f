//! Packets of established connections: a change of configuration takes effect on the very next packet.

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

/// A director with one connection that has carried some packets, for NAT in both directions.
fn under_way(method: ForwardMethod) -> TestDirector {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
    director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
    for _ in 0..3 {
        director.client(&large_request()).frame();
        if method == ForwardMethod::Masq {
            director.server(&large_reply()).frame();
        }
    }
    director
}

/// A request of 840 bytes with DF.
fn large_request() -> Vec<u8> {
    request().df().tcp(3000, 80).flags(ACK).payload([7; 800]).build()
}

fn large_reply() -> Vec<u8> {
    answer(SERVER).df().tcp(80, 3000).flags(ACK).payload([8; 800]).build()
}

const METHODS: [ForwardMethod; 3] =
    [ForwardMethod::Route, ForwardMethod::Tunnel, ForwardMethod::Masq];

/// A connection that requires the full path: all its packets take it, also with a cached reply route, and the frames
/// sent are the same.
#[test]
fn a_connection_can_require_the_full_path() {
    for method in METHODS {
        let mut director = under_way(method);
        let exchange = |director: &mut TestDirector| {
            let before = director.shared.counters[0].full_path.get();
            let mut sent = vec![director.client(&large_request()).frame()];
            if method == ForwardMethod::Masq {
                sent.push(director.server(&large_reply()).frame());
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
fn a_request_above_the_mtu_is_answered() {
    for method in METHODS {
        let mut director = under_way(method);
        let inside = if method == ForwardMethod::Tunnel { 859 } else { 839 };
        director.change(|snapshot| snapshot.mtu[LAN.index()] = inside);
        let punted = director.client(&large_request()).punt();
        assert_eq!(
            (punted.reason, punted.mtu),
            (PuntReason::FragmentationNeeded, 839),
            "{method:?}"
        );
        director.change(|snapshot| snapshot.mtu[LAN.index()] = inside + 1);
        director.client(&large_request()).frame();
    }
}

#[test]
fn a_removed_server_gets_nothing_more() {
    for method in METHODS {
        let mut director = under_way(method);
        director.change(|snapshot| snapshot.remove_destination(ONLY));
        assert_eq!(director.client(&large_request()).drop(), DropReason::DestinationUnavailable);
        assert_eq!(director.counters(ONLY).in_packets, 4, "{method:?}");
    }
}

#[test]
fn a_change_applies_to_the_next_packet() {
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
            assert_eq!(director.client(&large_request()).punt().reason, reason, "{method:?}");
        }
    }
    let mut director = under_way(ForwardMethod::Masq);
    let last = request().ttl(1).tcp(3000, 80).flags(ACK);
    assert_eq!(director.client(&last.build()).punt().reason, PuntReason::TtlExpired);
    let last = answer(SERVER).ttl(1).tcp(80, 3000).flags(ACK);
    assert_eq!(director.server(&last.build()).punt().reason, PuntReason::TtlExpired);
}

/// Editing the method of a destination does not change existing connections.
#[test]
fn connections_keep_their_method() {
    for (began, edited) in [
        (ForwardMethod::Tunnel, ForwardMethod::Route),
        (ForwardMethod::Route, ForwardMethod::Tunnel),
    ] {
        let mut director = under_way(began);
        let before = director.client(&large_request()).frame();
        director.change(|snapshot| snapshot.edit_destination(ONLY, |spec| spec.method = edited));
        let after = director.client(&large_request()).frame();
        assert_eq!(before.1.len(), after.1.len(), "{began:?}");
    }
}

/// A changed route applies to replies, with and without a cached reply route.
#[test]
fn replies_follow_their_clients_route() {
    let home = |macs: ([u8; 6], [u8; 6])| {
        let back = frame().macs(macs.0, macs.1).ipv4(VIP, CLIENT).ttl(63).df();
        back.tcp(80, 3000).flags(ACK).payload([8; 800]).build()
    };
    let router = (crate::support::ROUTER_MAC, crate::support::WAN_MAC);
    for is_full_path in [false, true] {
        let mut director = under_way(ForwardMethod::Masq);
        director.change(|snapshot| snapshot.is_full_path = is_full_path);
        assert_eq!(director.server(&large_reply()).frame(), (WAN, home(router)));
        let route = ((ip(CLIENT), 32), LAN, Some(ip("10.1.0.12")), 0);
        director.change(|snapshot| snapshot.routes.push(route));
        assert_eq!(director.server(&large_reply()).frame(), (LAN, home((server_mac(12), LAN_MAC))));
        director.change(|snapshot| snapshot.unresolved.extend([ip("10.1.0.12")]));
        assert_eq!(director.server(&large_reply()).punt().reason, PuntReason::NeighbourUnresolved);
        director.change(|snapshot| snapshot.routes.clear());
        assert_eq!(director.server(&large_reply()).frame(), (WAN, home(router)));
        let narrow = ((ip(CLIENT), 32), LAN, Some(ip("10.1.0.13")), 839);
        director.change(|snapshot| snapshot.routes.push(narrow));
        for _ in 0..2 {
            let punted = director.server(&large_reply()).punt();
            assert_eq!((punted.reason, punted.mtu), (PuntReason::FragmentationNeeded, 839));
        }
    }
}

#[test]
fn every_packet_is_counted_in_both_directions() {
    for method in METHODS {
        let director = under_way(method);
        let counters = director.counters(ONLY);
        let answers = if method == ForwardMethod::Masq { 3 } else { 0 };
        assert_eq!((counters.in_packets, counters.out_packets), (4, answers), "{method:?}");
        assert_eq!((counters.in_bytes, counters.out_bytes), (40 + 3 * 840, answers * 840));
    }
}

/// SCTP chunks are read before a tunnel's header is written in front of them.
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

/// NAT cannot update an SCTP checksum that covers later fragments: the packet is counted and dropped.
#[test]
fn fragmented_sctp_that_nat_drops_is_counted() {
    let mut director = one(Protocol::Sctp, "10.1.0.11:8080", ForwardMethod::Masq);
    director.client(&request().sctp(3000, 80, sctp::INIT).build()).frame();
    let echo = request().sctp(3000, 80, sctp::COOKIE_ECHO).payload([1; 100]);
    let first = &echo.fragments(96)[0];
    assert_eq!(director.client(first).drop(), DropReason::FragmentedSctp);
    assert_eq!(director.counters(ONLY).in_packets, 2);
    assert_eq!(director.state().0, "INIT");
}
