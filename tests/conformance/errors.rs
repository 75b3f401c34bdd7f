//! ICMP errors about connections.

use crate::scene::{CLIENT, ONLY, answer, one, request, request6, snapshot, tunnelled};
use crate::support::{LAN_MAC, ROUTER_MAC, TestDirector, VIP, WAN_MAC, server_mac};
use director::model::{ForwardMethod, Protocol, SchedulerKind, Tunnel, TunnelChecksum};
use director::packet::tcp::SYN;
use director::reason::{DropReason, PuntReason};
use director::testing::frame;

/// A server's reply, as the client received it.
fn answered() -> Vec<u8> {
    frame().ipv4(VIP, CLIENT).tcp(80, 4000).packet()
}

#[test]
fn errors_reach_connections_of_a_removed_server() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Masq);
    director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
    director.change(|snapshot| snapshot.remove_destination(ONLY));
    let error = request().icmp_error(3, 4, 1400, &answered()).build();
    let (_, sent) = director.client(&error).frame();
    let quoted = frame().ipv4("10.1.0.11", CLIENT).tcp(80, 4000).packet();
    // The quoted TCP checksum stays as it was.
    assert_eq!(sent[42..66], quoted[..24]);
    assert_eq!(director.counters(ONLY).in_packets, 1, "a removed server counts nothing");
}

#[test]
fn schedule_icmp_schedules_errors_of_no_connection() {
    for (schedule_icmp, port, expected) in [(0, 4000, false), (1, 4000, true), (1, 20, false)] {
        let mut director = one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq);
        director.change(|snapshot| snapshot.settings.sysctls.schedule_icmp = schedule_icmp);
        let quoted = frame().ipv4(VIP, CLIENT).tcp(80, port).packet();
        let outcome = director.client(&request().icmp_error(3, 1, 0, &quoted).build());
        match expected {
            true => {
                outcome.frame();
                assert_eq!(director.state(), ("NONE", 3));
            }
            false => {
                outcome.punt();
                assert!(director.connections(director::model::Family::Ipv4).is_empty());
            }
        }
    }
}

#[test]
fn scheduled_errors_without_a_server_are_dropped() {
    let mut director = TestDirector::new(snapshot(Protocol::Tcp, &[], ForwardMethod::Masq));
    director.change(|snapshot| snapshot.settings.sysctls.schedule_icmp = 1);
    let error = request().icmp_error(3, 1, 0, &answered()).build();
    assert_eq!(director.client(&error).drop(), DropReason::NoDestination);
}

/// An error scheduled for a one-packet service leaves no connection either.
#[test]
fn errors_are_scheduled_for_one_packet_services() {
    let mut director = one(Protocol::Udp, "10.1.0.11:53", ForwardMethod::Route);
    director.change(|snapshot| {
        snapshot.settings.sysctls.schedule_icmp = 1;
        snapshot.edit_service(director::model::ServiceId(0), |spec| spec.one_packet = true);
    });
    let quoted = frame().ipv4(VIP, CLIENT).udp(80, 4000).packet();
    director.client(&request().icmp_error(3, 3, 0, &quoted).build()).frame();
    assert_eq!((director.load(ONLY), director.counters(ONLY).connections), ((0, 0, 0), 1));
}

/// A backup director delivers clients' packets to the host but still translates servers' replies.
#[test]
fn a_backup_translates_replies_only() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Masq);
    let syn = request().tcp(4000, 80).flags(SYN).build();
    director.client(&syn).frame();
    director.change(|snapshot| snapshot.settings.inbound_off = true);
    assert_eq!(director.client(&syn).punt().reason, PuntReason::UnservedPort);
    let error = request().icmp_error(3, 1, 0, &answered()).build();
    assert_eq!(director.client(&error).punt().reason, PuntReason::LocalOther);
    let reply = answer("10.1.0.11").tcp(80, 4000).flags(SYN).build();
    let (_, sent) = director.server(&reply).frame();
    assert_eq!(sent[26..30], [10, 0, 0, 100], "source is the VIP");
}

/// A router's error about a tunnel packet, from the servers' side.
fn about(outer: &[u8]) -> Vec<u8> {
    frame()
        .macs(LAN_MAC, server_mac(11))
        .ipv4("10.1.0.77", "10.1.0.1")
        .icmp_error(3, 1, 0, outer)
        .build()
}

