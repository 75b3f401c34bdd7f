//! What happens to connections when their server is quiesced, removed, added again or limited, and when their client
//! opens a new connection.

use crate::scene::*;
use crate::support::TestDirector;
use director::model::{DestinationId, Family, ForwardMethod, Protocol};
use director::packet::tcp::{ACK, FIN, RST, SYN};
use director::reason::{DropReason, PuntReason};
use director::worker::TableJob;

const SERVERS: [&str; 2] = ["10.1.0.11:80", "10.1.0.12:80"];
const FIRST: DestinationId = DestinationId(0);
const SECOND: DestinationId = DestinationId(1);

fn two(method: ForwardMethod) -> TestDirector {
    TestDirector::new(snapshot(Protocol::Tcp, &SERVERS, method))
}

fn send(director: &mut TestDirector, port: u16, flags: u8) -> crate::support::Outcome {
    director.client(&request().tcp(port, 80).flags(flags).build())
}

/// Last octet of the server that the packet goes to.
fn server(director: &mut TestDirector, port: u16, flags: u8) -> u8 {
    server_of(&send(director, port, flags).frame().1)
}

fn set_weight(director: &mut TestDirector, id: DestinationId, weight: u32) {
    director.change(|snapshot| snapshot.edit_destination(id, |spec| spec.weight = weight));
}

#[test]
fn round_robin_starts_with_the_newest_destination() {
    let mut director = two(ForwardMethod::Route);
    let to: Vec<u8> = (1..=5).map(|port| server(&mut director, port, SYN)).collect();
    assert_eq!(to, [12, 11, 12, 11, 12]);
}

#[test]
fn a_quiesced_server_keeps_its_connections() {
    let mut director = two(ForwardMethod::Route);
    assert_eq!(server(&mut director, 1, SYN), 12);
    set_weight(&mut director, SECOND, 0);
    assert_eq!(server(&mut director, 1, ACK), 12);
    assert_eq!(
        server(&mut director, 1, SYN),
        12,
        "a SYN in SYN_RECV or ESTABLISHED opens no new connection"
    );
    assert_eq!([2, 3].map(|port| server(&mut director, port, SYN)), [11, 11]);
    // expire_nodest_conn: a new SYN is scheduled again; other packets stay with the quiesced server.
    director.change(|snapshot| snapshot.settings.sysctls.expire_nodest_conn = 1);
    assert_eq!(server(&mut director, 1, ACK), 12);
    assert_eq!(server(&mut director, 1, SYN), 11);
    assert_eq!(director.load(SECOND), (0, 0, 0));
}

#[test]
fn packets_of_a_removed_server_are_dropped_silently() {
    let mut director = two(ForwardMethod::Route);
    assert_eq!(server(&mut director, 1, SYN), 12);
    director.pass_s(10);
    director.change(|snapshot| snapshot.remove_destination(SECOND));
    for flags in [ACK, SYN] {
        assert_eq!(send(&mut director, 1, flags).drop(), DropReason::DestinationUnavailable);
    }
    assert_eq!(director.state(), ("SYN_RECV", 50), "packets must not restart the timer");
    // The server is added again and gets its connections back.
    director.change(|snapshot| {
        snapshot.destination(director::model::ServiceId(0), SERVERS[1], ForwardMethod::Route)
    });
    assert_eq!(server(&mut director, 1, ACK), 12);
    assert_eq!(director.load(SECOND), (1, 0, 0));
}

#[test]
fn expire_nodest_conn_ends_connections_of_a_removed_server() {
    let removed = || {
        let mut director = two(ForwardMethod::Route);
        assert_eq!(server(&mut director, 1, SYN), 12);
        director.change(|snapshot| {
            snapshot.settings.sysctls.expire_nodest_conn = 1;
            snapshot.remove_destination(SECOND);
        });
        director
    };
    // A SYN is scheduled to another server; other packets are punted and get a reset.
    assert_eq!(server(&mut removed(), 1, SYN), 11);
    let mut director = removed();
    assert_eq!(send(&mut director, 1, ACK).punt().reason, PuntReason::UnservedPort);
    // It waits a second for that reset.
    director.pass_s(2);
    assert!(director.connections(Family::Ipv4).is_empty());
    // The sweep ends connections that receive no packets.
    let mut director = removed();
    director.job(0, TableJob::SweepRemoved { family: Family::Ipv4, cursor: 0 });
    assert!(director.connections(Family::Ipv4).is_empty());
    assert_eq!(director.load(SECOND), (0, 0, 0));
}

