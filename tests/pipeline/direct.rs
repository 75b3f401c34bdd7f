//! Direct routing: nothing changes but TTL and the Ethernet header.

use crate::scene::{one, request, request6, to_server, to_server6};
use crate::support::{LAN, VIP, VIP6, on};
use director::model::{ForwardMethod, Protocol};
use director::packet::tcp::SYN;
use director::reason::PuntReason;

#[test]
fn a_request_goes_to_the_server_with_one_hop_less() {
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

/// IPv4 options, whatever they ask for, go with the packet; the outer header of a tunnel has none.
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
fn ethernet_padding_stays_behind() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    let sent = director.client(&request().tcp(4000, 80).flags(SYN).padded().build());
    assert_eq!(sent.frame().1, to_server(VIP).ttl(63).tcp(4000, 80).flags(SYN).build());
}

/// Spec of IPVS: TTL 1 is answered by time exceeded, in every method; the packet goes there as it came.
#[test]
fn a_last_hop_is_answered() {
    for method in [ForwardMethod::Route, ForwardMethod::Masq, ForwardMethod::Tunnel] {
        for ttl in [0, 1] {
            let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
            let came = request().ttl(ttl).tcp(4000, 80).flags(SYN).build();
            let punt = director.client(&came).punt();
            assert_eq!((punt.reason, punt.frame), (PuntReason::TtlExpired, came), "{method:?}");
            // Statistics come before transmission.
            assert_eq!(director.counters(crate::scene::ONLY).in_packets, 1);
        }
    }
}

#[test]
fn an_unresolved_server_is_asked_for() {
    let mut snapshot =
        crate::scene::snapshot(Protocol::Tcp, &["10.1.0.11:80"], ForwardMethod::Route);
    snapshot.unresolved.insert("10.1.0.11".parse().unwrap());
    let mut director = crate::support::TestDirector::new(snapshot);
    let punt = director.client(&request().tcp(4000, 80).flags(SYN).build()).punt();
    assert_eq!(punt.reason, PuntReason::NeighbourUnresolved);
    assert_eq!(punt.next_hop, Some((on(LAN), "10.1.0.11".parse().unwrap())));
    // All but the addresses is in place.
    let expected = to_server(VIP).ttl(63).tcp(4000, 80).flags(SYN).build();
    assert_eq!(punt.frame[12..], expected[12..]);
}

/// Whoever tells the client that its server does not answer has to know what the client had original_destination for.
#[test]
fn an_unresolved_servers_packet_tells_where_it_was_sent() {
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
