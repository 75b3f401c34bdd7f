//! Persistence: templates keep a client on its server. One-packet scheduling keeps no state.

use crate::scene::*;
use crate::support::director::Shape;
use crate::support::{LAN, TestDirector, VIP, WAN, on};
use director::model::{
    DestinationId, Family, ForwardMethod, Persistence, PersistenceMask, Protocol, ServiceId,
};
use director::packet::tcp::SYN;
use director::reason::PuntReason;
use director::snapshot::{Mark, MarkPrefix};
use director::testing::frame;
use std::net::Ipv4Addr;

const SERVERS: [&str; 3] = ["10.1.0.11:80", "10.1.0.12:80", "10.1.0.13:80"];

fn persistent(mask: Ipv4Addr, timeout_s: u32) -> TestDirector {
    let mut snapshot = snapshot(Protocol::Tcp, &SERVERS, ForwardMethod::Route);
    snapshot.edit_service(ServiceId(0), |spec| {
        let mask = PersistenceMask::Ipv4(mask);
        spec.persistence = Some(Persistence { timeout_s, mask });
    });
    TestDirector::new(snapshot)
}

/// The server that receives a SYN of this client.
fn server(director: &mut TestDirector, client: &str, port: u16) -> u8 {
    let syn = frame().ipv4(client, VIP).tcp(port, 80).flags(SYN).build();
    server_of(&director.client(&syn).frame().1)
}

fn persistent_count(director: &TestDirector) -> u32 {
    (0..3).map(|id| director.load(DestinationId(id)).2).sum()
}

#[test]
fn a_client_keeps_its_server() {
    let mut director = persistent(Ipv4Addr::BROADCAST, 300);
    let first = server(&mut director, "77.0.0.1", 1000);
    let other = server(&mut director, "77.0.0.2", 1000);
    assert_ne!(first, other);
    for port in 1001..1010 {
        assert_eq!(server(&mut director, "77.0.0.1", port), first);
    }
    assert_eq!(persistent_count(&director), 2);
    assert_eq!(director.shared.templates.len(), 2);
}

#[test]
fn a_netmask_groups_clients() {
    let mut director = persistent(Ipv4Addr::new(255, 255, 255, 0), 300);
    let first = server(&mut director, "77.0.0.1", 1000);
    assert_eq!(server(&mut director, "77.0.0.250", 1000), first);
    assert_ne!(server(&mut director, "77.0.1.1", 1000), first);
    let mut director = persistent(Ipv4Addr::UNSPECIFIED, 300);
    let first = server(&mut director, "77.0.0.1", 1000);
    assert_eq!(server(&mut director, "99.0.0.1", 1000), first);
}

/// Clients stay on a quiesced server, unless expire_quiescent_template is set. They leave a removed server.
#[test]
fn quiesced_and_removed_servers() {
    for (setting, stays) in [(0, true), (1, false)] {
        let mut director = persistent(Ipv4Addr::BROADCAST, 300);
        director.change(|snapshot| snapshot.settings.sysctls.expire_quiescent_template = setting);
        let first = server(&mut director, "77.0.0.1", 1000);
        let id = DestinationId(u32::from(first) - 11);
        director.change(|snapshot| snapshot.edit_destination(id, |spec| spec.weight = 0));
        assert_eq!(server(&mut director, "77.0.0.1", 1001) == first, stays, "{setting}");
    }
    let mut director = persistent(Ipv4Addr::BROADCAST, 300);
    let first = server(&mut director, "77.0.0.1", 1000);
    let id = DestinationId(u32::from(first) - 11);
    director.change(|snapshot| snapshot.remove_destination(id));
    let second = server(&mut director, "77.0.0.1", 1001);
    assert_ne!(second, first);
    assert_eq!(server(&mut director, "77.0.0.1", 1002), second);
}

/// A persistent service with port 0 takes every port without a service of its own, and keeps the port and the server.
#[test]
fn port_zero() {
    let mut snapshot = crate::support::TestSnapshot::new();
    let any = snapshot.service(Protocol::Tcp, "10.0.0.100:0", director::model::SchedulerKind::Rr);
    snapshot.persist(any, 300);
    snapshot.destination(any, "10.1.0.11:0", ForwardMethod::Masq);
    snapshot.destination(any, "10.1.0.12:0", ForwardMethod::Masq);
    let mut director = TestDirector::new(snapshot);
    let send = |director: &mut TestDirector, port| {
        let (_, sent) = director.client(&request().tcp(3000, port).flags(SYN).build()).frame();
        (server_of(&sent), u16::from_be_bytes([sent[36], sent[37]]))
    };
    let (first, port) = send(&mut director, 80);
    assert_eq!(port, 80);
    assert_eq!(send(&mut director, 443), (first, 443));
    assert_eq!(send(&mut director, 9), (first, 9));
}

