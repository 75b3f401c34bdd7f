//! ICMP errors reach the connection of the packet they quote, in both directions, with outer and quoted headers
//! rewritten.

use crate::scene::*;
use crate::support::{LAN, LAN_MAC, ROUTER_MAC, TestDirector, VIP, VIP6, WAN, WAN_MAC, server_mac};
use director::model::{Family, ForwardMethod, Protocol};
use director::packet::tcp::SYN;
use director::reason::{DropReason, PuntReason};
use director::testing::frame;

/// A NAT director with one connection.
fn masq() -> TestDirector {
    let mut director = one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq);
    director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
    director
}

/// About a request, from the servers' side: the client gets it from the VIP, and it quotes what the client sent.
#[test]
fn about_a_request() {
    for (kind, code, rest) in [(3, 3, 0), (3, 4, 1400), (4, 0, 0), (11, 0, 0)] {
        for sender in [SERVER, "10.1.0.12"] {
            let seen = to_server(SERVER).ttl(61).tcp(3000, 8080).flags(SYN).packet();
            let came = frame().macs(LAN_MAC, server_mac(11)).ipv4(sender, CLIENT).tos(0xc0);
            let sent = to_client(VIP).tos(0xc0).ttl(63);
            // The quoted IP checksum is computed again; the quoted TCP checksum is kept, because the quotation is cut
            // off.
            let mut quoted = to_server(VIP).ttl(61).tcp(3000, 80).flags(SYN).packet();
            quoted[36..38].copy_from_slice(&seen[36..38]);
            let mut director = masq();
            let outcome = director.server(&came.icmp_error(kind, code, rest, &seen).build());
            assert_eq!(outcome.frame(), (WAN, sent.icmp_error(kind, code, rest, &quoted).build()));
            assert_eq!(director.counters(ONLY).out_packets, 1);
            assert_eq!(director.state(), ("SYN_RECV", 60), "errors change no state");
        }
    }
}

/// About a reply, from the clients' side: it quotes what the server sent.
#[test]
fn about_a_reply() {
    let seen = to_client(VIP).ttl(50).tcp(80, 3000).flags(SYN).packet();
    let came = frame().macs(WAN_MAC, ROUTER_MAC).ipv4("77.9.9.9", VIP);
    let sent = frame().macs(server_mac(11), LAN_MAC).ipv4("77.9.9.9", SERVER).ttl(63);
    let mut quoted = to_client(SERVER).ttl(50).tcp(8080, 3000).flags(SYN).packet();
    quoted[36..38].copy_from_slice(&seen[36..38]);
    let mut director = masq();
    let outcome = director.client(&came.icmp_error(3, 4, 1300, &seen).build());
    assert_eq!(outcome.frame(), (LAN, sent.icmp_error(3, 4, 1300, &quoted).build()));
    assert_eq!(director.counters(ONLY).in_packets, 2);
}

#[test]
fn both_directions_in_ipv6() {
    let make = || {
        let mut director = one(Protocol::Udp, "[fd00:b::11]:53", ForwardMethod::Masq);
        director.client(&request6().udp(3000, 80).payload("q").build()).frame();
        director
    };
    for kind in 1..=4 {
        let seen = to_server6(SERVER6).udp(3000, 53).payload("q").packet();
        let mut quoted = to_server6(VIP6).udp(3000, 80).payload("q").packet();
        quoted[46..48].copy_from_slice(&seen[46..48]);
        let came = frame().macs(LAN_MAC, server_mac(12)).ipv6("fd00:b::12", CLIENT6);
        let sent = to_client6(VIP6).ttl(63).icmp_error(kind, 0, 1280, &quoted);
        let outcome = make().server(&came.icmp_error(kind, 0, 1280, &seen).build());
        assert_eq!(outcome.frame(), (WAN, sent.build()), "type {kind}");

        let seen = to_client6(VIP6).udp(80, 3000).payload("a").packet();
        let mut quoted = to_client6(SERVER6).udp(53, 3000).payload("a").packet();
        quoted[46..48].copy_from_slice(&seen[46..48]);
        let sent = to_server6(SERVER6).ttl(63).icmp_error(kind, 0, 1280, &quoted);
        let outcome = make().client(&request6().icmp_error(kind, 0, 1280, &seen).build());
        assert_eq!(outcome.frame(), (LAN, sent.build()), "type {kind}");
    }
}