#[test]
fn errors_about_tunnel_packets_belong_to_the_inner_connection() {
    let gue = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None };
    let gre = Tunnel::Gre { checksum: TunnelChecksum::Full };
    for tunnel in [Tunnel::Ipip, gue, gre] {
        let mut director = tunnelled(false, "10.1.0.11:80", tunnel);
        let (_, sent) = director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
        let punt = director.server(&about(&sent[14..])).punt();
        assert_eq!(punt.reason, PuntReason::TunnelIcmp, "{tunnel:?}");
        assert_eq!(punt.destination, Some(ONLY), "{tunnel:?}");
        let counters = director.counters(ONLY);
        assert_eq!(
            (counters.out_packets, counters.out_bytes),
            (1, 40),
            "the inner packet is counted"
        );
        // Without a connection the error is delivered to the host.
        director.pass_s(61);
        assert_eq!(director.server(&about(&sent[14..])).punt().reason, PuntReason::LocalOther);
    }
}

/// An error about the tunnel packet of a removed destination counts as one of the connection only while a listed destination has
/// the same end and encapsulation.
#[test]
fn errors_about_tunnels_of_removed_destinations() {
    let gre = Tunnel::Gre { checksum: TunnelChecksum::None };
    for (other, reason) in [
        (None, PuntReason::LocalOther),
        (Some(("10.1.0.12:80", Tunnel::Ipip)), PuntReason::LocalOther),
        (Some(("10.1.0.11:80", gre)), PuntReason::LocalOther),
        (Some(("10.1.0.11:81", Tunnel::Ipip)), PuntReason::TunnelIcmp),
    ] {
        let mut director = tunnelled(false, "10.1.0.11:80", Tunnel::Ipip);
        let (_, sent) = director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
        director.change(|snapshot| {
            snapshot.remove_destination(ONLY);
            if let Some((at, tunnel)) = other {
                let service = snapshot.service(Protocol::Udp, "10.0.0.100:53", SchedulerKind::Rr);
                let id = snapshot.destination(service, at, ForwardMethod::Tunnel);
                snapshot.edit_destination(id, |spec| spec.tunnel = tunnel);
            }
        });
        assert_eq!(director.server(&about(&sent[14..])).punt().reason, reason, "{other:?}");
        assert_eq!(director.counters(ONLY).out_packets, 0);
    }
}

#[test]
fn errors_about_other_tunnels_are_delivered_to_the_host() {
    let mut director = tunnelled(false, "10.1.0.11:80", Tunnel::Ipip);
    director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
    let inner = frame().ipv4(CLIENT, VIP).tcp(4000, 80).flags(SYN).packet();
    for (end, protocol) in [("10.1.0.12", 4), ("10.1.0.11", 94)] {
        let outer = frame().ipv4("10.1.0.1", end).protocol(protocol).payload(&inner).packet();
        let outcome = director.server(&about(&outer));
        assert_eq!(outcome.punt().reason, PuntReason::LocalOther, "{end} {protocol}");
    }
    assert_eq!(director.counters(ONLY).out_packets, 0);
}

#[test]
fn icmpv6_errors_of_any_type_but_not_in_fragments() {
    let mut director = one(Protocol::Tcp, "[fd00:b::11]:80", ForwardMethod::Route);
    director.client(&request6().tcp(4000, 80).flags(SYN).build()).frame();
    let quoted = frame().ipv6(crate::support::VIP6, crate::scene::CLIENT6).tcp(80, 4000).packet();
    for kind in [1, 2, 3, 4, 100] {
        director.client(&request6().icmp_error(kind, 0, 1280, &quoted).build()).frame();
    }
    let error = request6().identification(7).fragment(0, false).icmp_error(1, 4, 0, &quoted);
    assert_eq!(director.client(&error.build()).drop(), DropReason::BadTransport);
}

#[test]
fn bypassed_connections_expect_replies() {
    use director::model::Family;
    use director::packet::tcp::{ACK, FIN};
    use director::snapshot::Mark;
    let mut snapshot = crate::support::TestSnapshot::new();
    snapshot.mark_service(7, Family::Ipv4, SchedulerKind::Rr);
    snapshot.marks.push(Mark {
        interface: None,
        protocol: Some(6),
        source: None,
        destination: None,
        source_ports: 0..=u16::MAX,
        destination_ports: 80..=80,
        mark: 7,
    });
    snapshot.settings.sysctls.cache_bypass = 1;
    let mut director = TestDirector::new(snapshot);
    let towards = || frame().macs(WAN_MAC, ROUTER_MAC).ipv4(CLIENT, "198.51.100.9").tcp(4000, 80);
    for (flags, state) in [(SYN, "SYN_RECV"), (ACK, "ESTABLISHED"), (FIN | ACK, "CLOSE_WAIT")] {
        director.client(&towards().flags(flags).build()).frame();
        assert_eq!(director.state().0, state);
    }
}
