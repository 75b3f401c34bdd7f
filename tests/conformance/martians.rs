//! Martian addresses: Linux drops such packets before IPVS sees them.

use crate::scene::{CLIENT, CLIENT6, answer, one, request};
use crate::support::{LAN_MAC, ROUTER_MAC, TestDirector, VIP, VIP6, WAN_MAC, server_mac};
use director::model::{Family, ForwardMethod, PortId, Protocol, SchedulerKind};
use director::packet::tcp::{ACK, SYN};
use director::reason::{DropReason, PuntReason};
use director::testing::{PacketBuilder, frame};

fn director() -> TestDirector {
    one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route)
}

fn from(source: &str) -> PacketBuilder<u32> {
    frame().macs(WAN_MAC, ROUTER_MAC).ipv4(source, VIP)
}

fn between6(source: &str, destination: &str) -> PacketBuilder<u128> {
    frame().macs(WAN_MAC, ROUTER_MAC).ipv6(source, destination)
}

#[test]
fn martian_sources() {
    for source in
        ["0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255", "10.0.0.1", "10.1.0.1", VIP]
    {
        let mut director = director();
        let through = frame().macs(WAN_MAC, ROUTER_MAC).ipv4(source, "10.1.0.12");
        let quoted = frame().ipv4(VIP, CLIENT).tcp(80, 3000).packet();
        director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
        for packet in [
            from(source).tcp(3000, 80).flags(SYN),
            from(source).tcp(3000, 81).flags(SYN),
            from(source).icmp_error(3, 1, 0, &quoted),
            through.clone().udp(1, 2),
            through.clone().icmp(8, 0, 1),
            through.clone().protocol(47).payload([0; 8]),
        ] {
            assert_eq!(director.client(&packet.build()).drop(), DropReason::Martian, "{packet:?}");
        }
        assert_eq!(director.connections(Family::Ipv4).len(), 1);
        // Later fragments have no ports and may belong to a server's reply: they wait for their first fragment.
        let is_own = ["10.0.0.1", "10.1.0.1", VIP].contains(&source);
        let late = through.protocol(17).fragment(800, false).payload([0; 8]);
        let outcome = director.client(&late.build());
        match is_own {
            true => assert_eq!(director.pass_s(3).drop(), DropReason::FragmentTimedOut),
            false => assert_eq!(outcome.drop(), DropReason::Martian),
        }
    }
    // Unusual sources that Linux accepts.
    for source in ["0.1.2.3", "10.0.0.255", "169.254.1.1", "240.0.0.1"] {
        director().client(&from(source).tcp(3000, 80).flags(SYN).build()).frame();
    }
}

#[test]
fn martian_destinations() {
    for destination in ["0.0.0.0", "127.0.0.1", "127.9.9.9"] {
        let packet = frame().macs(WAN_MAC, ROUTER_MAC).ipv4(CLIENT, destination).udp(1, 2);
        assert_eq!(director().client(&packet.build()).drop(), DropReason::Martian);
    }
    // Multicast is not routed.
    let group = frame().macs(WAN_MAC, ROUTER_MAC).ipv4(CLIENT, "224.0.0.5");
    let quoted = frame().ipv4(VIP, CLIENT).tcp(80, 3000).packet();
    for packet in [group.clone().udp(1, 2), group.icmp_error(3, 1, 0, &quoted)] {
        let punt = director().client(&packet.build()).punt();
        assert_eq!(punt.reason, PuntReason::LocalOther);
    }
}

