//! The parser against tables, against the builder, and with random bytes.

use super::*;
use crate::packet::ndp::{self, Neighbour};
use crate::packet::{ethernet, icmp_error, tcp_reset};
use crate::testing::{PacketBuilder, frame};
use proptest::prelude::*;

fn v4() -> PacketBuilder<u32> {
    frame().ipv4("10.9.8.7", "10.0.0.100")
}

fn v6() -> PacketBuilder<u128> {
    frame().ipv6("2001:db8::44", "fd00:a::100")
}

const PLAIN: Packet<u32> = Packet {
    flow: Tuple {
        source: 0x0a09_0807,
        destination: 0x0a00_0064,
        source_port: 4000,
        destination_port: 80,
        protocol: 6,
    },
    role: Role::Transport,
    fragment: Fragment::Whole,
    protocol: 6,
    header: 20,
    length: 40,
    tcp_flags: tcp::ACK,
    ttl: 64,
    tos: 0,
    dont_fragment: false,
    fast_path_eligible: true,
    identification: 0,
    icmp_type: 0,
    icmp_code: 0,
    quoted: 0,
    quoted_transport: 0,
    sctp_chunk: 0,
    error_ends: (0, 0),
};

fn tuple(protocol: u8, source_port: u16, destination_port: u16) -> Tuple<u32> {
    Tuple { source_port, destination_port, protocol, ..PLAIN.flow }
}

/// Sets `fast_path_eligible` to the expected value.
fn with_eligibility(packet: Packet<u32>) -> Packet<u32> {
    let is_whole = packet.role == Role::Transport && packet.fragment == Fragment::Whole;
    let opens = packet.tcp_flags & tcp::SYN != 0;
    let fast_path_eligible = is_whole && packet.protocol != 132 && !opens && packet.ttl > 1;
    Packet { fast_path_eligible, ..packet }
}

#[test]
fn fields_of_a_whole_ipv4_packet() {
    let udp = Packet { flow: tuple(17, 4000, 53), protocol: 17, tcp_flags: 0, ..PLAIN };
    for (bytes, expected) in [
        (v4().tcp(4000, 80), PLAIN),
        (v4().tcp(4000, 80).flags(0xff), Packet { tcp_flags: 0xff, ..PLAIN }),
        (v4().tcp(4000, 80).ttl(1).tos(0xb9), Packet { ttl: 1, tos: 0xb9, ..PLAIN }),
        (v4().tcp(4000, 80).df(), Packet { dont_fragment: true, ..PLAIN }),
        (v4().tcp(4000, 80).identification(0xfffe), PLAIN),
        (
            v4().options(&[1; 12]).tcp(4000, 80).payload("GET"),
            Packet { header: 32, length: 55, ..PLAIN },
        ),
        (v4().udp(4000, 53), Packet { length: 28, ..udp }),
        (
            v4().sctp(4000, 3868, sctp::INIT).payload([0; 16]),
            Packet {
                flow: tuple(132, 4000, 3868),
                protocol: 132,
                length: 52,
                tcp_flags: 0,
                sctp_chunk: sctp::INIT,
                ..PLAIN
            },
        ),
        (
            v4().protocol(47).payload([0; 4]),
            Packet { role: Role::Other, flow: tuple(47, 0, 0), protocol: 47, length: 24, ..udp },
        ),
        (
            v4().icmp(8, 0, 1),
            Packet {
                role: Role::Icmp,
                flow: tuple(1, 0, 0),
                protocol: 1,
                length: 28,
                icmp_type: 8,
                ..udp
            },
        ),
    ] {
        assert_eq!(ipv4(&bytes.packet()), Ok(with_eligibility(expected)), "{bytes:?}");
        // Padding is not part of the packet.
        let padded = [bytes.packet(), vec![0xa5; 18]].concat();
        assert_eq!(ipv4(&padded), Ok(with_eligibility(expected)), "{bytes:?}");
    }
}

