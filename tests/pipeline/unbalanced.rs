//! Packets that IPVS does not balance: delivered to the host, routed or dropped.

use crate::scene::*;
use crate::support::{LAN, LAN_MAC, ROUTER_MAC, TestDirector, VIP, WAN, WAN_MAC, on};
use director::model::{ForwardMethod, Protocol};
use director::packet::sctp;
use director::packet::tcp::{ACK, FIN, RST, SYN};
use director::reason::{DropReason, PuntReason};
use director::testing::frame;

fn director() -> TestDirector {
    one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route)
}

#[test]
fn packets_of_no_connection_and_no_service() {
    let unserved = PuntReason::UnservedPort;
    let cases = [
        ("no service", request().tcp(3000, 81).flags(SYN).build(), unserved),
        ("no UDP service", request().udp(3000, 80).build(), unserved),
        ("ACK", request().tcp(3000, 80).flags(ACK).build(), unserved),
        ("FIN", request().tcp(3000, 80).flags(FIN).build(), unserved),
        ("RST", request().tcp(3000, 80).flags(RST).build(), unserved),
        ("SYN and RST", request().tcp(3000, 80).flags(SYN | RST).build(), unserved),
        ("FTP's data port", request().tcp(20, 80).flags(SYN).build(), unserved),
        ("echo", request().icmp(8, 0, 1).payload("ping").build(), PuntReason::IcmpEcho),
        ("another protocol", request().protocol(50).payload([0; 20]).build(), unserved),
    ];
    for (what, came, reason) in cases {
        let punt = director().client(&came).punt();
        assert_eq!((punt.reason, punt.frame), (reason, came), "{what}");
    }
    // SYN with ACK is a new connection for IPVS.
    director().client(&request().tcp(3000, 80).flags(SYN | ACK).build()).frame();
}

#[test]
fn only_an_init_opens_an_sctp_connection() {
    let director = || one(Protocol::Sctp, "10.1.0.11:80", ForwardMethod::Route);
    let packet = |chunk| request().sctp(3000, 80, chunk).build();
    director().client(&packet(sctp::INIT)).frame();
    for chunk in [sctp::DATA, sctp::ABORT, sctp::COOKIE_ECHO] {
        assert_eq!(director().client(&packet(chunk)).punt().reason, PuntReason::UnservedPort);
    }
    let sloppy = |chunk| {
        let mut director = director();
        director.change(|snapshot| snapshot.settings.sysctls.sloppy_sctp = 1);
        director.client(&packet(chunk))
    };
    sloppy(sctp::DATA).frame();
    assert_eq!(sloppy(sctp::ABORT).punt().reason, PuntReason::UnservedPort);
}

#[test]
fn without_a_destination_tcp_is_answered_too() {
    let mut director = director();
    director.change(|snapshot| snapshot.edit_destination(ONLY, |spec| spec.weight = 0));
    let came = request().tcp(3000, 80).flags(SYN).build();
    let punt = director.client(&came).punt();
    assert_eq!((punt.reason, punt.frame), (PuntReason::NoDestination, came));
}

#[test]
fn packets_for_other_hosts_are_routed() {
    let through = frame().macs(WAN_MAC, ROUTER_MAC).ipv4(CLIENT, "10.1.0.12").df();
    let sent = director().client(&through.clone().udp(1, 2).build());
    let expected = frame().macs(crate::support::server_mac(12), LAN_MAC).ipv4(CLIENT, "10.1.0.12");
    assert_eq!(sent.frame(), (LAN, expected.df().ttl(63).udp(1, 2).build()));

    let back = answer("10.1.0.12").udp(2, 1).build();
    assert_eq!(
        director().server(&back).frame(),
        (WAN, to_client("10.1.0.12").ttl(63).udp(2, 1).build())
    );

    let unknown = frame().macs(WAN_MAC, ROUTER_MAC).ipv4(CLIENT, "10.1.0.99").udp(1, 2).build();
    let punt = director().client(&unknown).punt();
    assert_eq!(punt.next_hop, Some((on(LAN), "10.1.0.99".parse().unwrap())));
    let last = through.ttl(1).udp(1, 2).build();
    assert_eq!(director().client(&last).punt().reason, PuntReason::TtlExpired);
}