#[test]
fn ipv6() {
    let director = || one(Protocol::Udp, "[fd00:b::11]:80", ForwardMethod::Route);
    for (source, destination) in [
        ("::1", VIP6),
        ("ff02::1", VIP6),
        (CLIENT6, "::1"),
        (CLIENT6, "::"),
        ("::", "fd00:b::12"),
        ("::", VIP6),
        ("fe80::9", "fd00:b::12"),
        (CLIENT6, "fe80::9"),
    ] {
        let packet = between6(source, destination).udp(3000, 80);
        assert_eq!(director().client(&packet.build()).drop(), DropReason::Martian, "{packet:?}");
    }
    // Link-local clients are accepted; Linux checks for own source addresses in IPv4 only.
    for source in ["fe80::9", "fd00:a::1"] {
        director().client(&between6(source, VIP6).udp(3000, 80).build()).frame();
    }
    // Duplicate address detection has the unspecified source.
    let asks = between6("::", "fd00:a::1").ttl(255).icmp(135, 0, 0).payload([0; 16]);
    assert_eq!(director().client(&asks.build()).punt().reason, PuntReason::NeighbourDiscovery);
}

/// In IPv6 a request may have an address of the director as its source, as in Linux. What the server answers is for the
/// director: it is neither sent nor is its address asked for.
#[test]
fn answers_to_own_addresses_do_not_leave() {
    for source in ["fd00:a::1", "fd00:b::1", VIP6] {
        let mut director = one(Protocol::Udp, "[fd00:b::11]:80", ForwardMethod::Masq);
        director.client(&between6(source, VIP6).udp(3000, 80).build()).frame();
        let answer = frame().macs(LAN_MAC, server_mac(11)).ipv6("fd00:b::11", source).udp(80, 3000);
        let whole = director.server(&answer.clone().build());
        assert_eq!(whole.punt().reason, PuntReason::UnservedPort, "{source}");
        let pieces = answer.payload([7; 200]).fragments(96);
        let first = director.server(&pieces[0]);
        assert_eq!(first.punt().reason, PuntReason::UnservedPort, "{source}");
        assert_eq!(director.server(&pieces[1]).drop(), DropReason::UnservedPort, "{source}");
    }
}

/// A client whose address becomes the director's: nothing of its connection is sent to it any more.
#[test]
fn a_client_address_that_becomes_own() {
    let mut director = one(Protocol::Udp, "10.1.0.11:80", ForwardMethod::Masq);
    director.client(&request().udp(3000, 80).build()).frame();
    let reply = answer("10.1.0.11").udp(80, 3000);
    let pieces = reply.clone().payload([7; 200]).fragments(96);
    director.server(&reply.clone().build()).frame();
    director.server(&pieces[0]).frame();
    director.change(|snapshot| {
        snapshot.service(Protocol::Udp, &format!("{CLIENT}:80"), SchedulerKind::Rr);
    });
    assert_eq!(director.server(&reply.build()).punt().reason, PuntReason::UnservedPort);
    assert_eq!(director.server(&pieces[1]).drop(), DropReason::UnservedPort);
}

/// A reply routed by the director has the VIP as its source; it passes only if it belongs to a connection.
#[test]
fn replies_from_the_vip() {
    let mut director = director();
    director.client(&request().tcp(3000, 80).flags(SYN).build()).frame();
    director.server(&answer(VIP).tcp(80, 3000).flags(SYN | ACK).build()).frame();
    let unmatched = answer(VIP).tcp(80, 3001).flags(SYN | ACK).build();
    assert_eq!(director.server(&unmatched).drop(), DropReason::Martian);

    let mut director = one(Protocol::Udp, "10.1.0.11:80", ForwardMethod::Route);
    director.client(&request().udp(3000, 80).build()).frame();
    let pieces = answer(VIP).udp(80, 3000).payload([7; 200]).fragments(96);
    let sent: Vec<_> = [1, 0, 2].map(|index| director.server(&pieces[index]).sent.len()).into();
    assert_eq!(sent, [0, 2, 1], "held until the first fragment shows the connection");
}

/// A frame that control sends to a port that does not exist is counted.
#[test]
fn a_port_that_does_not_exist() {
    let mut director = director();
    let packet = frame().macs(server_mac(11), LAN_MAC).ipv4("10.1.0.1", "10.1.0.11").udp(1, 2);
    director.inject(0, PortId(7), &packet.build());
    assert_eq!(director.settle().drop(), DropReason::NoPort);
}