/// In which states a new SYN replaces the connection, by conn_reuse_mode. True: the client gets the other server.
#[test]
fn conn_reuse_mode() {
    let masq: [(&str, &[(bool, u8)]); 3] = [
        ("TIME_WAIT", &[(true, SYN), (true, ACK), (true, FIN), (false, FIN)]),
        ("CLOSE", &[(true, SYN), (true, ACK), (true, RST)]),
        ("CLOSE_WAIT", &[(true, SYN), (true, ACK), (true, FIN)]),
    ];
    let direct: [(&str, &[(bool, u8)]); 2] = [
        ("FIN_WAIT", &[(true, SYN), (true, ACK), (true, FIN)]),
        ("ESTABLISHED", &[(true, SYN), (true, ACK)]),
    ];
    let cases = masq
        .map(|case| (ForwardMethod::Masq, case))
        .into_iter()
        .chain(direct.map(|case| (ForwardMethod::Route, case)));
    for (method, (state, said)) in cases {
        for mode in 0..4 {
            let mut director = two(method);
            director.change(|snapshot| snapshot.settings.sysctls.conn_reuse_mode = mode);
            for &(is_client, flags) in said {
                match is_client {
                    true => send(&mut director, 1, flags).frame(),
                    false => {
                        let from = answer("10.1.0.12").tcp(80, 1).flags(flags);
                        director.server(&from.build()).frame()
                    }
                };
            }
            assert_eq!(director.state().0, state);
            let is_replaced = server(&mut director, 1, SYN) == 11;
            let expected = match state {
                "TIME_WAIT" | "CLOSE" => mode != 0,
                "FIN_WAIT" => mode & 2 != 0,
                _ => false,
            };
            assert_eq!(is_replaced, expected, "{state} in mode {mode}");
            // A replaced connection no longer counts for the old server.
            let (active, inactive, _) = director.load(SECOND);
            assert_eq!(active + inactive, u32::from(!expected));
        }
    }
}

/// A server at its upper threshold gets no new connections until it has fewer than the lower threshold, or fewer than
/// three quarters of the upper one if no lower one is set.
#[test]
fn thresholds() {
    for (upper, lower, freed) in [(2, 0, 1), (4, 2, 3), (4, 0, 2)] {
        let mut director = two(ForwardMethod::Masq);
        set_weight(&mut director, SECOND, 0);
        director.change(|snapshot| {
            snapshot.edit_destination(FIRST, |spec| {
                (spec.upper_threshold, spec.lower_threshold) = (upper, lower);
            });
        });
        for port in 1..=upper as u16 {
            assert_eq!(server(&mut director, port, SYN), 11);
        }
        assert_eq!(send(&mut director, 99, SYN).punt().reason, PuntReason::NoDestination);
        assert_eq!(server(&mut director, 1, ACK), 11, "its connections stay");
        // They end one by one: a RST from the server closes each after ten seconds.
        for ended in 1..=freed as u16 {
            assert_eq!(send(&mut director, 99, SYN).punt().reason, PuntReason::NoDestination);
            director.server(&answer(SERVER).tcp(80, ended).flags(RST).build()).frame();
            assert_eq!(
                send(&mut director, 99, SYN).punt().reason,
                PuntReason::NoDestination,
                "a closing connection still counts"
            );
            director.pass_s(12);
        }
        assert_eq!(server(&mut director, 99, SYN), 11, "u={upper} l={lower}");
    }
}

#[test]
fn counters_add_up() {
    let mut director = two(ForwardMethod::Masq);
    for port in 1..=4 {
        send(&mut director, port, SYN).frame();
    }
    director.server(&answer(SERVER).tcp(80, 2).flags(SYN | ACK).payload([0; 10]).build()).frame();
    let (first, second) = (director.counters(FIRST), director.counters(SECOND));
    assert_eq!((first.connections, first.in_packets, first.in_bytes), (2, 2, 80));
    assert_eq!((first.out_packets, first.out_bytes), (1, 50));
    assert_eq!((second.connections, second.in_packets, second.out_packets), (2, 2, 0));
    assert_eq!((director.load(FIRST), director.load(SECOND)), ((2, 0, 0), (2, 0, 0)));
    let totals = director.totals();
    assert_eq!((totals.received, totals.sent, totals.connections), (5, 5, 4));
}