/// The client gets "host unreachable", not "network unreachable".
#[test]
fn a_server_without_a_route() {
    for method in [ForwardMethod::Route, ForwardMethod::Masq, ForwardMethod::Tunnel] {
        let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
        director.change(|snapshot| {
            snapshot.unrouted.insert(SERVER.parse().unwrap());
        });
        let came = request().ttl(1).tcp(3000, 80).flags(SYN).build();
        let punt = director.client(&came).punt();
        assert_eq!((punt.reason, punt.frame), (PuntReason::DestinationUnreachable, came));
    }
}

/// A destination that is the director itself gets the packet as received, with its TTL; NAT does not translate to a
/// loopback address.
#[test]
fn a_server_that_is_the_director() {
    let came = request().ttl(1).tcp(3000, 80).flags(SYN).build();
    for (server, method, is_taken) in [
        ("10.0.0.1:80", ForwardMethod::Route, true),
        ("10.0.0.1:8080", ForwardMethod::Masq, true),
        ("127.0.0.1:80", ForwardMethod::Route, true),
        ("127.0.0.1:80", ForwardMethod::Masq, false),
    ] {
        let outcome = one(Protocol::Tcp, server, method).client(&came);
        match is_taken {
            true => {
                let punt = outcome.punt();
                assert_eq!((punt.reason, &punt.frame), (PuntReason::UnservedPort, &came));
            }
            false => assert_eq!(outcome.drop(), DropReason::Martian),
        }
    }
}

/// `nat_icmp_send`: a NAT server's packet of no connection is answered, a RST never.
#[test]
fn nat_icmp_send() {
    let director = |setting| {
        let mut director = one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq);
        director.change(|snapshot| snapshot.settings.sysctls.nat_icmp_send = setting);
        director
    };
    let unmatched = answer(SERVER).tcp(8080, 3000).flags(ACK).build();
    assert_eq!(director(1).server(&unmatched).punt().reason, PuntReason::NatIcmpSend);
    director(0).server(&unmatched).frame();
    director(1).server(&answer(SERVER).tcp(8080, 3000).flags(RST).build()).frame();
    director(1).server(&answer(SERVER).tcp(8081, 3000).flags(ACK).build()).frame();
}

#[test]
fn frames_that_are_dropped() {
    let elsewhere = frame().macs([2, 0, 0, 0, 0, 9], ROUTER_MAC).ipv4(CLIENT, VIP);
    let cases = [
        ("another host's", elsewhere.tcp(1, 80).flags(SYN).build(), DropReason::NotForUs),
        ("too short", vec![2, 0, 0, 0, 0, 1, 9], DropReason::TooShort),
        (
            "no IP",
            [&WAN_MAC[..], &ROUTER_MAC, &[0x88, 0xcc, 0, 0]].concat(),
            DropReason::BadEthernet,
        ),
        ("cut off", request().tcp(1, 80).build()[..40].to_vec(), DropReason::BadIpLength),
        (
            "broadcast, but for a service",
            frame().macs([0xff; 6], ROUTER_MAC).ipv4(CLIENT, VIP).tcp(1, 80).flags(SYN).build(),
            DropReason::NoLocalHandler,
        ),
    ];
    for (what, came, reason) in cases {
        assert_eq!(director().client(&came).drop(), reason, "{what}");
    }
    let mut broken = request().tcp(1, 80).flags(SYN).build();
    broken[24] ^= 1;
    assert_eq!(director().client(&broken).drop(), DropReason::BadIpChecksum);
}

/// A backup with `backup_only` balances nothing; packets for the host are still delivered.
#[test]
fn inbound_off() {
    let mut director = director();
    director.change(|snapshot| snapshot.settings.inbound_off = true);
    let came = request().tcp(3000, 80).flags(SYN).build();
    assert_eq!(director.client(&came).punt().reason, PuntReason::UnservedPort);
}

