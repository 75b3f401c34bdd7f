//! Templates: what they are known by, what listings show of them, and when they end.

use crate::scene::{answer, request, request6, server_of, to_client};
use crate::support::{TestDirector, TestSnapshot, VIP, WAN, on};
use director::conn::template::Cursor;
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

/// A persistent service, of rr, with servers 10.1.0.11 and up at this port of theirs.
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

/// A service of everything from outside, with one server.
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

/// Every template: protocol, client, virtual end, server (last octet) and its port, state, whole seconds left.
fn templates(director: &TestDirector) -> Vec<String> {
    let (rows, rest) = director.shared.templates.rows_from(Cursor::default(), 64, director.now);
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

/// The server that a client's packet goes to.
fn server(director: &mut TestDirector, packet: &[u8]) -> u8 {
    server_of(&director.client(packet).frame().1)
}

/// The port that a client's packet goes to.
fn port_of(director: &mut TestDirector, packet: &[u8]) -> u16 {
    let (_, sent) = director.client(packet).frame();
    u16::from_be_bytes([sent[36], sent[37]])
}

#[test]
fn what_they_are_known_by() {
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

/// The port of a marked service's destination counts without persistence only.
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

/// A template is assured by a connection that was established, of UDP by one that was answered in the director's sight.
#[test]
fn what_assures_them() {
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

/// Given up by `expire_quiescent_template` it is still listed, under ports nobody asks for, until its time is over.
#[test]
fn invalidated_ones_are_listed_to_their_end() {
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
    // That connection is established now and lasts 900 s; the template it was made by lasts as long.
    director.pass_s(295);
    let expected = "TCP 77.1.2.3 10.0.0.100 65535 -> 12:65535 ASSURED 55";
    assert_eq!(templates(&director)[0], expected);
}

/// A template that reached its end while a connection lived by it goes on by minutes, whatever the service says by then.
#[test]
fn one_that_outlived_its_time_goes_on_by_minutes() {
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
    // The last connection ends 100 s after its packet, the template at the end of its second minute.
    director.pass_s(118);
    assert_eq!(templates(&director).len(), 1);
    director.pass_s(2);
    assert!(templates(&director).is_empty());
}

/// An edit of the service is for templates to come; another mask does not find the old ones.
#[test]
fn edits_are_for_templates_to_come() {
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
    // Without persistence they are not asked.
    director.change(|snapshot| snapshot.edit_service(SERVICE, |spec| spec.persistence = None));
    assert_eq!([4002, 4003].map(|port| server(&mut director, &of(1, port))), [11, 12]);
}

/// A client keeps its server though that is at its upper threshold; others do not get it.
#[test]
fn thresholds_are_for_others() {
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

/// What lives by a template is never begun anew: a SYN takes the closed connection up again.
#[test]
fn their_connections_are_not_replaced() {
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

/// One-packet scheduling with persistence: one server, a template that counts, no connection, answers as they are.
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

/// With `expire_nodest_conn` the connections of a removed server go, and the template with the last of them.
#[test]
fn a_removed_servers_template_goes_with_its_connections() {
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
