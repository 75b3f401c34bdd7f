//! Direct routing: only the TTL and the Ethernet header change.

use crate::scene::{one, request, request6, to_server, to_server6};
use crate::support::{LAN, VIP, VIP6, on};
use director::model::{ForwardMethod, Protocol};
use director::packet::tcp::SYN;
use director::reason::PuntReason;

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
