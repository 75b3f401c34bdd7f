//! Persistence templates: their keys, how they are listed, and when they end.

use crate::scene::{answer, request, request6, server_of, to_client};
use crate::support::{TestDirector, TestSnapshot, VIP, WAN, on};
use director::conn::template::SweepCursor;
use director::model::{
    DestinationId, Family, ForwardMethod, Persistence, PersistenceMask, Protocol, SchedulerKind,
    ServiceId,
};
use director::packet::sctp;
use director::packet::tcp::{ACK, RST, SYN};
use director::reason::PuntReason;
use director::snapshot::Mark;
use director::testing::frame;
use director::worker::TableJob;
use std::time::Duration;

const SERVICE: ServiceId = ServiceId(0);
const MARK: u32 = 7;

/// A persistent round-robin service with servers 10.1.0.11 and up on this port.
fn snapshot(
    protocol: Protocol,
    port: u16,
    servers: u8,
    server_port: u16,
    method: ForwardMethod,
) -> TestSnapshot {
    let mut snapshot = TestSnapshot::new();
    let service = snapshot.service(protocol, &format!("10.0.0.100:{port}"), SchedulerKind::Rr);
    for last in 11..11 + servers {
        snapshot.destination(service, &format!("10.1.0.{last}:{server_port}"), method);
    }
    snapshot.persist(service, 300);
    snapshot
}

/// A service by mark for everything from the WAN, with one server.
fn marked(family: Family, server: &str, method: ForwardMethod) -> TestSnapshot {
    let mut snapshot = TestSnapshot::new();
    let service = snapshot.mark_service(MARK, family, SchedulerKind::Rr);
    snapshot.destination(service, server, method);
    snapshot.marks.push(Mark {
        interface: Some(on(WAN)),
        protocol: None,
        source: None,
        destination: None,
        source_ports: 0..=u16::MAX,
        destination_ports: 0..=u16::MAX,
        mark: MARK,
    });
    snapshot
}

/// Every template: protocol, client, virtual address and port, server (last octet) and port, state, seconds left.
fn templates(director: &TestDirector) -> Vec<String> {
    let (rows, rest) =
        director.shared.templates.rows_from(SweepCursor::default(), 64, director.now);
    assert!(rest.is_none());
    let row = |template: &director::conn::template::Template| {
        let key = &template.key;
        format!(
            "{} {} {} {} -> {}:{} {} {}",
            key.protocol_name(),
            key.client,
            key.virtual_address,
            key.virtual_port,
            11 + template.destination,
            template.destination_port,
            template.state_name(),
            template.remaining(director.now).as_secs()
        )
    };
    let mut rows: Vec<_> = rows.iter().map(|(_, template)| row(template)).collect();
    rows.sort();
    rows
}

fn syn(port: u16) -> Vec<u8> {
    request().tcp(port, 80).flags(SYN).build()
}

/// The server that receives a client's packet.
fn server(director: &mut TestDirector, packet: &[u8]) -> u8 {
    server_of(&director.client(packet).frame().1)
}

/// The port that receives a client's packet.
fn port_of(director: &mut TestDirector, packet: &[u8]) -> u16 {
    let (_, sent) = director.client(packet).frame();
    u16::from_be_bytes([sent[36], sent[37]])
}

