//! TCP, SCTP and UDP conversations: state, seconds left, and active or inactive, after each packet.

use crate::scene::{ONLY, answer, one, request};
use crate::support::TestDirector;
use director::model::{ForwardMethod, Protocol};
use director::packet::{sctp, tcp};

/// TCP flags from letters; `-` stands for none.
fn flags(letters: &str) -> u8 {
    let flag = |letter| match letter {
        'S' => tcp::SYN,
        'A' => tcp::ACK,
        'F' => tcp::FIN,
        'R' => tcp::RST,
        '-' => 0,
        other => panic!("no flag {other}"),
    };
    letters.chars().fold(0, |all, letter| all | flag(letter))
}

/// Plays `c:S s:SA ...` and returns the final state, e.g. `ESTABLISHED 900 a1i0`.
fn play(director: &mut TestDirector, said: &str) -> String {
    for segment in said.split_whitespace() {
        let (who, letters) = segment.split_once(':').unwrap_or(("c", segment));
        let flags = flags(letters);
        let outcome = match who {
            "c" => director.client(&request().tcp(4000, 80).flags(flags).build()),
            _ => {
                let is_masq = director.snapshot.method_of(ONLY) == ForwardMethod::Masq;
                let from = if is_masq { "10.1.0.11" } else { "10.0.0.100" };
                director.server(&answer(from).tcp(80, 4000).flags(flags).build())
            }
        };
        outcome.frame();
    }
    seen(director)
}

fn seen(director: &mut TestDirector) -> String {
    let (state, seconds) = director.state();
    let (active, inactive, _) = director.load(ONLY);
    format!("{state} {seconds} a{active}i{inactive}")
}

fn director(method: ForwardMethod) -> TestDirector {
    one(Protocol::Tcp, "10.1.0.11:80", method)
}

/// Packets of the client, the final state with DR or TUN, and with NAT.
#[rustfmt::skip]
const CLIENT_ALONE: &[(&str, &str, &str)] = &[
    ("S", "SYN_RECV 60 a1i0", "SYN_RECV 60 a1i0"),
    ("SA", "SYN_RECV 60 a1i0", "SYN_RECV 60 a1i0"),
    ("S S", "SYN_RECV 60 a1i0", "SYN_RECV 60 a1i0"),
    ("S R", "SYN_RECV 60 a1i0", "SYN_RECV 60 a1i0"),
    ("S F", "TIME_WAIT 120 a0i1", "TIME_WAIT 120 a0i1"),
    ("S -", "CLOSE 10 a0i1", "CLOSE 10 a0i1"),
    ("S A", "ESTABLISHED 900 a1i0", "ESTABLISHED 900 a1i0"),
    ("S R A", "ESTABLISHED 900 a1i0", "ESTABLISHED 900 a1i0"),
    ("S F A", "TIME_WAIT 120 a0i1", "TIME_WAIT 120 a0i1"),
    ("S F R", "CLOSE 10 a0i1", "CLOSE 10 a0i1"),
    ("S F F", "TIME_WAIT 120 a0i1", "TIME_WAIT 120 a0i1"),
    ("S A S", "ESTABLISHED 900 a1i0", "ESTABLISHED 900 a1i0"),
    ("S A R", "CLOSE 10 a0i1", "CLOSE 10 a0i1"),
    ("S A RA A", "CLOSE 10 a0i1", "CLOSE 10 a0i1"),
    ("S A -", "CLOSE 10 a0i1", "CLOSE 10 a0i1"),
    ("S A FA", "FIN_WAIT 120 a0i1", "CLOSE_WAIT 60 a0i1"),
    ("S A FA A", "FIN_WAIT 120 a0i1", "CLOSE_WAIT 60 a0i1"),
    ("S A FA FA", "FIN_WAIT 120 a0i1", "CLOSE_WAIT 60 a0i1"),
    ("S A FA R", "CLOSE 10 a0i1", "CLOSE 10 a0i1"),
    // A SYN in FIN_WAIT or CLOSE_WAIT continues the connection.
    ("S A FA S", "SYN_RECV 60 a1i0", "SYN_RECV 60 a1i0"),
    ("S A FA S A", "ESTABLISHED 900 a1i0", "ESTABLISHED 900 a1i0"),
    // A SYN in TIME_WAIT or CLOSE opens a new connection.
    ("S F S", "SYN_RECV 60 a1i0", "SYN_RECV 60 a1i0"),
    ("S A R S", "SYN_RECV 60 a1i0", "SYN_RECV 60 a1i0"),
];

