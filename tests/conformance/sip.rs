//! `--pe sip`: persistence by SIP call.

use crate::scene::{ONLY, answer, request, server_of, to_client};
use crate::support::{TestDirector, TestSnapshot, VIP};
use director::model::{ForwardMethod, Protocol, SchedulerKind, ServiceId};
use director::reason::DropReason;
use director::testing::PacketBuilder;

const SERVICE: ServiceId = ServiceId(0);

fn director(protocol: Protocol, method: ForwardMethod) -> TestDirector {
    let mut snapshot = TestSnapshot::new();
    let service = snapshot.service(protocol, "10.0.0.100:5060", SchedulerKind::Rr);
    for last in 11..14 {
        snapshot.destination(service, &format!("10.1.0.{last}:5060"), method);
    }
    snapshot.persist(service, 300);
    snapshot.edit_service(service, |spec| spec.persistence_engine = Some("sip".to_owned()));
    TestDirector::new(snapshot)
}

fn message(call: &str) -> String {
    format!("INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: {call}\r\n\r\n")
}

fn invite(port: u16, call: &str) -> PacketBuilder<u32> {
    request().udp(port, 5060).payload(message(call))
}

#[test]
fn a_call_keeps_its_server() {
    let mut director = director(Protocol::Udp, ForwardMethod::Route);
    let mut server =
        |port, call| server_of(&director.client(&invite(port, call).build()).frame().1);
    assert_eq!([server(4000, "one@host"), server(4001, "two@host")], [13, 12]);
    assert_eq!([server(4002, "two@host"), server(4003, "one@host")], [12, 13]);
}

#[test]
fn packets_without_a_call_id_are_dropped() {
    let mut director = director(Protocol::Udp, ForwardMethod::Route);
    for payload in
        ["", "OPTIONS sip:a SIP/2.0\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\nCall-ID: a b\r\n"]
    {
        let outcome = director.client(&request().udp(4000, 5060).payload(payload).build());
        assert_eq!(outcome.drop(), DropReason::NoCallId, "{payload:?}");
    }
    let mut director = self::director(Protocol::Tcp, ForwardMethod::Route);
    let syn = request().tcp(4000, 5060).flags(2).payload(message("one")).build();
    assert_eq!(director.client(&syn).drop(), DropReason::NoCallId);
}

/// A server opens a call: its packet leaves with the VIP as source, and the reply reaches the server.
#[test]
fn servers_open_calls() {
    for one_packet in [false, true] {
        let mut director = director(Protocol::Udp, ForwardMethod::Masq);
        director
            .change(|snapshot| snapshot.edit_service(SERVICE, |spec| spec.one_packet = one_packet));
        let sent =
            director.server(&answer("10.1.0.11").udp(5060, 7000).payload(message("x")).build());
        let expected = to_client(VIP).ttl(63).udp(5060, 7000).payload(message("x")).build();
        assert_eq!(sent.frame().1, expected, "one packet: {one_packet}");
        let (_, sent) = director.client(&invite(7000, "x").build()).frame();
        assert_eq!(server_of(&sent), 11, "found by its connection or its template");
        let counters = director.counters(ONLY);
        assert_eq!((counters.out_packets, counters.in_packets), (1, 1));
        assert_eq!(director.load(ONLY), (0, u32::from(!one_packet), 1));
    }
}

#[test]
fn only_calls_from_the_services_servers_are_translated() {
    let mut director = director(Protocol::Udp, ForwardMethod::Masq);
    for (port, payload) in [(5061, message("x")), (5060, "no call".to_owned())] {
        let packet = answer("10.1.0.11").udp(port, 7000).payload(&payload);
        let expected = to_client("10.1.0.11").ttl(63).udp(port, 7000).payload(&payload).build();
        assert_eq!(director.server(&packet.build()).frame().1, expected);
    }
}

/// The client has a connection to one server, and another server calls it: its packets go to the newest.
#[test]
fn a_clients_packets_go_to_the_server_that_called_last() {
    let mut director = director(Protocol::Udp, ForwardMethod::Masq);
    let (_, sent) = director.client(&invite(7000, "x").build()).frame();
    let first = server_of(&sent);
    let call = |last: u8| answer(&format!("10.1.0.{last}")).udp(5060, 7000).payload(message("y"));
    let sent_to = |director: &mut TestDirector| {
        server_of(
            &director.client(&request().udp(7000, 5060).payload(message("x")).build()).frame().1,
        )
    };
    for last in [11, 12, 13] {
        let sent = director.server(&call(last).build()).frame().1;
        let expected = to_client(VIP).ttl(63).udp(5060, 7000).payload(message("y")).build();
        assert_eq!(sent, expected, "{last}");
        let expected = if last == first { first } else { last };
        if last != first {
            assert_eq!(sent_to(&mut director), expected);
        }
    }
    // Each server's replies still belong to its own connection.
    for last in [11, 12, 13] {
        let expected = to_client(VIP).ttl(63).udp(5060, 7000).payload(message("y")).build();
        assert_eq!(director.server(&call(last).build()).frame().1, expected);
    }
}