#[test]
fn fragments() {
    let whole = v4().udp(4000, 53).payload([1; 40]);
    let first = ipv4(&whole.clone().fragment(0, true).packet()).unwrap();
    assert_eq!((first.fragment, first.role), (Fragment::First, Role::Transport));
    for more in [false, true] {
        let later = ipv4(&v4().protocol(17).fragment(1480, more).payload([1; 8]).packet()).unwrap();
        assert_eq!((later.fragment, later.role), (Fragment::Later, Role::LaterFragment));
        assert_eq!(later.flow, tuple(17, 0, 0));
    }
    let later = v6().destination_options().identification(9).fragment(8, false).payload([1; 3]);
    let later = ipv6(&later.packet()).unwrap();
    assert_eq!((later.fragment, later.role), (Fragment::Later, Role::LaterFragment));
    assert_eq!((later.identification, later.header), (9, 56));
    // RFC 6946: an atomic fragment is a whole packet with a fragment header.
    let atomic = ipv6(&v6().tcp(1, 2).identification(9).fragment(0, false).packet()).unwrap();
    assert_eq!(
        (atomic.fragment, atomic.role, atomic.header),
        (Fragment::Whole, Role::Transport, 48)
    );
}

#[test]
fn what_an_ipv6_packet_says() {
    let plain = ipv6(&v6().tos(0x2e).ttl(9).tcp(4000, 80).packet()).unwrap();
    assert_eq!((plain.header, plain.length), (40, 60));
    assert_eq!((plain.tos, plain.ttl, plain.tcp_flags), (0x2e, 9, tcp::ACK));
    assert_eq!((plain.dont_fragment, plain.identification), (true, 0));
    let expected = Tuple {
        source: 0x2001_0db8_0000_0000_0000_0000_0000_0044,
        destination: 0xfd00_000a_0000_0000_0000_0000_0000_0100,
        source_port: 4000,
        destination_port: 80,
        protocol: 6,
    };
    assert_eq!(plain.flow, expected);
    let extended = v6().hop_by_hop().destination_options().routing(0).tcp(4000, 80);
    let extended = ipv6(&extended.packet()).unwrap();
    assert_eq!((extended.flow, extended.header), (expected, 64));
    for (number, role) in
        [(50, Role::Other), (51, Role::Other), (59, Role::Other), (1, Role::Other)]
    {
        let packet = ipv6(&v6().hop_by_hop().protocol(number).payload([0; 8]).packet()).unwrap();
        assert_eq!((packet.role, packet.protocol, packet.header), (role, number, 48));
    }
    // Neighbour solicitations and echoes are not errors; the receiver checks their checksum.
    let echo = ipv6(&v6().icmp(128, 0, 1).packet()).unwrap();
    assert_eq!((echo.role, echo.icmp_type, echo.protocol), (Role::Icmp, 128, 58));
}

#[test]
fn an_error_has_the_flow_of_its_quoted_packet() {
    let reply = frame().ipv4("10.0.0.100", "11.22.33.44").options(&[1; 8]).tcp(80, 4000);
    for kind in [3, 4, 5, 11, 12] {
        let error = v4().options(&[1; 4]).icmp_error(kind, 4, 1400, &reply.packet()[..36]);
        let packet = ipv4(&error.packet()).unwrap();
        assert_eq!((packet.role, packet.icmp_type, packet.icmp_code), (Role::IcmpError, kind, 4));
        assert_eq!(packet.flow, ipv4(&reply.packet()).unwrap().flow);
        assert_eq!((packet.header, packet.quoted, packet.quoted_transport), (24, 32, 60));
        assert_eq!(packet.protocol, 1);
    }
    let reply = frame().ipv6("fd00:a::100", "2001:db8::44").destination_options().udp(53, 4000);
    for kind in 1..=4 {
        let error = v6().hop_by_hop().icmp_error(kind, 0, 1280, &reply.packet());
        let packet = ipv6(&error.packet()).unwrap();
        assert_eq!((packet.role, packet.icmp_type), (Role::IcmpError, kind));
        assert_eq!(packet.flow, ipv6(&reply.packet()).unwrap().flow);
        assert_eq!((packet.header, packet.quoted, packet.quoted_transport), (48, 56, 104));
    }
    let first = frame().ipv6("fd00:a::100", "2001:db8::44").udp(53, 4000).fragment(0, true);
    let packet = ipv6(&v6().icmp_error(2, 0, 1280, &first.packet()).packet()).unwrap();
    assert_eq!((packet.role, packet.flow.source_port), (Role::IcmpError, 53));
}

