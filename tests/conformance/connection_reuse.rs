//! A SYN that replaces an old connection.

use crate::scene::{answer, request, server_of};
use crate::support::{TestDirector, TestSnapshot};
use director::model::{ForwardMethod, Protocol, SchedulerKind};
use director::packet::tcp::{ACK, FIN, RST, SYN};
use director::reason::PuntReason;

fn snapshot(kind: SchedulerKind, method: ForwardMethod, servers: u8) -> TestSnapshot {
    let mut snapshot = TestSnapshot::new();
    let service = snapshot.service(Protocol::Tcp, "10.0.0.100:80", kind);
    for last in 11..11 + servers {
        snapshot.destination(service, &format!("10.1.0.{last}:80"), method);
    }
    snapshot
}

fn segment(port: u16, flags: u8) -> Vec<u8> {
    request().tcp(port, 80).flags(flags).build()
}

/// The kernel ends the old connection by its timer one tick later, so it still counts while the new one is scheduled.
#[test]
fn the_old_connection_counts_while_the_new_one_is_scheduled() {
    let mut director = TestDirector::new(snapshot(SchedulerKind::Wlc, ForwardMethod::Masq, 2));
    let (_, sent) = director.client(&segment(4000, SYN)).frame();
    assert_eq!(server_of(&sent), 12, "round robin starts with the newest");
    director.server(&answer("10.1.0.12").tcp(80, 4000).flags(RST | ACK).build()).frame();
    assert_eq!(director.state(), ("CLOSE", 10));
    let (_, sent) = director.client(&segment(4000, SYN)).frame();
    assert_eq!(server_of(&sent), 11, "the closed connection still counts");
    assert_eq!(director.state(), ("SYN_RECV", 60));
}

#[test]
fn the_old_connection_counts_for_the_upper_threshold() {
    let mut snapshot = snapshot(SchedulerKind::Rr, ForwardMethod::Masq, 1);
    snapshot.edit_destination(crate::scene::ONLY, |spec| spec.upper_threshold = 1);
    let mut director = TestDirector::new(snapshot);
    director.client(&segment(4000, SYN)).frame();
    director.server(&answer("10.1.0.11").tcp(80, 4000).flags(RST | ACK).build()).frame();
    let punt = director.client(&segment(4000, SYN)).punt();
    assert_eq!(punt.reason, PuntReason::NoDestination);
    // Afterwards the old connection is gone.
    assert_eq!(director.load(crate::scene::ONLY), (0, 0, 0));
    director.client(&segment(4000, SYN)).frame();
}

/// Mode, packets before the SYN (sent by the client or the server), method, and if the SYN opens a new connection.
#[test]
fn conn_reuse_mode() {
    const CLOSED: &[(bool, u8)] = &[(true, SYN), (false, RST | ACK)];
    const FIN_WAIT: &[(bool, u8)] = &[(true, SYN), (true, ACK), (true, FIN | ACK)];
    for (mode, packets, method, expected) in [
        (0, CLOSED, ForwardMethod::Masq, false),
        (1, CLOSED, ForwardMethod::Masq, true),
        (2, CLOSED, ForwardMethod::Masq, true),
        (3, CLOSED, ForwardMethod::Masq, true),
        (0, FIN_WAIT, ForwardMethod::Route, false),
        (1, FIN_WAIT, ForwardMethod::Route, false),
        (2, FIN_WAIT, ForwardMethod::Route, true),
        (3, FIN_WAIT, ForwardMethod::Route, true),
        // With NAT the state is CLOSE_WAIT, which no mode replaces.
        (3, FIN_WAIT, ForwardMethod::Masq, false),
    ] {
        let mut director = TestDirector::new(snapshot(SchedulerKind::Rr, method, 2));
        director.change(|snapshot| snapshot.settings.sysctls.conn_reuse_mode = mode);
        for &(is_client, flags) in packets {
            match is_client {
                true => director.client(&segment(4000, flags)).frame(),
                false => {
                    director.server(&answer("10.1.0.12").tcp(80, 4000).flags(flags).build()).frame()
                }
            };
        }
        let (_, sent) = director.client(&segment(4000, SYN)).frame();
        let expected = if expected { 11 } else { 12 };
        assert_eq!(server_of(&sent), expected, "mode {mode}, {method:?}, {packets:?}");
    }
}

/// With `expire_nodest_conn` a SYN to a quiesced server is scheduled again; other segments stay.
#[test]
fn a_syn_leaves_a_quiesced_server() {
    let mut director = TestDirector::new(snapshot(SchedulerKind::Rr, ForwardMethod::Masq, 2));
    director.client(&segment(4000, SYN)).frame();
    director.change(|snapshot| {
        snapshot.settings.sysctls.expire_nodest_conn = 1;
        snapshot.settings.sysctls.conn_reuse_mode = 0;
        snapshot.edit_destination(director::model::DestinationId(1), |spec| spec.weight = 0);
    });
    assert_eq!(server_of(&director.client(&segment(4000, ACK)).frame().1), 12);
    assert_eq!(server_of(&director.client(&segment(4000, SYN)).frame().1), 11);
}

#[test]
fn connections_of_a_removed_server() {
    for (expire_nodest_conn, flags, expected) in
        [(0, ACK, None), (0, SYN, None), (1, ACK, Some(None)), (1, SYN, Some(Some(11)))]
    {
        let mut director = TestDirector::new(snapshot(SchedulerKind::Rr, ForwardMethod::Masq, 2));
        director.client(&segment(4000, SYN)).frame();
        director.change(|snapshot| {
            snapshot.settings.sysctls.expire_nodest_conn = expire_nodest_conn;
            snapshot.remove_destination(director::model::DestinationId(1));
        });
        let outcome = director.client(&segment(4000, flags));
        match expected {
            None => {
                outcome.drop();
            }
            // The host answers with a reset.
            Some(None) => assert_eq!(outcome.punt().reason, PuntReason::UnservedPort),
            Some(Some(server)) => assert_eq!(server_of(&outcome.frame().1), server),
        }
    }
}
