//! TCP, UDP and SCTP states, their timers, and whether a connection counts as active.

use crate::scene::*;
use crate::support::TestDirector;
use director::model::{Family, ForwardMethod, Protocol};
use director::packet::sctp;
use director::packet::tcp::{ACK, FIN, RST, SYN};

/// A packet: from the client or the server, with these TCP flags.
enum Said {
    Client(u8),
    Server(u8),
}
use Said::{Client, Server};

/// Plays the packets; returns after each one the state, the seconds left, and (ActiveConn, InActConn).
fn play(director: &mut TestDirector, said: &[Said]) -> Vec<(&'static str, u64, (u32, u32))> {
    said.iter()
        .map(|said| {
            match said {
                Client(flags) => director.client(&request().tcp(3000, 80).flags(*flags).build()),
                Server(flags) => {
                    // With NAT from the server's address, otherwise from the VIP.
                    let is_masq = director.snapshot.method_of(ONLY) == ForwardMethod::Masq;
                    let (from, port) = if is_masq { (SERVER, 8080) } else { ("10.0.0.100", 80) };
                    director.server(&answer(from).tcp(port, 3000).flags(*flags).build())
                }
            }
            .frame();
            let (state, left) = director.state();
            let (active, inactive, _) = director.load(ONLY);
            (state, left, (active, inactive))
        })
        .collect()
}

fn masq() -> TestDirector {
    one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq)
}

fn direct() -> TestDirector {
    one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route)
}

const ACTIVE: (u32, u32) = (1, 0);
const INACTIVE: (u32, u32) = (0, 1);

/// Sequences observed on a Linux director.
#[test]
fn conversations() {
    let seen = play(
        &mut masq(),
        &[
            Client(SYN),
            Server(SYN | ACK),
            Client(ACK),
            Client(FIN | ACK),
            Server(FIN | ACK),
            Client(ACK),
        ],
    );
    let expected = [
        ("SYN_RECV", 60, ACTIVE),
        ("SYN_RECV", 60, ACTIVE),
        ("ESTABLISHED", 900, ACTIVE),
        ("CLOSE_WAIT", 60, INACTIVE),
        ("TIME_WAIT", 120, INACTIVE),
        ("TIME_WAIT", 120, INACTIVE),
    ];
    assert_eq!(seen, expected);

    let seen = play(&mut masq(), &[Client(SYN), Client(ACK), Server(FIN), Client(FIN)]);
    assert_eq!(seen[2..], [("FIN_WAIT", 120, INACTIVE), ("TIME_WAIT", 120, INACTIVE)]);

    let seen = play(&mut masq(), &[Client(SYN), Server(RST | ACK)]);
    assert_eq!(seen[1], ("CLOSE", 10, INACTIVE));
    let seen = play(&mut masq(), &[Client(SYN), Client(0)]);
    assert_eq!(seen[1], ("CLOSE", 10, INACTIVE));
    let seen = play(&mut masq(), &[Client(SYN), Client(RST)]);
    assert_eq!(seen[1], ("SYN_RECV", 60, ACTIVE), "a client's RST leaves SYN_RECV");

    let seen =
        play(&mut direct(), &[Client(SYN), Client(ACK), Client(FIN), Client(ACK), Client(SYN)]);
    let expected = [
        ("SYN_RECV", 60, ACTIVE),
        ("ESTABLISHED", 900, ACTIVE),
        ("FIN_WAIT", 120, INACTIVE),
        ("FIN_WAIT", 120, INACTIVE),
        ("SYN_RECV", 60, ACTIVE),
    ];
    assert_eq!(seen, expected);

    // A reply through the director ends the rules for one-sided connections.
    let seen =
        play(&mut direct(), &[Client(SYN), Server(SYN | ACK), Client(ACK), Client(FIN | ACK)]);
    assert_eq!(seen[2..], [("ESTABLISHED", 900, ACTIVE), ("CLOSE_WAIT", 60, INACTIVE)]);
}