#[test]
fn a_quoted_tunnel_packet_has_no_ports() {
    let tunnel = frame().ipv4("10.0.0.1", "192.168.10.11").protocol(4).payload([0x45; 20]);
    let packet = ipv4(&v4().icmp_error(3, 4, 576, &tunnel.packet()).packet()).unwrap();
    assert_eq!(packet.role, Role::IcmpError);
    let quoted = packet.flow;
    assert_eq!((quoted.protocol, quoted.source_port, quoted.destination_port), (4, 0, 0));
}

#[test]
fn errors_without_a_usable_quotation_are_plain_icmp() {
    let reply = frame().ipv4("10.0.0.100", "11.22.33.44").tcp(80, 4000).packet();
    let later = frame().ipv4("10.0.0.100", "11.22.33.44").protocol(17).fragment(8, false);
    let later = later.payload([0; 8]).packet();
    let six = v6().udp(1, 2).packet();
    for quoted in [&[][..], &reply[..19], &reply[..23], &later, &six, &[0x44; 40]] {
        let packet = ipv4(&v4().icmp_error(3, 3, 0, quoted).packet()).unwrap();
        assert_eq!((packet.role, packet.flow), (Role::Icmp, tuple(1, 0, 0)), "{quoted:?}");
        assert_eq!((packet.quoted, packet.quoted_transport), (0, 0));
    }
    let later = v6().fragment(8, false).payload([0; 8]).packet();
    for quoted in [&six[..43], &later, &reply] {
        let packet = ipv6(&v6().icmp_error(1, 4, 0, quoted).packet()).unwrap();
        assert_eq!(packet.role, Role::Icmp, "{quoted:?}");
    }
}

/// A packet with some bytes replaced.
fn with(mut bytes: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    for (at, byte) in changes {
        bytes[*at] = *byte;
    }
    bytes
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    v4::write_checksum(&mut bytes[..20]);
    bytes
}

#[test]
fn broken_ipv4_packets() {
    use DropReason::*;
    let tcp = v4().tcp(4000, 80).packet();
    let quoted = frame().ipv4("10.0.0.100", "11.22.33.44").tcp(80, 4000).packet();
    let error = v4().icmp_error(3, 3, 0, &quoted).packet();
    for (bytes, reason) in [
        (vec![], TooShort),
        (tcp[..19].to_vec(), TooShort),
        (with(tcp.clone(), &[(0, 0x65)]), BadIpHeader),
        (with(tcp.clone(), &[(0, 0x44)]), BadIpHeader),
        (with(tcp.clone(), &[(0, 0x4f)]), TooShort),
        (with(tcp.clone(), &[(8, 63)]), BadIpChecksum),
        (with(v4().options(&[1; 4]).tcp(1, 2).packet(), &[(21, 0)]), BadIpChecksum),
        (with_checksum(with(tcp.clone(), &[(3, 41)])), BadIpLength),
        (with_checksum(with(tcp.clone(), &[(3, 19)])), BadIpLength),
        (with_checksum(with(tcp.clone(), &[(3, 39)])), BadTransport),
        (with_checksum(with(tcp.clone(), &[(3, 20)])), BadTransport),
        (v4().protocol(17).payload([0; 7]).packet(), BadTransport),
        (v4().protocol(132).payload([0; 15]).packet(), BadTransport),
        (v4().protocol(1).payload([0; 7]).packet(), BadTransport),
        (v4().protocol(6).payload([0; 16]).fragment(0, true).packet(), BadTransport),
    ] {
        assert_eq!(ipv4(&bytes), Err(reason), "{bytes:?}");
    }
    // Only errors that NAT rewrites have their checksum checked.
    let damaged = with(error, &[(24, 1)]);
    assert_eq!(ipv4(&damaged).map(|packet| packet.role), Ok(Role::IcmpError));
}

