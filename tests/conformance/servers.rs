//! Packets from servers that belong to no connection.

use crate::scene::{CLIENT, one, to_client};
use crate::support::{LAN_MAC, TestDirector, TestSnapshot, server_mac};
use director::model::{Family, ForwardMethod, Protocol, SchedulerKind};
use director::packet::tcp::{ACK, RST};
use director::packet::{Parse, sctp};
use director::reason::PuntReason;
use director::testing::{PacketBuilder, frame};

fn from_server() -> PacketBuilder<u32> {
    frame().macs(LAN_MAC, server_mac(11)).ipv4("10.1.0.11", CLIENT)
}

#[test]
fn nat_icmp_send_answers_a_nat_server() {
    for (nat_icmp_send, flags, told) in [(0, ACK, false), (1, ACK, true), (1, RST | ACK, false)] {
        let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Masq);
        director.change(|snapshot| snapshot.settings.sysctls.nat_icmp_send = nat_icmp_send);
        let outcome = director.server(&from_server().tcp(80, 4000).flags(flags).build());
        match told {
            true => {
                let punt = outcome.punt();
                assert_eq!(punt.reason, PuntReason::NatIcmpSend);
                // The TTL was decremented before.
                assert_eq!(u32::parse(&punt.frame[14..]).unwrap().ttl, 63);
            }
            false => {
                let expected = to_client("10.1.0.11").ttl(63).tcp(80, 4000).flags(flags).build();
                assert_eq!(outcome.frame().1, expected);
            }
        }
    }
}

#[test]
fn nat_icmp_send_needs_address_port_and_protocol_of_a_server() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Masq);
    director.change(|snapshot| snapshot.settings.sysctls.nat_icmp_send = 1);
    director.server(&from_server().tcp(81, 4000).flags(ACK).build()).frame();
    director.server(&from_server().udp(80, 4000).build()).frame();

    let mut snapshot = TestSnapshot::new();
    let service = snapshot.mark_service(7, Family::Ipv4, SchedulerKind::Rr);
    snapshot.destination(service, "10.1.0.11:0", ForwardMethod::Masq);
    snapshot.settings.sysctls.nat_icmp_send = 1;
    let mut director = TestDirector::new(snapshot);
    director.server(&from_server().tcp(80, 4000).flags(ACK).build()).frame();
}

#[test]
fn an_sctp_abort_is_never_answered() {
    for (chunk, told) in [(sctp::DATA, true), (sctp::ABORT, false)] {
        let mut director = one(Protocol::Sctp, "10.1.0.11:80", ForwardMethod::Masq);
        director.change(|snapshot| snapshot.settings.sysctls.nat_icmp_send = 1);
        let outcome = director.server(&from_server().sctp(80, 4000, chunk).build());
        assert_eq!(outcome.punts.len(), usize::from(told));
        assert_eq!(outcome.sent.len(), usize::from(!told));
    }
}

/// The TTL is checked before `nat_icmp_send`.
#[test]
fn an_expired_ttl_comes_before_nat_icmp_send() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Masq);
    director.change(|snapshot| snapshot.settings.sysctls.nat_icmp_send = 1);
    let punt = director.server(&from_server().ttl(1).tcp(80, 4000).flags(ACK).build()).punt();
    assert_eq!(punt.reason, PuntReason::TtlExpired);
}