#[test]
fn sloppy_and_secure_tcp() {
    let mut director = direct();
    director.change(|snapshot| snapshot.settings.sysctls.sloppy_tcp = 1);
    assert_eq!(play(&mut director, &[Client(ACK)]), [("ESTABLISHED", 900, ACTIVE)]);

    let secure = |mut director: TestDirector, said: &[Said]| {
        director.change(|snapshot| snapshot.settings.secure_tcp = true);
        play(&mut director, said).into_iter().map(|(state, ..)| state).collect::<Vec<_>>()
    };
    let seen = secure(masq(), &[Client(SYN), Client(ACK), Client(ACK)]);
    assert_eq!(seen, ["SYN_RECV"; 3]);
    let seen = secure(masq(), &[Client(SYN), Server(SYN | ACK), Client(ACK), Server(ACK)]);
    assert_eq!(seen, ["SYN_RECV", "SYNACK", "SYNACK", "ESTABLISHED"]);
    let seen = secure(direct(), &[Client(SYN), Client(ACK), Client(FIN)]);
    assert_eq!(seen, ["SYNACK", "ESTABLISHED", "FIN_WAIT"]);
}

/// The timer starts with the last packet. When it expires, the connection is gone.
#[test]
fn connections_expire() {
    let mut director = masq();
    play(&mut director, &[Client(SYN), Server(SYN | ACK), Client(ACK)]);
    director.pass_s(600);
    assert_eq!(director.state(), ("ESTABLISHED", 300));
    play(&mut director, &[Server(ACK)]);
    assert_eq!(director.state(), ("ESTABLISHED", 900));
    director.pass_s(898);
    assert_eq!(director.state().1, 2);
    director.pass_s(4);
    assert!(director.connections(Family::Ipv4).is_empty());
    assert_eq!(director.load(ONLY), (0, 0, 0));
    let late = director.client(&request().tcp(3000, 80).flags(ACK).build()).punt();
    assert_eq!(late.reason, director::reason::PuntReason::UnservedPort);
}

/// A changed timeout applies from the next packet of a connection.
#[test]
fn a_changed_timeout_applies_from_the_next_packet() {
    let mut director = masq();
    play(&mut director, &[Client(SYN), Client(ACK)]);
    director.change(|snapshot| snapshot.settings.timeouts.tcp = 50);
    assert_eq!(director.state(), ("ESTABLISHED", 900));
    play(&mut director, &[Client(ACK)]);
    assert_eq!(director.state(), ("ESTABLISHED", 50));
}

#[test]
fn udp_is_never_active() {
    let mut director = one(Protocol::Udp, "10.1.0.11:53", ForwardMethod::Masq);
    director.client(&request().udp(3000, 80).build()).frame();
    director.pass_s(100);
    assert_eq!((director.state(), director.load(ONLY)), (("UDP", 200), (0, 1, 0)));
    director.server(&answer(SERVER).udp(53, 3000).build()).frame();
    assert_eq!(director.state(), ("UDP", 300));
}

#[test]
fn sctp_is_active_when_established() {
    let mut director = one(Protocol::Sctp, "10.1.0.11:80", ForwardMethod::Masq);
    let table = [
        (true, sctp::INIT, "INIT1", (0, 1)),
        (false, sctp::INIT_ACK, "C-SENT", (0, 1)),
        (true, sctp::COOKIE_ECHO, "C-REPLIED", (0, 1)),
        (false, sctp::COOKIE_ACK, "ESTABLISHED", (1, 0)),
        (true, sctp::DATA, "ESTABLISHED", (1, 0)),
        (true, sctp::SHUTDOWN, "S-RECEIVED", (0, 1)),
        (false, sctp::SHUTDOWN_ACK, "S-ACK-SENT", (0, 1)),
        (true, sctp::SHUTDOWN_COMPLETE, "CLOSED", (0, 1)),
    ];
    for (is_client, chunk, state, (active, inactive)) in table {
        match is_client {
            true => director.client(&request().sctp(3000, 80, chunk).build()),
            false => director.server(&answer(SERVER).sctp(80, 3000, chunk).build()),
        }
        .frame();
        let load = director.load(ONLY);
        assert_eq!((director.state().0, load), (state, (active, inactive, 0)), "chunk {chunk}");
    }
}
