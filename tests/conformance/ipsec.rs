//! AH and ESP follow the IKE connection between the same hosts.

use crate::scene::{ONLY, answer, one, request, to_client, to_server};
use crate::support::VIP;
use director::model::{ForwardMethod, Protocol, SchedulerKind};
use director::reason::PuntReason;
use director::testing::PacketBuilder;

const AH: u8 = 51;
const ESP: u8 = 50;

/// A director with an IKE service and one IKE connection.
fn exchanged(method: ForwardMethod) -> crate::support::TestDirector {
    let mut director = one(Protocol::Tcp, "10.1.0.12:80", ForwardMethod::Route);
    director.change(|snapshot| {
        let service = snapshot.service(Protocol::Udp, "10.0.0.100:500", SchedulerKind::Rr);
        snapshot.destination(service, "10.1.0.11:500", method);
    });
    director.client(&request().udp(500, 500).payload("IKE").build()).frame();
    director
}

fn secured(packet: PacketBuilder<u32>, protocol: u8) -> PacketBuilder<u32> {
    packet.protocol(protocol).payload("sequence and secret")
}

#[test]
fn ah_and_esp_follow_the_ike_connection() {
    for protocol in [AH, ESP] {
        let mut director = exchanged(ForwardMethod::Route);
        let sent = director.client(&secured(request(), protocol).build()).frame().1;
        assert_eq!(sent, secured(to_server(VIP).ttl(63), protocol).build());
        let mut director = exchanged(ForwardMethod::Masq);
        let sent = director.client(&secured(request(), protocol).build()).frame().1;
        assert_eq!(sent, secured(to_server("10.1.0.11").ttl(63), protocol).build());
        let sent = director.server(&secured(answer("10.1.0.11"), protocol).build()).frame().1;
        assert_eq!(sent, secured(to_client(VIP).ttl(63), protocol).build());
    }
}

#[test]
fn esp_restarts_the_timer_of_the_ike_connection() {
    let mut director = exchanged(ForwardMethod::Masq);
    director.pass_s(200);
    director.client(&secured(request(), ESP).build()).frame();
    director.pass_s(200);
    assert_eq!(director.state(), ("UDP", 100));
}

#[test]
fn esp_without_an_ike_connection_is_delivered_to_the_host() {
    let mut director = one(Protocol::Udp, "10.1.0.11:500", ForwardMethod::Route);
    let punt = director.client(&secured(request(), ESP).build()).punt();
    assert_eq!(punt.reason, PuntReason::UnservedPort);
    assert_eq!(director.counters(ONLY).in_packets, 0);
}

/// An error that quotes AH or ESP belongs to the IKE connection; only addresses are translated.
#[test]
fn errors_about_ah_and_esp_follow_the_ike_connection() {
    for protocol in [AH, ESP] {
        let mut director = exchanged(ForwardMethod::Masq);
        let seen = secured(to_server("10.1.0.11").ttl(61), protocol).packet();
        let told = secured(to_server(VIP).ttl(61), protocol).packet();
        let sent = director.server(&answer("10.1.0.12").icmp_error(3, 4, 900, &seen).build());
        let expected = to_client(VIP).ttl(63).icmp_error(3, 4, 900, &told).build();
        assert_eq!(sent.frame().1, expected, "{protocol}");

        let seen = secured(to_client(VIP).ttl(50), protocol).packet();
        let told = secured(to_client("10.1.0.11").ttl(50), protocol).packet();
        let sent = director.client(&request().icmp_error(11, 0, 0, &seen).build());
        let expected = to_server("10.1.0.11").ttl(63).icmp_error(11, 0, 0, &told).build();
        assert_eq!(sent.frame().1, expected, "{protocol}");
    }
}

/// An error that quotes ESP never creates a connection.
#[test]
fn errors_about_esp_are_not_scheduled() {
    let mut director = one(Protocol::Udp, "10.1.0.11:500", ForwardMethod::Route);
    director.change(|snapshot| {
        snapshot.settings.sysctls.schedule_icmp = 1;
        let service = snapshot.service(Protocol::Udp, "10.0.0.100:500", SchedulerKind::Rr);
        snapshot.destination(service, "10.1.0.11:500", ForwardMethod::Route);
    });
    let seen = secured(to_client(VIP), ESP).packet();
    let punt = director.client(&request().icmp_error(3, 4, 900, &seen).build()).punt();
    assert_eq!(punt.reason, PuntReason::LocalOther);
}
