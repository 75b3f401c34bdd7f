//! NAT in both directions: addresses, ports and checksums change, nothing else.

use crate::scene::*;
use crate::support::{LAN, VIP, VIP6, WAN};
use director::model::{ForwardMethod, Protocol};
use director::packet::tcp::{ACK, SYN};
use director::packet::{sctp, udp};

fn masq(protocol: Protocol, server: &str) -> crate::support::TestDirector {
    one(protocol, server, ForwardMethod::Masq)
}

#[test]
fn tcp_both_ways() {
    let mut director = masq(Protocol::Tcp, "10.1.0.11:8080");
    let came = request().tos(0x12).identification(0x4321).df().tcp(3000, 80).flags(SYN).seq(1000);
    let went = to_server(SERVER).tos(0x12).identification(0x4321).df().ttl(63);
    let sent = director.client(&came.build());
    assert_eq!(sent.frame(), (LAN, went.tcp(3000, 8080).flags(SYN).seq(1000).build()));

    let back = answer(SERVER).ttl(60).tcp(8080, 3000).flags(SYN | ACK).seq(7).ack(1001);
    let home = to_client(VIP).ttl(59).tcp(80, 3000).flags(SYN | ACK).seq(7).ack(1001);
    assert_eq!(director.server(&back.build()).frame(), (WAN, home.build()));
    let counters = director.counters(ONLY);
    assert_eq!((counters.connections, counters.in_packets, counters.out_packets), (1, 1, 1));
    assert_eq!((counters.in_bytes, counters.out_bytes), (40, 40));
}

#[test]
fn ipv6_both_ways() {
    let mut director = masq(Protocol::Tcp, "[fd00:b::11]:8080");
    let sent = director.client(&request6().tcp(3000, 80).flags(SYN).payload("x").build());
    let went = to_server6(SERVER6).ttl(63).tcp(3000, 8080).flags(SYN).payload("x");
    assert_eq!(sent.frame(), (LAN, went.build()));
    let sent = director.server(&answer6(SERVER6).tcp(8080, 3000).flags(SYN | ACK).build());
    let home = to_client6(VIP6).ttl(63).tcp(80, 3000).flags(SYN | ACK);
    assert_eq!(sent.frame(), (WAN, home.build()));
}

#[test]
fn a_destination_port_of_zero_keeps_the_packets_port() {
    let mut director = masq(Protocol::Udp, "10.1.0.11:0");
    let sent = director.client(&request().udp(3000, 80).payload("a").build());
    assert_eq!(sent.frame().1, to_server(SERVER).ttl(63).udp(3000, 80).payload("a").build());
}

/// NAT computes a missing UDP checksum, in both directions.
#[test]
fn udp_without_checksum_gets_one() {
    let mut director = masq(Protocol::Udp, "10.1.0.11:53");
    let sent = director.client(&request().udp(3000, 80).without_checksum().payload("abc").build());
    let went = to_server(SERVER).ttl(63).udp(3000, 53).payload("abc");
    assert_eq!(sent.frame().1, went.build());
    let back = answer(SERVER).udp(53, 3000).without_checksum().payload("odd");
    let home = to_client(VIP).ttl(63).udp(80, 3000).payload("odd");
    assert_eq!(director.server(&back.build()).frame().1, home.build());
}

/// A checksum that computes to zero is sent as all ones (RFC 768).
#[test]
fn a_udp_checksum_of_zero_is_never_sent() {
    for with_checksum in [true, false] {
        let mut director = masq(Protocol::Udp, "10.1.0.11:53");
        // These two bytes make the checksum after NAT zero.
        let went =
            |pad: u16| to_server(SERVER).ttl(63).udp(3000, 53).payload(pad.to_be_bytes()).build();
        let pad = udp::checksum(&went(0)[34..]);
        assert_eq!(went(pad)[40..42], [0xff, 0xff]);
        let came = request().udp(3000, 80).payload(pad.to_be_bytes());
        let came = if with_checksum { came } else { came.without_checksum() };
        assert_eq!(director.client(&came.build()).frame().1, went(pad));
    }
}

/// The checksum is updated, not computed again, so that receivers still detect a corrupted packet.
#[test]
fn a_wrong_checksum_stays_wrong() {
    for (protocol, place) in [(Protocol::Tcp, 50), (Protocol::Udp, 40)] {
        let mut director = masq(protocol, "10.1.0.11:8080");
        let with_ports = |packet: director::testing::PacketBuilder<u32>, to| match protocol {
            Protocol::Tcp => packet.tcp(3000, to).flags(SYN).build(),
            _ => packet.udp(3000, to).payload("abcd").build(),
        };
        let mut came = with_ports(request(), 80);
        came[place + 1] ^= 0x04;
        let sent = director.client(&came).frame().1;
        let right = with_ports(to_server(SERVER).ttl(63), 8080);
        assert_ne!(sent, right, "{protocol}");
        assert_eq!(sent[..place], right[..place]);
        assert_eq!(sent[place + 2..], right[place + 2..]);
    }
}

#[test]
fn sctp_gets_a_new_checksum_with_a_new_port() {
    let mut director = masq(Protocol::Sctp, "10.1.0.11:8080");
    let sent = director.client(&request().sctp(3000, 80, sctp::INIT).tag(9).payload("ab").build());
    let went = to_server(SERVER).ttl(63).sctp(3000, 8080, sctp::INIT).tag(9).payload("ab");
    assert_eq!(sent.frame().1, went.build());
    let back = answer(SERVER).sctp(8080, 3000, sctp::INIT_ACK);
    let home = to_client(VIP).ttl(63).sctp(80, 3000, sctp::INIT_ACK);
    assert_eq!(director.server(&back.build()).frame().1, home.build());

    // The checksum does not cover addresses: if the port stays, a wrong checksum stays.
    let mut director = masq(Protocol::Sctp, "10.1.0.11:80");
    let mut came = request().sctp(3000, 80, sctp::INIT).build();
    came[44] ^= 1;
    let mut went = to_server(SERVER).ttl(63).sctp(3000, 80, sctp::INIT).build();
    went[44] ^= 1;
    assert_eq!(director.client(&came).frame().1, went);
}

/// Replies of no connection are routed unchanged; their TTL is checked as usual.
#[test]
fn replies_without_connection_leave_as_they_are() {
    let mut director = masq(Protocol::Tcp, "10.1.0.11:8080");
    let unmatched = answer(SERVER).tcp(8080, 3000).flags(ACK).build();
    let expected = to_client(SERVER).ttl(63).tcp(8080, 3000).flags(ACK).build();
    assert_eq!(director.server(&unmatched).frame(), (WAN, expected));
    let unmatched = answer(SERVER).ttl(1).tcp(8080, 3000).build();
    let punt = director.server(&unmatched).punt();
    assert_eq!((punt.reason, punt.frame), (director::reason::PuntReason::TtlExpired, unmatched));
}