#[test]
fn tcp_with_requests_only() {
    for &(said, direct, masq) in CLIENT_ALONE {
        for (method, expected) in [
            (ForwardMethod::Route, direct),
            (ForwardMethod::Tunnel, direct),
            (ForwardMethod::Masq, masq),
        ] {
            assert_eq!(play(&mut director(method), said), expected, "{said} by {method:?}");
        }
    }
}

#[test]
fn tcp_with_requests_and_replies() {
    for (said, expected) in [
        ("c:S s:R", "CLOSE 10 a0i1"),
        ("c:S s:A", "ESTABLISHED 900 a1i0"),
        ("c:S s:FA", "TIME_WAIT 120 a0i1"),
        ("c:S s:SA c:R", "SYN_RECV 60 a1i0"),
        ("c:S s:SA c:A c:R", "CLOSE 10 a0i1"),
        ("c:S s:SA c:A s:-", "CLOSE 10 a0i1"),
        ("c:S s:SA c:A s:FA", "FIN_WAIT 120 a0i1"),
        ("c:S s:SA c:A s:FA c:A", "FIN_WAIT 120 a0i1"),
        ("c:S s:SA c:A s:FA c:A c:FA", "TIME_WAIT 120 a0i1"),
        ("c:S s:SA c:A s:FA c:A c:FA s:A", "TIME_WAIT 120 a0i1"),
        ("c:S s:SA c:A s:FA s:R", "CLOSE 10 a0i1"),
        ("c:S s:SA c:A c:FA s:R", "CLOSE 10 a0i1"),
        ("c:S s:SA c:A c:FA s:FA s:FA", "TIME_WAIT 120 a0i1"),
        ("c:S s:SA c:A c:FA s:FA s:R", "TIME_WAIT 120 a0i1"),
        ("c:S s:SA c:A c:FA s:FA c:S", "SYN_RECV 60 a1i0"),
        ("c:S s:SA c:A c:FA s:S", "SYN_SENT 120 a1i0"),
        ("c:S s:SA c:A c:FA s:S c:S", "ESTABLISHED 900 a1i0"),
    ] {
        assert_eq!(play(&mut director(ForwardMethod::Masq), said), expected, "{said}");
    }
}

/// A closed connection exists and counts until its timer expires, and not much longer.
#[test]
fn each_state_lasts_its_seconds() {
    for (said, seconds) in [("S", 60), ("S A R", 10), ("S F", 120), ("S A FA", 120), ("S A", 900)] {
        let mut director = director(ForwardMethod::Route);
        play(&mut director, said);
        director.pass_s(seconds - 1);
        assert_eq!(director.state().1, 1, "{said}");
        director.pass_s(1);
        director.pass(std::time::Duration::from_millis(500));
        assert_eq!(director.load(ONLY), (0, 0, 0), "{said}");
    }
}

#[test]
fn sctp_with_requests_only() {
    let mut director = one(Protocol::Sctp, "10.1.0.11:80", ForwardMethod::Route);
    for (chunk, expected) in [
        (sctp::INIT, "INIT1 4 a0i1"),
        (sctp::DATA, "INIT1 4 a0i1"),
        (sctp::INIT, "INIT 61 a0i1"),
        (sctp::COOKIE_ECHO, "ESTABLISHED 900 a1i0"),
        (sctp::HEARTBEAT, "ESTABLISHED 900 a1i0"),
        (sctp::SHUTDOWN, "S-RECEIVED 61 a0i1"),
        (sctp::SHUTDOWN_COMPLETE, "CLOSED 61 a0i1"),
        // A new connection, because the old one is closed.
        (sctp::INIT, "INIT1 4 a0i1"),
        (sctp::ABORT, "CLOSED 61 a0i1"),
    ] {
        director.client(&request().sctp(4000, 80, chunk).build()).frame();
        assert_eq!(seen(&mut director), expected, "after chunk {chunk}");
    }
}

#[test]
fn udp_by_each_method() {
    for method in [ForwardMethod::Masq, ForwardMethod::Route, ForwardMethod::Tunnel] {
        let mut director = one(Protocol::Udp, "10.1.0.11:80", method);
        director.change(|snapshot| snapshot.settings.timeouts.udp = 33);
        let from = if method == ForwardMethod::Masq { "10.1.0.11" } else { "10.0.0.100" };
        for _ in 0..2 {
            director.client(&request().udp(4000, 80).build()).frame();
            assert_eq!(seen(&mut director), "UDP 33 a0i1", "{method:?}");
            director.pass_s(20);
            director.server(&answer(from).udp(80, 4000).build()).frame();
            assert_eq!(seen(&mut director), "UDP 33 a0i1", "{method:?}");
            director.pass_s(20);
            assert_eq!(seen(&mut director), "UDP 13 a0i1", "{method:?}");
        }
        assert_eq!(director.counters(ONLY).connections, 1);
    }
}