#[test]
fn broken_ipv6_packets() {
    use DropReason::*;
    let tcp = v6().tcp(4000, 80).packet();
    let quoted = frame().ipv6("fd00:a::100", "2001:db8::44").tcp(80, 4000).packet();
    let error = v6().icmp_error(1, 4, 0, &quoted).packet();
    let long = (0..9).fold(v6(), |packet, _| packet.destination_options());
    let jumbo = with(v6().tcp(1, 2).packet(), &[(4, 0xff), (5, 0xff)]);
    for (bytes, reason) in [
        (vec![], TooShort),
        (tcp[..39].to_vec(), TooShort),
        (with(tcp.clone(), &[(0, 0x45)]), BadIpHeader),
        (with(tcp.clone(), &[(5, 21)]), BadIpLength),
        (jumbo, BadIpLength),
        (with(tcp.clone(), &[(5, 19)]), BadTransport),
        (with(v6().hop_by_hop().tcp(1, 2).packet(), &[(41, 9)]), BadIpHeader),
        (long.tcp(1, 2).packet(), BadIpHeader),
        (v6().protocol(44).payload([6, 0, 0]).packet(), BadIpHeader),
        (v6().protocol(58).payload([0; 7]).packet(), BadTransport),
    ] {
        assert_eq!(ipv6(&bytes), Err(reason), "{bytes:?}");
    }
    let damaged = with(error, &[(44, 1)]);
    assert_eq!(ipv6(&damaged).map(|packet| packet.role), Ok(Role::IcmpError));
}

/// Properties of every packet that the parser accepts.
fn is_consistent<A: Address>(packet: &Packet<A>, available: usize) {
    let (header, length) = (usize::from(packet.header), usize::from(packet.length));
    assert!(header <= length && length <= available);
    let needs = match (packet.role, packet.protocol) {
        (Role::Transport, v4::TCP) => tcp::HEADER,
        (Role::Transport, v4::UDP) => udp::HEADER,
        (Role::Transport, _) => sctp::HEADER + sctp::CHUNK_HEADER,
        (Role::Icmp | Role::IcmpError, _) => icmp::HEADER,
        _ => 0,
    };
    assert!(header + needs <= length);
    assert_eq!(packet.fragment == Fragment::Later, packet.role == Role::LaterFragment);
    if packet.role == Role::IcmpError {
        let (quoted, transport) = (packet.quoted, packet.quoted_transport);
        assert_eq!(quoted, packet.header + 8);
        assert!(quoted < transport && usize::from(transport) + 4 <= length);
    } else {
        assert_eq!((packet.quoted, packet.quoted_transport), (0, 0));
        assert_eq!(packet.flow.protocol, packet.protocol);
    }
}

