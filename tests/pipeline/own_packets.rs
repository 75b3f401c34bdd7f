//! The director's own resets and ICMP errors about packets of connections: IPVS sees them on their way out, so they count
//! as packets back to the client, and a reset takes the connection to its last state.

use crate::scene::*;
use crate::support::{TestDirector, TestSnapshot, VIP, VIP6, WAN};
use director::model::{Counters, Family, ForwardMethod, Protocol, ServiceId, ServiceKey, Tunnel};
use director::packet::tcp::{ACK, FIN, RST, SYN};
use director::reason::{DropReason, PuntReason};

fn answered(director: &TestDirector) -> (u64, u64) {
    let Counters { out_packets, out_bytes, .. } = director.counters(ONLY);
    (out_packets, out_bytes)
}

/// The director's time exceeded about a packet of the client, IP headers included 68 bytes.
fn time_exceeded() -> Vec<u8> {
    let request = request().ttl(1).tcp(4000, 80).flags(SYN).packet();
    to_client(VIP).icmp_error(11, 0, 0, &request).build()
}

fn reset() -> Vec<u8> {
    to_client(VIP).tcp(80, 4000).flags(RST | ACK).build()
}

#[test]
fn errors_about_packets_of_direct_and_tunnelled_connections_are_counted() {
    for (mut director, expected) in [
        (one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route), (1, 68)),
        (tunnelled(false, "10.1.0.11:80", Tunnel::Ipip), (1, 68)),
        // By NAT, a packet from the virtual address is not the server's.
        (one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq), (0, 0)),
    ] {
        let first = request().ttl(1).tcp(4000, 80).flags(SYN);
        assert_eq!(director.client(&first.build()).punt().reason, PuntReason::TtlExpired);
        let before = director.state();
        assert_eq!(director.answer(&time_exceeded()).frame().1, time_exceeded());
        assert_eq!((answered(&director), director.state()), (expected, before));
    }
}

#[test]
fn a_forwarded_packet_that_waited_for_its_next_hop_is_not_counted_again() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    director.client(&request().tcp(4000, 80).flags(SYN).build());
    director.inject(0, WAN, &reset());
    director.settle();
    assert_eq!((answered(&director), director.state().0), ((0, 0), "SYN_RECV"));
}

#[test]
fn the_reset_of_a_local_destination_closes_its_connection() {
    for method in [ForwardMethod::Route, ForwardMethod::Tunnel, ForwardMethod::Masq] {
        let mut director = one(Protocol::Tcp, "10.0.0.1:80", method);
        let syn = request().tcp(4000, 80).flags(SYN).build();
        assert_eq!(director.client(&syn).punt().reason, PuntReason::UnservedPort);
        director.answer(&reset());
        assert_eq!((answered(&director), director.state()), ((1, 40), ("CLOSE", 10)), "{method:?}");
    }
    let mut director = one(Protocol::Tcp, "[fd00:a::1]:80", ForwardMethod::Route);
    director.client(&request6().tcp(4000, 80).flags(SYN).build());
    director.answer(&to_client6(VIP6).tcp(80, 4000).flags(RST | ACK).build());
    assert_eq!((answered(&director), director.state()), ((1, 60), ("CLOSE", 10)));
}

/// The service is served at another port from now on.
fn leave_port(snapshot: &mut TestSnapshot) {
    let at =
        ServiceKey::Address { protocol: Protocol::Tcp, address: VIP.parse().unwrap(), port: 81 };
    snapshot.edit_service(ServiceId(0), |spec| spec.key = at);
}

/// The service of a connection that is over is gone: a new SYN is refused, and the reset revives the connection.
#[test]
fn a_reset_revives_the_connection_that_its_syn_ended() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    // A segment without flags ends the connection.
    for flags in [SYN, 0] {
        director.client(&request().tcp(4000, 80).flags(flags).build()).frame();
    }
    assert_eq!(director.state().0, "CLOSE");
    director.change(|snapshot| snapshot.remove_destination(ONLY));
    director.change(leave_port);
    director.pass_s(7);
    let syn = request().tcp(4000, 80).flags(SYN).build();
    assert_eq!(director.client(&syn).punt().reason, PuntReason::UnservedPort);
    director.answer(&reset());
    assert_eq!(director.state(), ("CLOSE", 10));
    let ack = request().tcp(4000, 80).flags(ACK).build();
    assert_eq!(director.client(&ack).drop(), DropReason::DestinationUnavailable);
    // Without a reset it ends at once, and so it does by NAT, where the reset is not the connection's.
    assert_eq!(director.client(&syn).punt().reason, PuntReason::UnservedPort);
    director.pass_s(2);
    assert!(director.connections(Family::Ipv4).is_empty());
    let mut director = one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq);
    for flags in [SYN, FIN] {
        director.client(&request().tcp(4000, 80).flags(flags).build()).frame();
    }
    director.server(&answer(SERVER).tcp(8080, 4000).flags(RST).build()).frame();
    director.change(|snapshot| snapshot.remove_destination(ONLY));
    director.change(leave_port);
    assert_eq!(director.client(&syn).punt().reason, PuntReason::UnservedPort);
    assert!(director.connections(Family::Ipv4).is_empty());
}

/// Without services the director is a host as any other: its reset does not concern the connection.
#[test]
fn without_services_a_reset_changes_no_connection() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
    let before = director.state();
    // The only service is one of IPv6 from now on.
    let address = VIP6.parse().unwrap();
    let key = ServiceKey::Address { protocol: Protocol::Tcp, address, port: 80 };
    director.change(|snapshot| {
        snapshot.remove_destination(ONLY);
        snapshot.edit_service(ServiceId(0), |spec| spec.key = key);
    });
    director.answer(&reset());
    assert_eq!(director.state(), before);
}