/// Packets with forged sources to a UDP service fill its templates. A client that has sent a second packet keeps its own,
/// and a new client gets one.
#[test]
fn a_flood_of_udp_replaces_its_own_templates() {
    let mut snapshot = snapshot(Protocol::Udp, &SERVERS, ForwardMethod::Route);
    let mask = PersistenceMask::Ipv4(Ipv4Addr::BROADCAST);
    snapshot.edit_service(ServiceId(0), |spec| {
        spec.persistence = Some(Persistence { timeout_s: 300, mask });
    });
    // Enough that each part of the table has templates that can be replaced.
    let shape = Shape { templates: 2048, connections: 1 << 14, ..Shape::default() };
    let mut director = TestDirector::shaped(snapshot, shape);
    let mut send = |client: u32, port| {
        let packet = frame().ipv4(client, VIP).udp(port, 80).build();
        let before = director.shared.counters[0].full_path.get();
        let server = server_of(&director.client(&packet).frame().1);
        (server, director.shared.counters[0].full_path.get() - before)
    };
    const CLIENT: u32 = 0x4d01_0203;
    let (server, _) = send(CLIENT, 3000);
    assert_eq!([send(CLIENT, 3000), send(CLIENT, 3000)], [(server, 1), (server, 0)]);
    for stranger in 0..10_000 {
        send(0x0900_0000 + stranger, 4000);
    }
    for port in 3001..3010 {
        assert_eq!(send(CLIENT, port).0, server);
    }
}

/// A service by mark sends TCP, UDP and all addresses with the mark to one server.
#[test]
fn a_marks_service() {
    let mut snapshot = crate::support::TestSnapshot::new();
    let marked = snapshot.mark_service(7, Family::Ipv4, director::model::SchedulerKind::Rr);
    snapshot.persist(marked, 300);
    for server in SERVERS {
        snapshot.destination(marked, &server.replace(":80", ":0"), ForwardMethod::Route);
    }
    let network = MarkPrefix { address: 0x0a09_0000, length: 16, is_ipv6: false };
    snapshot.marks.push(Mark {
        interface: Some(on(WAN)),
        protocol: None,
        source: None,
        destination: Some(network),
        source_ports: 0..=u16::MAX,
        destination_ports: 1..=1000,
        mark: 7,
    });
    let mut director = TestDirector::new(snapshot);
    let to =
        |director: &mut TestDirector, bytes: Vec<u8>| server_of(&director.client(&bytes).frame().1);
    let start = |to: &str| frame().ipv4(CLIENT, to);
    let first = to(&mut director, start("10.9.0.1").tcp(1, 80).flags(SYN).build());
    assert_eq!(to(&mut director, start("10.9.0.1").udp(1, 53).build()), first);
    assert_eq!(to(&mut director, start("10.9.7.7").tcp(1, 443).flags(SYN).build()), first);
    // Without the mark it is routed, here back to the router.
    let outcome = director.client(&start("10.9.0.1").tcp(1, 2000).flags(SYN).build());
    assert_eq!(outcome.frame().0, WAN);
    assert_eq!(director.shared.templates.len(), 1);
}

/// Every datagram is scheduled and counted without a connection; its reply is routed untranslated.
#[test]
fn one_packet() {
    let mut snapshot =
        snapshot(Protocol::Udp, &["10.1.0.11:53", "10.1.0.12:53"], ForwardMethod::Masq);
    snapshot.edit_service(ServiceId(0), |spec| spec.one_packet = true);
    let mut director = TestDirector::new(snapshot);
    let query = request().udp(3000, 80).payload("q").build();
    let to: Vec<u8> = (0..4).map(|_| server_of(&director.client(&query).frame().1)).collect();
    assert_eq!(to, [12, 11, 12, 11]);
    assert!(director.connections(Family::Ipv4).is_empty());
    for id in [0, 1].map(DestinationId) {
        assert_eq!((director.load(id), director.counters(id).connections), ((0, 0, 0), 2));
    }
    let sent = director.server(&answer(SERVER).udp(53, 3000).build()).frame();
    assert_eq!(sent, (WAN, to_client(SERVER).ttl(63).udp(53, 3000).build()));
}

#[test]
fn ipv6_by_prefix() {
    let servers = ["[fd00:b::11]:80", "[fd00:b::12]:80"];
    let mut snapshot = snapshot(Protocol::Tcp, &servers, ForwardMethod::Route);
    snapshot.edit_service(ServiceId(0), |spec| {
        let mask = PersistenceMask::Ipv6(64);
        spec.persistence = Some(Persistence { timeout_s: 60, mask });
    });
    let mut director = TestDirector::new(snapshot);
    let mut server = |client: &str| {
        let syn = frame().ipv6(client, crate::support::VIP6).tcp(1, 80).flags(SYN).build();
        let (port, sent) = director.client(&syn).frame();
        assert_eq!(port, LAN);
        server_of(&sent)
    };
    let first = server("2001:db8::1");
    assert_eq!(server("2001:db8::ffff:1"), first);
    assert_ne!(server("2001:db8:0:1::1"), first);
}

#[test]
fn no_template_without_a_usable_server() {
    let mut director = persistent(Ipv4Addr::BROADCAST, 300);
    director.change(|snapshot| {
        for id in 0..3 {
            snapshot.edit_destination(DestinationId(id), |spec| spec.weight = 0);
        }
    });
    let punt = director.client(&request().tcp(1, 80).flags(SYN).build()).punt();
    assert_eq!(punt.reason, PuntReason::NoDestination);
    assert_eq!((director.shared.templates.len(), persistent_count(&director)), (0, 0));
}