/// Parsing into a used packet gives the same as parsing into an empty one.
fn is_read_anew<A: Parse + std::fmt::Debug>(bytes: &[u8], other: A) {
    let mut row = Packet {
        flow: Tuple {
            source: other,
            destination: other,
            source_port: 0xfffe,
            destination_port: 0xfffd,
            protocol: 0xfc,
        },
        protocol: 0xfb,
        role: Role::LaterFragment,
        header: 0xfffa,
        length: 0xfff9,
        ttl: 0xf8,
        tos: 0xf7,
        dont_fragment: true,
        fast_path_eligible: true,
        fragment: Fragment::Later,
        tcp_flags: 0xf6,
        sctp_chunk: 0xf5,
        icmp_type: 0xf4,
        icmp_code: 0xf3,
        quoted: 0xfff2,
        quoted_transport: 0xfff1,
        identification: 0xffff_fff0,
        error_ends: (other, other),
    };
    let mut outcome = A::parse_into(bytes, &mut row).map(|()| row);
    if let Ok(packet) = &mut outcome
        && packet.role != Role::IcmpError
    {
        // Not read in this role.
        packet.error_ends = Packet::<A>::BLANK.error_ends;
    }
    assert_eq!(outcome, A::parse(bytes));
}

/// Parses the bytes and checks every property of the result.
fn is_read_soundly(bytes: &[u8]) {
    is_read_anew(bytes, u32::MAX);
    is_read_anew(bytes, u128::MAX);
    let mut out = [0; icmp_error::IPV6_MAX];
    if let Ok(packet) = ipv4(bytes) {
        is_consistent(&packet, bytes.len());
        let length = icmp_error::write_ipv4(&mut out, 1, bytes, 3, 3, 0, 0);
        let error = ipv4(&out[..length]).unwrap();
        assert_eq!((error.tos, error.icmp_type, usize::from(error.length)), (0xc0, 3, length));
        if let Some(length) = tcp_reset::write_ipv4(&mut out, bytes) {
            let reset = ipv4(&out[..length]).unwrap();
            assert_eq!(reset.flow, packet.flow.reversed());
        }
    }
    if let Ok(packet) = ipv6(bytes) {
        is_consistent(&packet, bytes.len());
        let length = icmp_error::write_ipv6(&mut out, 1, bytes, 1, 4, 0);
        let error = ipv6(&out[..length]).unwrap();
        assert_eq!((error.icmp_type, usize::from(error.length)), (1, length));
        if let Some(length) = tcp_reset::write_ipv6(&mut out, bytes) {
            let reset = ipv6(&out[..length]).unwrap();
            assert_eq!(reset.flow, packet.flow.reversed());
        }
        let neighbour = Neighbour::parse(&packet, bytes);
        assert!(neighbour.is_none() || packet.role == Role::Icmp);
    }
}

/// Number of seeds.
const SEEDS: usize = 12;

/// Seeds for mutation: all kinds of packets.
fn seed(index: usize) -> Vec<u8> {
    let four = frame().ipv4("10.0.0.100", "11.22.33.44").tcp(80, 4000).packet();
    let six = frame().ipv6("fd00:a::100", "2001:db8::44").hop_by_hop().tcp(80, 4000).packet();
    match index {
        0 => v4().tcp(1, 2).packet(),
        1 => v4().options(&[1; 8]).udp(1, 2).packet(),
        2 => v4().sctp(1, 2, 1).packet(),
        3 => v4().icmp_error(3, 4, 1400, &four).packet(),
        4 => v6().hop_by_hop().routing(0).destination_options().tcp(1, 2).packet(),
        5 => v6().identification(1).fragment(0, true).udp(1, 2).packet(),
        6 => v6().icmp_error(2, 0, 1280, &six).packet(),
        8 => v4().identification(7).fragment(0, true).tcp(1, 2).packet(),
        9 => v4().identification(7).fragment(8, true).protocol(132).packet(),
        10 => v6().identification(7).fragment(8, false).protocol(17).packet(),
        7 => v6().routing(1).icmp_error(1, 4, 0, &six).packet(),
        _ => {
            let (solicitation, route) = Neighbour::solicitation([2; 6], 1, 2);
            let mut frame = vec![0; ndp::FRAME];
            solicitation.write(&mut frame, &route);
            frame.split_off(ethernet::ETHERNET)
        }
    }
}

