//! Direct routing: only the TTL and the Ethernet header change.

use crate::scene::{
    answer, answer6, one, request, request6, to_client, to_client6, to_server, to_server6,
};
use crate::support::{LAN, TestDirector, VIP, VIP6, WAN, on};
use director::model::{ForwardMethod, Protocol};
use director::packet::tcp::{ACK, SYN};
use director::reason::{DropReason, PuntReason};

#[test]
fn a_request_goes_to_the_server_with_a_decremented_ttl() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    let came = request().tos(0x12).identification(0x4321).options(&[1, 7, 3, 4]).df();
    let went = to_server(VIP).tos(0x12).identification(0x4321).options(&[1, 7, 3, 4]).df();
    for ttl in [64, 2, 255] {
        let sent = director.client(&came.clone().ttl(ttl).tcp(4000, 80).flags(SYN).build());
        let expected = went.clone().ttl(ttl - 1).tcp(4000, 80).flags(SYN).build();
        assert_eq!(sent.frame(), (LAN, expected));
    }
    assert_eq!(director.state(), ("SYN_RECV", 60));
}

#[test]
fn ipv6_with_extension_headers_too() {
    let mut director = one(Protocol::Udp, "[fd00:b::11]:80", ForwardMethod::Route);
    let came = request6().tos(0x12).flow_label(0x54321).hop_by_hop().destination_options();
    let went = to_server6(VIP6).tos(0x12).flow_label(0x54321).hop_by_hop().destination_options();
    let sent = director.client(&came.ttl(9).udp(4000, 80).payload("query").build());
    assert_eq!(sent.frame(), (LAN, went.ttl(8).udp(4000, 80).payload("query").build()));
}

/// IPv4 options are kept as they are. A tunnel's outer header has none.
#[test]
fn options_are_kept() {
    let options = [7, 7, 4, 0, 0, 0, 0, 1];
    let syn = || request().options(&options).tos(0x12).df().identification(0x4321);
    for (method, server, outer) in [
        (ForwardMethod::Route, VIP, 0),
        (ForwardMethod::Masq, crate::scene::SERVER, 0),
        (ForwardMethod::Tunnel, VIP, 20),
    ] {
        let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
        let (_, sent) = director.client(&syn().tcp(4000, 80).flags(SYN).build()).frame();
        let inner = to_server(server).options(&options).tos(0x12).df().identification(0x4321);
        let expected = inner.ttl(63).tcp(4000, 80).flags(SYN).packet();
        assert_eq!(sent[14 + outer..], expected, "{method:?}");
        assert_eq!(sent[14], if outer == 0 { 0x47 } else { 0x45 });
    }
}

#[test]
fn ethernet_padding_is_removed() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    let sent = director.client(&request().tcp(4000, 80).flags(SYN).padded().build());
    assert_eq!(sent.frame().1, to_server(VIP).ttl(63).tcp(4000, 80).flags(SYN).build());
}

/// As in the kernel, every method answers TTL 1 with an ICMP Time Exceeded that quotes the packet as received.
#[test]
fn ttl_1_is_answered_with_time_exceeded() {
    for method in [ForwardMethod::Route, ForwardMethod::Masq, ForwardMethod::Tunnel] {
        for ttl in [0, 1] {
            let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
            let came = request().ttl(ttl).tcp(4000, 80).flags(SYN).build();
            let punt = director.client(&came).punt();
            assert_eq!((punt.reason, punt.frame), (PuntReason::TtlExpired, came), "{method:?}");
            // Statistics are counted before transmission.
            assert_eq!(director.counters(crate::scene::ONLY).in_packets, 1);
        }
    }
}

#[test]
fn a_packet_to_an_unresolved_server_is_punted() {
    let mut snapshot =
        crate::scene::snapshot(Protocol::Tcp, &["10.1.0.11:80"], ForwardMethod::Route);
    snapshot.unresolved.insert("10.1.0.11".parse().unwrap());
    let mut director = crate::support::TestDirector::new(snapshot);
    let punt = director.client(&request().tcp(4000, 80).flags(SYN).build()).punt();
    assert_eq!(punt.reason, PuntReason::NeighbourUnresolved);
    assert_eq!(punt.next_hop, Some((on(LAN), "10.1.0.11".parse().unwrap())));
    // Everything but the MAC addresses is filled in.
    let expected = to_server(VIP).ttl(63).tcp(4000, 80).flags(SYN).build();
    assert_eq!(punt.frame[12..], expected[12..]);
}

/// The ICMP error for an unresolved NAT server must quote the destination that the client sent to.
#[test]
fn a_punt_of_an_unresolved_server_has_the_original_destination() {
    for (method, server, original_destination) in [
        (ForwardMethod::Masq, "10.1.0.11:8080", Some((VIP.parse().unwrap(), 80))),
        (ForwardMethod::Route, "10.1.0.11:80", None),
        (ForwardMethod::Tunnel, "10.1.0.11:80", None),
    ] {
        let mut snapshot = crate::scene::snapshot(Protocol::Tcp, &[server], method);
        snapshot.unresolved.insert("10.1.0.11".parse().unwrap());
        let mut director = crate::support::TestDirector::new(snapshot);
        let punt = director.client(&request().tcp(4000, 80).flags(SYN).build()).punt();
        assert_eq!(
            (punt.reason, punt.original_destination),
            (PuntReason::NeighbourUnresolved, original_destination)
        );
    }
}

/// An answer from the VIP that comes through the director is forwarded, or dropped as by a Linux director: without an
/// error, uncounted, and without an effect on the connection. A change of the setting holds for connections too.
#[test]
fn an_answer_from_the_vip_is_forwarded_or_dropped() {
    for method in [ForwardMethod::Route, ForwardMethod::Tunnel] {
        let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
        director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
        let came = |ttl| answer(VIP).ttl(ttl).tcp(80, 4000).flags(SYN | ACK).build();
        let went = to_client(VIP).ttl(63).tcp(80, 4000).flags(SYN | ACK).build();
        let out = |director: &TestDirector| director.counters(crate::scene::ONLY).out_packets;
        for _ in 0..2 {
            for _ in 0..2 {
                assert_eq!(director.server(&came(64)).frame(), (WAN, went.clone()), "{method:?}");
            }
            let (counted, state) = (out(&director), director.state());
            director.change(|snapshot| snapshot.settings.drop_vip_answers = true);
            for ttl in [64, 1] {
                assert_eq!(director.server(&came(ttl)).drop(), DropReason::Martian, "{method:?}");
            }
            assert_eq!((out(&director), director.state()), (counted, state), "{method:?}");
            director.change(|snapshot| snapshot.settings.drop_vip_answers = false);
        }
    }
}

/// As in the kernel, the director's own addresses are valid sources in IPv6.
#[test]
fn an_ipv6_answer_from_the_vip_is_forwarded_always() {
    let mut director = one(Protocol::Udp, "[fd00:b::11]:80", ForwardMethod::Route);
    director.change(|snapshot| snapshot.settings.drop_vip_answers = true);
    director.client(&request6().udp(4000, 80).payload("query").build()).frame();
    let sent = director.server(&answer6(VIP6).udp(80, 4000).payload("reply").build());
    assert_eq!(
        sent.frame(),
        (WAN, to_client6(VIP6).ttl(63).udp(80, 4000).payload("reply").build())
    );
}