/// With DR and tunnels the error goes to the server unchanged.
#[test]
fn dr_and_tunnels_forward_the_error_unchanged() {
    let seen = to_client(VIP).ttl(50).tcp(80, 3000).flags(SYN).packet();
    let came = request().icmp_error(11, 0, 0, &seen);
    let syn = request().tcp(3000, 80).flags(SYN).build();

    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route);
    director.client(&syn).frame();
    let expected = to_server(VIP).ttl(63).icmp_error(11, 0, 0, &seen);
    assert_eq!(director.client(&came.build()).frame(), (LAN, expected.build()));

    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Tunnel);
    director.client(&syn).frame();
    let (_, sent) = director.client(&came.build()).frame();
    assert_eq!(sent[34..], expected.packet());
}

/// An error to the VIP that quotes a client's request is delivered locally: the director must not resolve its own
/// address.
#[test]
fn an_error_to_the_vip_about_a_request_is_not_routed() {
    for method in [ForwardMethod::Route, ForwardMethod::Tunnel] {
        let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
        director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
        let seen = request().ttl(50).tcp(3000, 80).packet();
        let punt = director.client(&request().icmp_error(3, 1, 0, &seen).build()).punt();
        assert_eq!(punt.reason, PuntReason::LocalOther);
    }
}

/// Four bytes after the quoted IP header are enough to translate: they hold the ports.
#[test]
fn a_quotation_that_ends_after_the_ports_is_translated() {
    let quote = |packet: Vec<u8>| packet[..24].to_vec();
    let seen = quote(to_server(SERVER).ttl(61).tcp(3000, 8080).flags(SYN).packet());
    let mut quoted = quote(to_server(VIP).ttl(61).tcp(3000, 80).flags(SYN).packet());
    let came = frame().macs(LAN_MAC, server_mac(11)).ipv4(SERVER, CLIENT);
    let sent = to_client(VIP).ttl(63).icmp_error(3, 3, 0, &quoted).build();
    assert_eq!(
        masq().server(&came.clone().icmp_error(3, 3, 0, &seen).build()).frame(),
        (WAN, sent)
    );
    // With three bytes no connection can be found.
    quoted.truncate(23);
    let sent = masq().server(&came.icmp_error(3, 3, 0, &seen[..23]).build()).frame();
    assert_eq!(sent, (WAN, to_client(SERVER).ttl(63).icmp_error(3, 3, 0, &seen[..23]).build()));
}

#[test]
fn errors_of_no_connection() {
    let unmatched = |port| to_client(VIP).tcp(80, port).packet();
    // One for the director itself, one that it routes.
    let punt = masq().client(&request().icmp_error(3, 3, 0, &unmatched(3001)).build()).punt();
    assert_eq!(punt.reason, PuntReason::LocalOther);
    let seen = to_server(SERVER).tcp(3001, 8080).packet();
    let sent = masq().server(&answer(SERVER).icmp_error(3, 3, 0, &seen).build()).frame();
    assert_eq!(sent, (WAN, to_client(SERVER).ttl(63).icmp_error(3, 3, 0, &seen).build()));
    // Redirects and parameter problems are not translated, even if they quote a connection.
    for kind in [5, 12] {
        let punt =
            masq().client(&request().icmp_error(kind, 0, 0, &unmatched(3000)).build()).punt();
        assert_eq!(punt.reason, PuntReason::LocalOther);
    }
}

