//! Packets for the host's own stack: what no service, connection or answer of the director takes.

use crate::scene::*;
use crate::support::{ROUTER_MAC, TestDirector, WAN, on};
use director::limits::HOST_PACKETS_OF_SOURCE_BURST;
use director::model::{Family, ForwardMethod, Protocol};
use director::packet::tcp::{ACK, SYN};
use director::reason::{DropReason, PuntReason};
use director::testing::frame;

/// A service on port 80, and kernel interfaces.
fn director() -> TestDirector {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    director.change(|snapshot| snapshot.has_kernel = true);
    director
}

#[test]
fn the_host_gets_what_no_service_takes() {
    let packets = [
        ("TCP", request().tcp(3000, 22).flags(SYN).build()),
        ("an answer to the host", request().tcp(179, 40_000).flags(SYN | ACK).build()),
        ("UDP", request().udp(3000, 53).build()),
        ("an echo reply", request().icmp(0, 0, 1).payload("ping").build()),
        ("another protocol", request().protocol(89).payload([0; 20]).build()),
        (
            "multicast",
            frame()
                .macs([1, 0, 0x5e, 0, 0, 5], ROUTER_MAC)
                .ipv4("10.0.0.9", "224.0.0.5")
                .protocol(89)
                .payload([0; 20])
                .build(),
        ),
    ];
    for (what, came) in packets {
        let mut director = director();
        let outcome = director.client(&came);
        assert!(outcome.is_nothing(), "{what}: {outcome:?}");
        assert_eq!(director.take_host_packets(), [(on(WAN), came)], "{what}");
        assert_eq!(director.punted(PuntReason::HostStack), 1, "{what}");
    }
}

#[test]
fn ipv6_reaches_the_host_too() {
    let mut director = one(Protocol::Tcp, "[fd00:b::11]:80", ForwardMethod::Route);
    director.change(|snapshot| snapshot.has_kernel = true);
    let came = request6().tcp(3000, 22).flags(SYN).build();
    assert!(director.client(&came).is_nothing());
    assert_eq!(director.take_host_packets(), [(on(WAN), came)]);
}

/// A destination of the director's own is served by the host's stack, beside others in one service. The VIP is an address of
/// the host, so the packets reach it as they came.
#[test]
fn the_host_serves_a_local_destination_beside_others() {
    for method in [ForwardMethod::Route, ForwardMethod::Tunnel] {
        let servers = ["127.0.0.1:80", "10.1.0.11:80"];
        let mut director = TestDirector::new(snapshot(Protocol::Tcp, &servers, method));
        director.change(|snapshot| snapshot.has_kernel = true);
        let (mut local, mut sent) = (Vec::new(), 0);
        for client in 0..6 {
            let syn = request().tcp(3000 + client, 80).flags(SYN).build();
            let outcome = director.client(&syn);
            match outcome.is_nothing() {
                true => local.push((3000 + client, syn)),
                false => sent += outcome.sent.len(),
            }
        }
        let got: Vec<Vec<u8>> =
            director.take_host_packets().into_iter().map(|(_, frame)| frame).collect();
        assert_eq!((got.len(), sent), (3, 3), "{method:?}");
        assert!(got.iter().eq(local.iter().map(|(_, syn)| syn)), "{method:?}");
        // The connection stays with the host.
        let ack = request().tcp(local[0].0, 80).flags(ACK).build();
        assert!(director.client(&ack).is_nothing(), "{method:?}");
        assert_eq!(director.take_host_packets(), [(on(WAN), ack)], "{method:?}");
        assert_eq!(director.connections(Family::Ipv4).len(), 6);
    }
}

#[test]
fn services_connections_and_answers_come_first() {
    let mut director = director();
    director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
    director.client(&request().tcp(3000, 80).flags(ACK).build()).frame();
    let echo = request().icmp(8, 0, 1).payload("ping").build();
    assert_eq!(director.client(&echo).punt().reason, PuntReason::IcmpEcho);
    assert_eq!(director.take_host_packets(), []);
}

#[test]
fn without_a_kernel_interface_the_director_refuses() {
    let mut director = director();
    director.change(|snapshot| snapshot.has_kernel = false);
    let came = request().tcp(3000, 22).flags(SYN).build();
    assert_eq!(director.client(&came).punt().reason, PuntReason::UnservedPort);
    assert_eq!(director.take_host_packets(), []);
}

#[test]
fn all_fragments_of_a_datagram_reach_the_host_in_any_order() {
    let whole = request().udp(3000, 53).payload(vec![7; 3000]);
    for protocol in ["UDP", "an echo reply"] {
        let whole = match protocol {
            "UDP" => whole.clone(),
            _ => request().icmp(0, 0, 1).payload(vec![7; 3000]),
        };
        let pieces = whole.fragments(1480);
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let mut director = director();
            for index in order {
                director.client(&pieces[index]);
            }
            let mut got: Vec<Vec<u8>> =
                director.take_host_packets().into_iter().map(|(_, frame)| frame).collect();
            got.sort();
            let mut expected = pieces.clone();
            expected.sort();
            assert_eq!(got, expected, "{protocol} {order:?}");
        }
    }
}

#[test]
fn a_flood_at_the_host_is_limited_and_counted() {
    let mut director = director();
    let came = request().tcp(3000, 22).flags(SYN).build();
    let sent = HOST_PACKETS_OF_SOURCE_BURST as u64 + 100;
    for _ in 0..sent {
        director.client(&came);
    }
    let (passed, dropped) =
        (director.punted(PuntReason::HostStack), director.dropped(DropReason::HostRateLimited));
    assert_eq!((passed, dropped), (u64::from(HOST_PACKETS_OF_SOURCE_BURST), 100));
}