#[test]
fn template_keys() {
    let masq = ForwardMethod::Masq;
    let tcp = |port| request().tcp(4000, port).flags(SYN).build();
    let sctp = request().sctp(4000, 80, sctp::INIT).build();
    let cases = [
        (Protocol::Tcp, 80, 8080, tcp(80), "TCP 77.1.2.3 10.0.0.100 80 -> 11:8080 NONE 300"),
        (Protocol::Tcp, 21, 21, tcp(21), "TCP 77.1.2.3 10.0.0.100 0 -> 11:0 NONE 300"),
        (Protocol::Tcp, 21, 21, tcp(40_000), "TCP 77.1.2.3 10.0.0.100 0 -> 11:0 NONE 300"),
        (Protocol::Tcp, 0, 0, tcp(443), "TCP 77.1.2.3 10.0.0.100 0 -> 11:0 NONE 300"),
        (
            Protocol::Udp,
            53,
            53,
            request().udp(4000, 53).build(),
            "UDP 77.1.2.3 10.0.0.100 53 -> 11:53 NONE 300",
        ),
        (Protocol::Sctp, 80, 80, sctp, "SCTP 77.1.2.3 10.0.0.100 80 -> 11:80 NONE 300"),
    ];
    for (protocol, port, server_port, packet, expected) in cases {
        let mut director = TestDirector::new(snapshot(protocol, port, 1, server_port, masq));
        director.client(&packet).frame();
        assert_eq!(templates(&director), [expected]);
    }
    let mut marked_ipv4 = marked(Family::Ipv4, "10.1.0.11:0", ForwardMethod::Route);
    marked_ipv4.persist(SERVICE, 60);
    let mut director = TestDirector::new(marked_ipv4);
    director.client(&syn(4000)).frame();
    director.client(&request().udp(4000, 53).build()).frame();
    assert_eq!(templates(&director), ["IP 77.1.2.3 0.0.0.7 0 -> 11:0 NONE 60"]);
    let mut marked_ipv6 = marked(Family::Ipv6, "[fd00:b::11]:0", ForwardMethod::Route);
    marked_ipv6.persist(SERVICE, 60);
    let mut director = TestDirector::new(marked_ipv6);
    director.client(&request6().tcp(4000, 80).flags(SYN).build()).frame();
    assert_eq!(templates(&director), ["IP 2001:db8::3 0:7:: 0 -> 11:0 NONE 60"]);
}

/// The destination's port of a service by mark is used only without persistence.
#[test]
fn ports_of_marked_destinations() {
    for (timeout_s, expected) in [(None, 8080), (Some(60), 80)] {
        let mut snapshot = marked(Family::Ipv4, "10.1.0.11:8080", ForwardMethod::Masq);
        if let Some(timeout_s) = timeout_s {
            snapshot.persist(SERVICE, timeout_s);
        }
        assert_eq!(port_of(&mut TestDirector::new(snapshot), &syn(4000)), expected);
    }
    let mut director = TestDirector::new(snapshot(Protocol::Tcp, 0, 1, 8080, ForwardMethod::Masq));
    assert_eq!(port_of(&mut director, &syn(4000)), 80);
}

/// A template becomes ASSURED by an established connection, with UDP by a reply through the director.
#[test]
fn when_a_template_becomes_assured() {
    let state = |director: &TestDirector| {
        let rows = templates(director);
        rows[0].split(' ').nth(6).expect("a row has eight words").to_owned()
    };
    for method in [ForwardMethod::Masq, ForwardMethod::Route] {
        let from = if method == ForwardMethod::Masq { "10.1.0.11" } else { "10.0.0.100" };
        let mut director = TestDirector::new(snapshot(Protocol::Tcp, 80, 1, 80, method));
        director.client(&syn(4000)).frame();
        director.client(&syn(4001)).frame();
        assert_eq!(state(&director), "NONE", "{method:?}");
        director.client(&request().tcp(4000, 80).flags(ACK).build()).frame();
        assert_eq!(state(&director), "ASSURED", "{method:?}");

        let mut director = TestDirector::new(snapshot(Protocol::Udp, 80, 1, 80, method));
        for _ in 0..3 {
            director.client(&request().udp(4000, 80).build()).frame();
        }
        assert_eq!(state(&director), "NONE", "{method:?}");
        director.server(&answer(from).udp(80, 4000).build()).frame();
        assert_eq!(state(&director), "ASSURED", "{method:?}");

        let mut director = TestDirector::new(snapshot(Protocol::Sctp, 80, 1, 80, method));
        director.client(&request().sctp(4000, 80, sctp::INIT).build()).frame();
        assert_eq!(state(&director), "NONE", "{method:?}");
        director.server(&answer(from).sctp(80, 4000, sctp::COOKIE_ACK).build()).frame();
        assert_eq!(state(&director), "ASSURED", "{method:?}");
    }
}