/// As in the kernel, the checksum is verified only where the error is rewritten, i.e. with NAT.
#[test]
fn errors_with_a_wrong_checksum() {
    let broken = |mut frame: Vec<u8>, at: usize| {
        frame[at] ^= 1;
        frame
    };
    let made = |method| {
        let mut director = one(Protocol::Tcp, "10.1.0.11:80", method);
        director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
        director
    };
    let about_reply = |port| {
        let seen = to_client(VIP).tcp(80, port).packet();
        broken(request().icmp_error(3, 3, 0, &seen).build(), 36)
    };
    let about_request = |address| {
        let seen = to_server(address).tcp(3000, 80).packet();
        broken(answer(SERVER).icmp_error(3, 3, 0, &seen).build(), 36)
    };
    for method in [ForwardMethod::Masq, ForwardMethod::Route, ForwardMethod::Tunnel] {
        let mut director = made(method);
        let outcome = director.client(&about_reply(3000));
        if method == ForwardMethod::Masq {
            assert_eq!(outcome.drop(), DropReason::BadIcmpChecksum);
            assert_eq!(director.counters(ONLY).in_packets, 1);
        } else {
            assert_eq!(outcome.frame().0, LAN, "{method:?}");
            assert_eq!(director.counters(ONLY).in_packets, 2);
        }
        assert_eq!(director.client(&about_reply(3001)).punt().reason, PuntReason::LocalOther);
    }
    assert_eq!(
        made(ForwardMethod::Masq).server(&about_request(SERVER)).drop(),
        DropReason::BadIcmpChecksum
    );
    made(ForwardMethod::Route).server(&about_request(VIP)).frame();
    made(ForwardMethod::Route).server(&about_request("10.1.0.12")).frame();

    let mut director = one(Protocol::Tcp, "[fd00:b::11]:80", ForwardMethod::Masq);
    director.client(&request6().tcp(3000, 80).flags(SYN).build()).frame();
    let seen = to_client6(VIP6).tcp(80, 3000).flags(SYN).packet();
    let came = broken(request6().icmp_error(1, 4, 0, &seen).build(), 58);
    assert_eq!(director.client(&came).drop(), DropReason::BadIcmpChecksum);
    let seen = to_server6(SERVER6).tcp(3000, 80).flags(SYN).packet();
    let came = broken(answer6(SERVER6).icmp_error(1, 4, 0, &seen).build(), 58);
    assert_eq!(director.server(&came).drop(), DropReason::BadIcmpChecksum);
    let mut direct = one(Protocol::Tcp, "[fd00:b::11]:80", ForwardMethod::Route);
    direct.client(&request6().tcp(3000, 80).flags(SYN).build()).frame();
    let seen = to_client6(VIP6).tcp(80, 3000).flags(SYN).packet();
    direct.client(&broken(request6().icmp_error(1, 4, 0, &seen).build(), 58)).frame();
    let unmatched = to_server6(SERVER6).tcp(3001, 80).packet();
    let came = broken(answer6(SERVER6).icmp_error(1, 4, 0, &unmatched).build(), 58);
    director.server(&came).frame();
}

/// IPv6 errors above the MTU are neither answered nor fragmented.
#[test]
fn large_errors() {
    let seen = to_client6(VIP6).tcp(80, 3000).flags(SYN).payload([7; 1170]).packet();
    for method in [ForwardMethod::Route, ForwardMethod::Masq, ForwardMethod::Tunnel] {
        let mut director = one(Protocol::Tcp, "[fd00:b::11]:80", method);
        director.client(&request6().tcp(3000, 80).flags(SYN).build()).frame();
        director.client(&request6().icmp_error(2, 0, 1280, &seen).build()).frame();
        director.change(|snapshot| snapshot.mtu[1] = 1270);
        let outcome = director.client(&request6().icmp_error(2, 0, 1280, &seen).build());
        assert_eq!(outcome.drop(), DropReason::TooBig, "{method:?}");
    }
    let seen = to_client(VIP).tcp(80, 3000).flags(SYN).payload([7; 600]).packet();
    let mut director = masq();
    director.change(|snapshot| snapshot.mtu[1] = 576);
    let outcome = director.client(&request().df().icmp_error(3, 3, 0, &seen).build());
    assert_eq!((outcome.sent.len(), outcome.punts.len(), outcome.drops.len()), (2, 0, 0));
}

/// `schedule_icmp`: an error about an unknown connection creates one that lives three seconds.
#[test]
fn schedule_icmp() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq);
    director.change(|snapshot| snapshot.settings.sysctls.schedule_icmp = 1);
    let seen = to_client(VIP).tcp(80, 3000).flags(SYN).packet();
    let (port, sent) = director.client(&request().icmp_error(3, 4, 900, &seen).build()).frame();
    assert_eq!((port, server_of(&sent)), (LAN, 11));
    assert_eq!(director.state(), ("NONE", 3));
    director.pass_s(5);
    assert!(director.connections(Family::Ipv4).is_empty());
    director.change(|snapshot| snapshot.edit_destination(ONLY, |spec| spec.weight = 0));
    let drop = director.client(&request().icmp_error(3, 4, 900, &seen).build()).drop();
    assert_eq!(drop, DropReason::NoDestination);
}

/// A fragmented error of a connection cannot be translated, because its checksum covers missing bytes. Other fragmented
/// errors are routed.
#[test]
fn errors_in_fragments() {
    let seen = |port| to_server(SERVER).tcp(port, 8080).flags(SYN).payload([7; 200]).packet();
    let mut director = masq();
    for piece in answer(SERVER).icmp_error(3, 3, 0, &seen(3000)).fragments(128) {
        assert_eq!(director.server(&piece).drop(), DropReason::BadTransport);
    }
    let came = answer("10.1.0.12").identification(8).icmp_error(3, 3, 0, &seen(3001));
    let sent = to_client("10.1.0.12").identification(8).ttl(63).icmp_error(3, 3, 0, &seen(3001));
    let sent = sent.fragments(128);
    for (index, piece) in came.fragments(128).iter().enumerate() {
        assert_eq!(director.server(piece).frame(), (WAN, sent[index].clone()));
    }
}