/// A frame to a multicast or broadcast MAC address is delivered to the host or dropped, never routed.
#[test]
fn frames_to_a_group_are_not_routed() {
    for mac in [[0xff; 6], [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
        let to = |address| frame().macs(mac, ROUTER_MAC).ipv4(CLIENT, address);
        let to6 = |address| frame().macs(mac, ROUTER_MAC).ipv6(CLIENT6, address);
        let quoted = frame().ipv4("10.1.0.12", CLIENT).udp(1, 2).packet();
        for packet in [
            to("10.1.0.12").icmp(8, 0, 1).build(),
            to("10.1.0.12").icmp_error(3, 1, 0, &quoted).build(),
            to("10.1.0.12").udp(1, 2).build(),
            to("10.1.0.12").icmp(8, 0, 1).ttl(1).build(),
            to6("fd00:b::12").icmp(128, 0, 1).build(),
            to6("fd00:b::12").protocol(47).payload([0; 8]).build(),
        ] {
            assert_eq!(director().client(&packet).drop(), DropReason::NoLocalHandler);
        }
        // Packets for the director itself are answered.
        for packet in [to(VIP).icmp(8, 0, 1).build(), to6("fd00:a::1").icmp(128, 0, 1).build()] {
            assert_eq!(director().client(&packet).punt().reason, PuntReason::IcmpEcho);
        }
    }
}

/// An interface accepts frames for its virtual MAC addresses.
#[test]
fn virtual_mac_addresses() {
    const VIRTUAL: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];
    let syn = frame().macs(VIRTUAL, ROUTER_MAC).ipv4(CLIENT, VIP).tcp(3000, 80).flags(SYN).build();
    let mut director = director();
    assert_eq!(director.client(&syn).drop(), DropReason::NotForUs);
    director.change(|snapshot| snapshot.virtual_macs = vec![VIRTUAL]);
    assert_eq!(director.client(&syn).frame().0, LAN);
}

/// Multicast packets are delivered to the host if the interface has joined the group.
#[test]
fn groups_of_an_interface() {
    let solicit = |group: &str| {
        let mac = [0x33, 0x33, 0xff, 0, 0, 1];
        frame()
            .macs(mac, ROUTER_MAC)
            .ipv6("fe80::9", group)
            .ttl(255)
            .icmp(135, 0, 0)
            .payload([0; 16])
            .build()
    };
    let mine = solicit("ff02::1:ff00:1");
    assert_eq!(director().client(&mine).punt().reason, PuntReason::NeighbourDiscovery);
    assert_eq!(director().server(&mine).drop(), DropReason::NoLocalHandler);
    for group in ["ff02::1:ff00:99", "ff02::fb", "ff05::2"] {
        assert_eq!(director().client(&solicit(group)).drop(), DropReason::NoLocalHandler);
    }
    assert_eq!(
        director().client(&solicit("ff02::1")).punt().reason,
        PuntReason::NeighbourDiscovery
    );

    let igmp = |group: &str| {
        let mac = [1, 0, 0x5e, 0, 0, 1];
        frame().macs(mac, ROUTER_MAC).ipv4("10.0.0.254", group).protocol(2).payload([0; 8]).build()
    };
    assert_eq!(director().client(&igmp("224.0.0.1")).punt().reason, PuntReason::GroupMembership);
    assert_eq!(director().client(&igmp("224.0.0.18")).drop(), DropReason::NoLocalHandler);
    let mld = frame().macs([0x33, 0x33, 0, 0, 0, 1], ROUTER_MAC).ipv6("fe80::9", "ff02::1");
    let mld = mld.hop_by_hop().ttl(1).icmp(130, 0, 0).payload([0; 20]).build();
    assert_eq!(director().client(&mld).punt().reason, PuntReason::GroupMembership);
}