/// A template invalidated by `expire_quiescent_template` is listed with port 65535 until its timer expires.
#[test]
fn invalidated_templates_are_listed_until_they_expire() {
    let mut director = TestDirector::new(snapshot(Protocol::Tcp, 80, 2, 80, ForwardMethod::Route));
    assert_eq!(server(&mut director, &syn(4000)), 12);
    director.pass_s(10);
    director.change(|snapshot| {
        snapshot.settings.sysctls.expire_quiescent_template = 1;
        snapshot.edit_destination(DestinationId(1), |spec| spec.weight = 0);
    });
    assert_eq!(server(&mut director, &syn(4001)), 11);
    let expected = [
        "TCP 77.1.2.3 10.0.0.100 65535 -> 12:65535 NONE 290",
        "TCP 77.1.2.3 10.0.0.100 80 -> 11:80 NONE 300",
    ];
    assert_eq!(templates(&director), expected);
    assert_eq!(server(&mut director, &request().tcp(4000, 80).flags(ACK).build()), 12);
    assert_eq!(director.load(DestinationId(1)), (1, 0, 1));
    // Its connection is established and lasts 900 s; the template lives as long.
    director.pass_s(295);
    let expected = "TCP 77.1.2.3 10.0.0.100 65535 -> 12:65535 ASSURED 55";
    assert_eq!(templates(&director)[0], expected);
}

/// A template that expires while it has connections is extended by one minute at a time, whatever the service's
/// timeout.
#[test]
fn a_template_with_connections_is_extended_by_minutes() {
    let mut snapshot = snapshot(Protocol::Udp, 80, 1, 80, ForwardMethod::Route);
    snapshot.persist(SERVICE, 3);
    snapshot.settings.timeouts.udp = 100;
    let mut director = TestDirector::new(snapshot);
    director.client(&request().udp(4000, 80).build()).frame();
    director.pass(Duration::from_millis(3600));
    assert_eq!(templates(&director), ["UDP 77.1.2.3 10.0.0.100 80 -> 11:80 NONE 59"]);
    director.change(|snapshot| snapshot.persist(SERVICE, 300));
    director.pass_s(10);
    director.client(&request().udp(4001, 80).build()).frame();
    director.pass_s(1);
    assert_eq!(templates(&director), ["UDP 77.1.2.3 10.0.0.100 80 -> 11:80 NONE 59"]);
    // The last connection ends after 100 s, the template at the end of its second minute.
    director.pass_s(118);
    assert_eq!(templates(&director).len(), 1);
    director.pass_s(2);
    assert!(templates(&director).is_empty());
}

/// A changed timeout applies to new templates only; with another netmask the old templates are not found.
#[test]
fn edits_apply_to_new_templates() {
    let mut director = TestDirector::new(snapshot(Protocol::Tcp, 80, 2, 80, ForwardMethod::Route));
    let of = |last: u8, port| {
        frame().ipv4(&*format!("77.1.2.{last}"), VIP).tcp(port, 80).flags(SYN).build()
    };
    let edit = |director: &mut TestDirector, mask: [u8; 4], timeout_s| {
        director.change(|snapshot| {
            snapshot.edit_service(SERVICE, |spec| {
                let mask = PersistenceMask::Ipv4(mask.into());
                spec.persistence = Some(Persistence { timeout_s, mask });
            });
        });
    };
    edit(&mut director, [255, 255, 255, 0], 100);
    assert_eq!([1, 2].map(|last| server(&mut director, &of(last, 4000))), [12, 12]);
    edit(&mut director, [255, 255, 255, 0], 200);
    assert_eq!(server(&mut director, &of(3, 4000)), 12);
    assert_eq!(templates(&director), ["TCP 77.1.2.0 10.0.0.100 80 -> 12:80 NONE 100"]);
    edit(&mut director, [255; 4], 200);
    assert_eq!([1, 2].map(|last| server(&mut director, &of(last, 4001))), [11, 12]);
    let expected = [
        "TCP 77.1.2.0 10.0.0.100 80 -> 12:80 NONE 100",
        "TCP 77.1.2.1 10.0.0.100 80 -> 11:80 NONE 200",
        "TCP 77.1.2.2 10.0.0.100 80 -> 12:80 NONE 200",
    ];
    assert_eq!(templates(&director), expected);
    // Without persistence templates are not used.
    director.change(|snapshot| snapshot.edit_service(SERVICE, |spec| spec.persistence = None));
    assert_eq!([4002, 4003].map(|port| server(&mut director, &of(1, port))), [11, 12]);
}