#[test]
fn every_kind_of_packet_is_parsed_correctly() {
    (0..SEEDS).for_each(|index| is_read_soundly(&seed(index)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_parsed_safely(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        is_read_soundly(&bytes);
        for version in [0x45, 0x46, 0x60] {
            if let Some(first) = bytes.first_mut() {
                *first = version;
            }
            is_read_soundly(&bytes);
        }
    }

    /// Checksums are corrected afterwards, because otherwise nothing damaged would pass them.
    #[test]
    fn mutated_packets_are_parsed_safely(
        index in 0usize..SEEDS, cut in 0usize..160,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = seed(index);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        is_read_soundly(&bytes);
        let header = v4::header_length(&bytes);
        if v4::version(&bytes) == 4 && (20..=bytes.len()).contains(&header) {
            v4::write_checksum(&mut bytes[..header]);
            if bytes.len() >= header + icmp::HEADER {
                icmp::write_checksum(&mut bytes[header..], 0_u32, 0);
            }
        }
        if bytes.len() >= 40 + icmp::HEADER && bytes[0] >> 4 == 6 {
            let (source, destination) = (v6::source(&bytes), v6::destination(&bytes));
            icmp::write_checksum(&mut bytes[40..], source, destination);
        }
        is_read_soundly(&bytes);
        bytes.truncate(cut);
        is_read_soundly(&bytes);
    }

    #[test]
    fn a_built_ipv4_packet_is_read_back(
        addresses: [u32; 2], ports: [u16; 2], octets: [u8; 3], identification: u16, df: bool,
        words in 0usize..=10, kind in 0usize..3, payload in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let [ttl, tos, flags] = octets;
        let built = frame().ipv4(addresses[0], addresses[1]).ttl(ttl).tos(tos);
        let built = built.identification(identification.into()).options(&vec![1; words * 4]);
        let built = if df { built.df() } else { built };
        let (built, protocol, transport) = match kind {
            0 => (built.tcp(ports[0], ports[1]).flags(flags), 6, 20),
            1 => (built.udp(ports[0], ports[1]), 17, 8),
            _ => (built.sctp(ports[0], ports[1], flags), 132, 16),
        };
        let length = (20 + words * 4 + transport + payload.len()) as u16;
        let expected = Packet {
            flow: Tuple {
                source: addresses[0],
                destination: addresses[1],
                source_port: ports[0],
                destination_port: ports[1],
                protocol,
            },
            protocol,
            header: 20 + words as u16 * 4,
            length,
            tcp_flags: if protocol == 6 { flags } else { 0 },
            sctp_chunk: if protocol == 132 { flags } else { 0 },
            ttl,
            tos,
            dont_fragment: df,
            ..PLAIN
        };
        prop_assert_eq!(ipv4(&built.payload(payload).packet()), Ok(with_eligibility(expected)));
    }

    #[test]
    fn a_built_ipv6_packet_is_read_back(
        addresses: [u128; 2], ports: [u16; 2], ttl: u8, tos: u8, extensions in 0u16..=8,
        payload in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let built = frame().ipv6(addresses[0], addresses[1]).ttl(ttl).tos(tos).flow_label(0xfffff);
        let built = (0..extensions).fold(built, |built, _| built.destination_options());
        let built = built.udp(ports[0], ports[1]).payload(&payload);
        let packet = ipv6(&built.packet()).unwrap();
        let expected = Tuple {
            source: addresses[0],
            destination: addresses[1],
            source_port: ports[0],
            destination_port: ports[1],
            protocol: 17,
        };
        prop_assert_eq!(packet.flow, expected);
        prop_assert_eq!((packet.ttl, packet.tos, packet.fast_path_eligible), (ttl, tos, ttl > 1));
        prop_assert_eq!(packet.header, 40 + extensions * 8);
        prop_assert_eq!(packet.length, 48 + extensions * 8 + payload.len() as u16);
    }
}