/// A client keeps its server even at the upper threshold; other clients are not sent there.
#[test]
fn templates_ignore_thresholds() {
    let mut director = TestDirector::new(snapshot(Protocol::Tcp, 80, 1, 80, ForwardMethod::Route));
    director.change(|snapshot| {
        snapshot.edit_destination(DestinationId(0), |spec| spec.upper_threshold = 1);
    });
    for port in 4000..4003 {
        assert_eq!(server(&mut director, &syn(port)), 11);
    }
    let other = frame().ipv4("77.9.9.9", VIP).tcp(4000, 80).flags(SYN).build();
    assert_eq!(director.client(&other).punt().reason, PuntReason::NoDestination);
    assert_eq!(director.load(DestinationId(0)), (3, 0, 1));
}

/// A SYN never replaces a connection with a template; it continues the closed one.
#[test]
fn connections_with_a_template_are_not_replaced() {
    for (timeout_s, connections) in [(None, 2), (Some(300), 1)] {
        let mut snapshot = snapshot(Protocol::Tcp, 80, 1, 80, ForwardMethod::Route);
        if timeout_s.is_none() {
            snapshot.edit_service(SERVICE, |spec| spec.persistence = None);
        }
        let mut director = TestDirector::new(snapshot);
        for flags in [SYN, ACK, RST] {
            director.client(&request().tcp(4000, 80).flags(flags).build()).frame();
        }
        assert_eq!(director.state(), ("CLOSE", 10));
        director.client(&syn(4000)).frame();
        assert_eq!(director.state(), ("SYN_RECV", 60));
        assert_eq!(director.counters(DestinationId(0)).connections, connections);
    }
}

/// One-packet scheduling with persistence: a template keeps one server, there are no connections, and replies are not
/// translated.
#[test]
fn one_packet_with_persistence() {
    let mut snapshot = snapshot(Protocol::Udp, 80, 2, 80, ForwardMethod::Masq);
    snapshot.edit_service(SERVICE, |spec| spec.one_packet = true);
    let mut director = TestDirector::new(snapshot);
    for port in 4000..4003 {
        assert_eq!(server(&mut director, &request().udp(port, 80).build()), 12);
        director.pass_s(1);
    }
    assert!(director.connections(Family::Ipv4).is_empty());
    assert_eq!(director.load(DestinationId(1)), (0, 0, 1));
    assert_eq!(director.counters(DestinationId(1)).connections, 3);
    assert_eq!(templates(&director), ["UDP 77.1.2.3 10.0.0.100 80 -> 12:80 NONE 299"]);
    let (_, sent) = director.server(&answer("10.1.0.12").udp(80, 4000).build()).frame();
    assert_eq!(sent, to_client("10.1.0.12").ttl(63).udp(80, 4000).build());
    director.pass_s(300);
    assert!(templates(&director).is_empty());
}

/// With `expire_nodest_conn` the sweep removes the connections of a removed server, and their template with the last
/// one.
#[test]
fn a_removed_servers_template_ends_with_its_connections() {
    let mut director = TestDirector::new(snapshot(Protocol::Tcp, 80, 1, 80, ForwardMethod::Route));
    director.client(&syn(4000)).frame();
    director.client(&request().tcp(4000, 80).flags(ACK).build()).frame();
    director.client(&syn(4001)).frame();
    director.change(|snapshot| {
        snapshot.settings.sysctls.expire_nodest_conn = 1;
        snapshot.remove_destination(DestinationId(0));
    });
    director.job(0, TableJob::SweepRemoved { family: Family::Ipv4, cursor: 0 });
    assert!(director.connections(Family::Ipv4).is_empty());
    assert!(templates(&director).is_empty());
    assert_eq!(director.load(DestinationId(0)), (0, 0, 0));
}
