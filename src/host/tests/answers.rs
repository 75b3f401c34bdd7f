//! Echo replies, ICMP errors and resets: when they are sent, their source and their content.

use super::*;
use crate::model::{DestinationId, Unserved};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Role, icmp, ipv4, ipv6, parse, tcp};

/// Port, source, destination, type, code and the last two bytes of the ICMP header of the only frame sent.
type Answer<'a> = (InterfaceId, &'a str, &'a str, u8, u8, u16);

fn read(frames: &[(InterfaceId, Vec<u8>)]) -> (InterfaceId, String, String, u8, u8, u16) {
    let [(port, frame)] = frames else { panic!("{} frames", frames.len()) };
    let packet = &frame[ETHERNET..];
    let (source, destination, header) = if packet[0] >> 4 == 4 {
        let [source, destination] = [12, 16].map(|at| {
            Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]).to_string()
        });
        assert_eq!(parse::ipv4(packet).unwrap().role, Role::IcmpError);
        (source, destination, 20)
    } else {
        let checked = parse::ipv6(packet).unwrap();
        assert_eq!(checked.protocol, 58);
        let [source, destination] = [8, 24].map(|at| {
            let octets: [u8; 16] = packet[at..at + 16].try_into().unwrap();
            Ipv6Addr::from(octets).to_string()
        });
        (source, destination, 40)
    };
    let message = &packet[header..];
    let rest = icmp::rest(message) as u16;
    (*port, source, destination, icmp::message_type(message), icmp::code(message), rest)
}

fn check(reason: PuntReason, built: Vec<u8>, port: InterfaceId, expected: Answer) {
    let (by, source, destination, message_type, code, rest) = expected;
    let mut director = TestHost::new();
    let neighbours = [
        ((WAN, ip("10.0.0.254")), ROUTER_MAC),
        ((WAN, ip("fd00:a::fe")), ROUTER_MAC),
        ((LAN, ip("192.168.10.11")), SERVER_MAC),
        ((LAN, ip("fd00:b::11")), SERVER_MAC),
    ];
    let TestHost { host, sent, now } = &mut director;
    host.set_static_neighbours(&neighbours.into(), *now, sent);
    let answered = read(&director.input(port, reason, &built));
    let expected = (by, source.into(), destination.into(), message_type, code, rest);
    assert_eq!(answered, expected, "{reason:?}");
}

#[test]
fn errors_and_their_source() {
    use PuntReason::*;
    let reply = || frame().ipv4("192.168.10.11", "11.22.33.44").tcp(80, 4000).df();
    let to_client = (WAN, "10.0.0.100", "11.22.33.44");
    let to_server = (LAN, "192.168.10.1", "192.168.10.11");
    for (reason, built, (by, source, destination), (message_type, code, rest)) in [
        (TtlExpired, client().ttl(1).tcp(4000, 80), to_client, (11, 0, 0)),
        (TtlExpired, reply().ttl(1), to_server, (11, 0, 0)),
        (NoDestination, client().tcp(4000, 80), to_client, (3, 3, 0)),
        (FragmentationNeeded, client().tcp(4000, 80).df(), to_client, (3, 4, 1480)),
        (FragmentationNeeded, reply(), to_server, (3, 4, 1480)),
        (NatIcmpSend, reply(), to_server, (3, 3, 0)),
        (NoRoute, client().udp(1, 2), to_client, (3, 0, 0)),
        (DestinationUnreachable, client().udp(1, 2), to_client, (3, 1, 0)),
        (UnservedPort, client().udp(4000, 81), to_client, (3, 3, 0)),
        (UnservedPort, client().udp(4000, 81).without_checksum(), to_client, (3, 3, 0)),
        (UnservedPort, client().protocol(47).payload([0; 8]), to_client, (3, 2, 0)),
    ] {
        let expected = (by, source, destination, message_type, code, rest);
        check(reason, built.build(), by, expected);
    }
    let reply = || frame().ipv6("fd00:b::11", "2001:db8::44").tcp(80, 4000);
    let to_client = (WAN, "fd00:a::100", "2001:db8::44");
    let to_server = (LAN, "fd00:b::1", "fd00:b::11");
    for (reason, built, (by, source, destination), (message_type, code, rest)) in [
        (TtlExpired, client6().ttl(1).tcp(4000, 80), to_client, (3, 0, 0)),
        (TtlExpired, reply().ttl(1), to_server, (3, 0, 0)),
        (NoDestination, client6().tcp(4000, 80), to_client, (1, 4, 0)),
        (FragmentationNeeded, client6().tcp(4000, 80), to_client, (2, 0, 1480)),
        (NatIcmpSend, reply(), to_server, (1, 4, 0)),
        (NoRoute, client6().udp(1, 2), to_client, (1, 0, 0)),
        (DestinationUnreachable, client6().udp(1, 2), to_client, (1, 3, 0)),
        (UnservedPort, client6().udp(4000, 81), to_client, (1, 4, 0)),
        (UnservedPort, client6().protocol(47), to_client, (4, 1, 6)),
        (UnservedPort, client6().hop_by_hop().protocol(47), to_client, (4, 1, 40)),
        (UnservedPort, client6().destination_options().protocol(99), to_client, (4, 1, 40)),
        (UnservedPort, unknown_option(0x9e).udp(4000, 81), to_client, (4, 2, 42)),
        (IcmpEcho, unknown_option(0xde).icmp(128, 0, 1), to_client, (4, 2, 42)),
    ] {
        let expected = (by, source, destination, message_type, code, rest);
        check(reason, built.build(), by, expected);
    }
}

/// A packet with an option of this type that no host knows.
fn unknown_option(option: u8) -> PacketBuilder<u128> {
    client6().extension(ipv6::DESTINATION_OPTIONS, &[0, option, 4, 1, 2, 3, 4])
}

/// The kernel's stack drops such packets before it looks for a listener.
#[test]
fn packets_with_bad_options_get_no_answer() {
    use PuntReason::{IcmpEcho, UnservedPort};
    // PadN is longer than the header.
    let cut = || client6().extension(ipv6::DESTINATION_OPTIONS, &[0, 0, 1, 4, 0, 0, 0]);
    for (reason, built) in [
        (UnservedPort, cut().protocol(99)),
        (UnservedPort, cut().udp(4000, 81)),
        (UnservedPort, cut().tcp(4000, 81)),
        (UnservedPort, unknown_option(0x5e).udp(4000, 81)),
        (IcmpEcho, cut().icmp(128, 0, 1)),
    ] {
        let mut director = TestHost::new();
        assert!(director.input(WAN, reason, &built.build()).is_empty(), "{built:?}");
        assert_eq!(director.dropped(DropReason::BadIpHeader), 1, "{built:?}");
    }
    let skipped = unknown_option(0x1e).icmp(128, 0, 1).build();
    assert_eq!(TestHost::new().input(WAN, IcmpEcho, &skipped).len(), 1);
}

/// TOS of the error: precedence of network control with the packet's type of service. The quoted TTL is that of the
/// moment of the error.
#[test]
fn quoted_packets() {
    let quoted = |reason, built: Vec<u8>| {
        let frames = TestHost::new().input(WAN, reason, &built);
        let packet = frames[0].1[ETHERNET..].to_vec();
        (packet[1], packet[28..].to_vec())
    };
    let sent = client().ttl(9).tos(0x12).tcp(4000, 80).df();
    let (tos, quotation) = quoted(PuntReason::NoDestination, sent.clone().padded().build());
    assert_eq!((tos, quotation), (0xd2, sent.packet()));
    let (_, quotation) = quoted(PuntReason::FragmentationNeeded, sent.build());
    assert_eq!(quotation, sent.ttl(8).packet(), "decremented, with a correct checksum");
}

#[test]
fn packets_that_must_not_be_answered() {
    use PuntReason::*;
    let quoted = frame().ipv4("10.0.0.100", "11.22.33.44").tcp(80, 4000).packet();
    let multicast =
        frame().macs([1, 0, 0x5e, 0, 0, 1], ROUTER_MAC).ipv4("11.22.33.44", "10.0.0.100");
    let own = frame().ipv4("10.0.0.1", "10.0.0.100").udp(1, 2);
    let subnet = frame().ipv4("10.0.0.255", "10.0.0.100").udp(1, 2);
    for (reason, built, counted) in [
        (TtlExpired, client().icmp_error(3, 3, 0, &quoted), DropReason::TtlExpired),
        (TtlExpired, client().protocol(17).fragment(8, true), DropReason::TtlExpired),
        (NoDestination, multicast.udp(1, 2), DropReason::NoDestination),
        (NoDestination, own, DropReason::NoDestination),
        (NoDestination, subnet, DropReason::NoDestination),
        (UnservedPort, client().tcp(4000, 81).flags(tcp::RST), DropReason::UnservedPort),
        (UnservedPort, client().tcp(4000, 81).fragment(0, true), DropReason::UnservedPort),
        (UnservedPort, client().protocol(2).payload([0; 8]), DropReason::NoLocalHandler),
        (LocalOther, client().icmp(13, 0, 0), DropReason::NoLocalHandler),
    ] {
        let mut director = TestHost::new();
        assert!(director.input(WAN, reason, &built.build()).is_empty(), "{built:?}");
        assert_eq!(director.dropped(counted), 1, "{built:?}");
    }
    let mut director = TestHost::new();
    for at in [ETHERNET + 20 + 8, ETHERNET + 10] {
        let mut damaged = client().udp(4000, 81).payload("ping").build();
        damaged[at] ^= 1;
        assert!(director.input(WAN, UnservedPort, &damaged).is_empty());
    }
    assert_eq!(director.dropped(DropReason::BadTransport), 1);
    assert_eq!(director.dropped(DropReason::BadIpChecksum), 1);
}

#[test]
fn unserved_ports_can_be_silent() {
    let mut director = TestHost::with(Settings { unserved: Unserved::Drop, ..Default::default() });
    for built in [client().tcp(4000, 81), client().udp(4000, 81), client().protocol(47)] {
        assert!(director.input(WAN, PuntReason::UnservedPort, &built.build()).is_empty());
    }
    assert_eq!(director.dropped(DropReason::UnservedPort), 3);
    director.host.set_unserved(Unserved::Reject);
    let built = client().tcp(4000, 81).build();
    assert_eq!(director.input(WAN, PuntReason::UnservedPort, &built).len(), 1);
}

#[test]
fn echo() {
    for (built, counted) in [
        (client().icmp(8, 0, 0x1234_0001).payload("abcdefgh").tos(0x15), None),
        (client().icmp(8, 1, 1), Some(DropReason::NoLocalHandler)),
        (frame().ipv4("11.22.33.44", "10.0.0.200").icmp(8, 0, 1), Some(DropReason::NoLocalHandler)),
        (frame().ipv4("10.0.0.255", "10.0.0.1").icmp(8, 0, 1), Some(DropReason::NoLocalHandler)),
        (frame().ipv4("10.0.0.1", "10.0.0.100").icmp(8, 0, 1), Some(DropReason::NoLocalHandler)),
    ] {
        let mut director = TestHost::new();
        let answers = director.input(WAN, PuntReason::IcmpEcho, &built.clone().padded().build());
        match counted {
            Some(reason) => {
                assert!(answers.is_empty(), "{built:?}");
                assert_eq!(director.dropped(reason), 1, "{built:?}");
            }
            None => {
                let expected = frame()
                    .macs(ROUTER_MAC, WAN_MAC)
                    .ipv4("10.0.0.100", "11.22.33.44")
                    .tos(0x15)
                    .identification(1)
                    .icmp(0, 0, 0x1234_0001)
                    .payload("abcdefgh");
                assert_eq!(answers, [(WAN, expected.build())]);
            }
        }
    }
    let mut damaged = client6().icmp(128, 0, 1).payload("abcdefgh").build();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let mut director = TestHost::new();
    assert!(director.input(WAN, PuntReason::IcmpEcho, &damaged).is_empty());
    assert_eq!(director.dropped(DropReason::BadIcmpChecksum), 1);
}

/// Payload of the reply's fragments in order, and their offsets.
fn reply_of(frames: &[(InterfaceId, Vec<u8>)], headers: usize) -> (Vec<u8>, Vec<usize>) {
    let mut message = Vec::new();
    let offsets = frames.iter().map(|(interface, frame)| {
        assert_eq!(*interface, WAN);
        assert!(frame.len() <= ETHERNET + 1500);
        let offset = message.len();
        message.extend(&frame[ETHERNET + headers..]);
        offset
    });
    let offsets = offsets.collect();
    (message, offsets)
}

/// `ping -s 1473` and larger: request and reply are fragmented, in any order.
#[test]
fn echo_larger_than_the_mtu() {
    let mut director = TestHost::new();
    let payload: Vec<u8> = (0..4000).map(|number| number as u8).collect();
    let mut pieces = client().icmp(8, 0, 5).payload(&payload).tos(8).fragments(1480);
    pieces.rotate_left(1);
    let mut answers = Vec::new();
    for piece in &pieces {
        assert!(answers.is_empty());
        answers = director.input(WAN, PuntReason::IcmpEcho, piece);
    }
    let expected = frame()
        .macs(ROUTER_MAC, WAN_MAC)
        .ipv4("10.0.0.100", "11.22.33.44")
        .tos(8)
        .identification(1)
        .icmp(0, 0, 5)
        .payload(&payload)
        .fragments(1480);
    assert_eq!(answers, expected.into_iter().map(|frame| (WAN, frame)).collect::<Vec<_>>());

    let pieces = client6().icmp(128, 0, 5).payload(&payload).identification(9).fragments(1448);
    let answers: Vec<_> =
        pieces.iter().flat_map(|piece| director.input(WAN, PuntReason::IcmpEcho, piece)).collect();
    let (message, offsets) = reply_of(&answers, 48);
    assert_eq!(offsets, [0, 1448, 2896]);
    assert_eq!((message[0], &message[8..]), (129, &payload[..]));
    let (vip, asker) = (bits6("fd00:a::100"), bits6("2001:db8::44"));
    assert_eq!(crate::packet::icmp::verify(vip, asker, &message), 0);

    // A single fragment times out after 30 seconds. A damaged request is not answered.
    director.input(WAN, PuntReason::IcmpEcho, &client().icmp(8, 0, 5).fragment(0, true).build());
    director.run(31);
    assert_eq!(director.dropped(DropReason::FragmentTimedOut), 1);
    let mut pieces = client().icmp(8, 0, 5).payload(&payload).fragments(1480);
    *pieces[1].last_mut().unwrap() ^= 1;
    for piece in &pieces {
        assert!(director.input(WAN, PuntReason::IcmpEcho, piece).is_empty());
    }
    assert_eq!(director.dropped(DropReason::BadIcmpChecksum), 1);
}

/// The longest echo request is answered at an MTU of 576. At an MTU of 68 one answer would fill the ring to a worker.
#[test]
fn long_echo_requests_at_small_mtus() {
    for (mtu, answers) in [(576, 119), (68, 0)] {
        let mut director = TestHost::new();
        let default = ((ip("0.0.0.0"), 0), WAN, Some(ip("10.0.0.254")), mtu);
        director.host.set_routes(Arc::new(Routes::build([default])));
        let pieces = client().icmp(8, 0, 5).payload(vec![7; 65_500]).fragments(1480);
        let sent =
            pieces.iter().map(|piece| director.input(WAN, PuntReason::IcmpEcho, piece).len());
        assert_eq!(sent.sum::<usize>(), answers);
        assert_eq!(director.dropped(DropReason::TooBig), u64::from(answers == 0));
    }
}

/// Nobody else has an address of the director: it is neither solicited nor sent to.
#[test]
fn own_addresses_are_no_next_hops() {
    let mut director = TestHost::new();
    for own in ["10.0.0.1", "10.0.0.100", "fd00:a::1", "fd00:a::100"] {
        assert!(director.forward((WAN, ip(own)), &client().udp(1, 2).build()).is_empty(), "{own}");
        assert!(director.run(5).is_empty(), "{own}");
    }
    assert_eq!(director.dropped(DropReason::NoLocalHandler), 4);
    for own in ["fd00:a::1", "fd00:b::1", "fd00:a::100"] {
        let from = frame().macs(WAN_MAC, ROUTER_MAC).ipv6(own, "fd00:a::100");
        let asks = from.clone().icmp(128, 0, 1).build();
        assert!(director.input(WAN, PuntReason::IcmpEcho, &asks).is_empty(), "{own}");
        let unserved = from.udp(1, 2).build();
        assert!(director.input(WAN, PuntReason::UnservedPort, &unserved).is_empty(), "{own}");
        assert!(director.run(5).is_empty(), "{own}");
    }
}

#[test]
fn errors_to_a_host_are_limited_except_about_length() {
    let mut director = TestHost::new();
    let mut count = |reason, times| {
        let built = client().udp(1, 2).build();
        (0..times).map(|_| director.input(WAN, reason, &built).len()).sum::<usize>()
    };
    assert_eq!(count(PuntReason::NoDestination, 10), 6);
    assert_eq!(count(PuntReason::FragmentationNeeded, 100), 100);
    assert_eq!(director.dropped(DropReason::IcmpRateLimited), 4);
}

/// A reply to a host behind the other port is sent there, after that neighbour is resolved.
#[test]
fn replies_are_routed() {
    let mut director = TestHost::new();
    let built = frame().ipv4("172.16.5.5", "10.0.0.100").udp(1, 2).build();
    let original_destination = director.input(WAN, PuntReason::NoDestination, &built);
    let question = Arp::parse(&original_destination[0].1[ETHERNET..]).unwrap();
    assert_eq!((original_destination[0].0, question.target), (LAN, bits("192.168.10.254")));
    let sent = director.arp(LAN, question.answer(SERVER_MAC), LAN_MAC);
    assert_eq!(read(&sent), (LAN, "10.0.0.100".into(), "172.16.5.5".into(), 3, 3, 0));
}

#[test]
fn senders_of_unresolved_frames_get_errors() {
    let mut director = TestHost::new();
    let own = frame().ipv4("192.168.10.1", "192.168.10.11").protocol(ipv4::IPIP);
    director.forward((LAN, ip("192.168.10.11")), &client().tcp(4000, 80).build());
    director.forward((LAN, ip("192.168.10.11")), &own.payload([0x45; 20]).build());
    director.forward((LAN, ip("fd00:b::11")), &client6().tcp(4000, 80).build());
    let sent = director.run(4);
    let errors: Vec<_> = sent.into_iter().filter(|(port, _)| *port == WAN).collect();
    let expected = (WAN, "10.0.0.1".into(), "11.22.33.44".into(), 3, 1, 0);
    assert_eq!((errors.len(), read(&errors[..1])), (2, expected));
    let expected = (WAN, "fd00:a::1".into(), "2001:db8::44".into(), 1, 3, 0);
    assert_eq!(read(&errors[1..]), expected);
    assert_eq!(director.dropped(DropReason::NeighbourUnresolved), 3);
}

/// A server that does not answer, as observed on a kernel. NAT: the VIP sends an error that quotes the client's packet,
/// with the transport checksum of NAT. Tunnel: no error.
#[test]
fn a_server_that_does_not_answer() {
    let told = |original_destination, frame: PacketBuilder<u32>| {
        let mut director = TestHost::new();
        director.forward_translated(
            (LAN, ip("192.168.10.11")),
            original_destination,
            &frame.build(),
        );
        let sent = director.run(4).into_iter().filter(|(port, _)| *port == WAN);
        sent.map(|(_, frame)| frame).collect::<Vec<_>>()
    };
    let expected = |quoted: &[u8]| {
        let error = frame().macs(ROUTER_MAC, WAN_MAC).ipv4("10.0.0.100", "11.22.33.44");
        [error.tos(0xc0).identification(1).icmp_error(3, 1, 0, quoted).build()]
    };
    let original_destination = client().ttl(63).tcp(4000, 80).packet();
    let translated = frame().ipv4("11.22.33.44", "192.168.10.11").identification(7).ttl(63);
    let translated = translated.tcp(4000, 8080);
    let mut quoted = original_destination.clone();
    quoted[36..38].copy_from_slice(&translated.packet()[36..38]);
    assert_eq!(told(Some((ip("10.0.0.100"), 80)), translated), expected(&quoted));

    let outer = frame()
        .ipv4("192.168.10.1", "192.168.10.11")
        .protocol(ipv4::IPIP)
        .payload(&original_destination);
    assert!(told(None, outer).is_empty());

    let mut director = TestHost::new();
    let translated = frame().ipv6("2001:db8::44", "fd00:b::11").ttl(63).tcp(4000, 8080);
    let original_destination = Some((ip("fd00:a::100"), 80));
    director.forward_translated((LAN, ip("fd00:b::11")), original_destination, &translated.build());
    let outer = frame().ipv6("fd00:b::1", "fd00:b::11").protocol(4).payload([0x45; 60]);
    director.forward((LAN, ip("fd00:b::11")), &outer.build());
    let sent: Vec<_> = director.run(4).into_iter().filter(|(port, _)| *port == WAN).collect();
    assert_eq!(read(&sent), (WAN, "fd00:a::100".into(), "2001:db8::44".into(), 1, 3, 0));
    let quoted = client6().ttl(63).tcp(4000, 80).packet();
    let at = ETHERNET + 48;
    assert_eq!(sent[0].1[at..at + 56], quoted[..56]);
}

/// An error about a tunnel packet is sent on as an error about the inner packet.
#[test]
fn tunnel_errors() {
    let inner = client().tcp(4000, 80);
    let tunnel = |protocol: u8, header: &[u8], inner: &[u8]| {
        let outer = frame().ipv4("192.168.10.1", "172.16.5.5").protocol(protocol);
        outer.payload([header, inner].concat()).packet()
    };
    let gue = [200, 0, 0x17, 0xd1, 0, 60, 0, 0, 0, 4, 0, 0];
    let (plain, df) = (inner.clone().packet(), inner.clone().df().packet());
    let error = |code, mtu, outer: &[u8]| {
        let cut = &outer[..outer.len().min(64)];
        frame().ipv4("172.16.9.9", "192.168.10.1").icmp_error(3, code, mtu, cut).build()
    };
    for (built, expected, reported) in [
        (error(4, 1400, &tunnel(4, &[], &df)), Some((3, 4, 1230)), Some(1400)),
        (error(4, 100, &tunnel(4, &[], &df)), Some((3, 4, 1230)), Some(100)),
        (
            error(4, 576, &tunnel(47, &[0x80, 0, 8, 0, 0, 0, 0, 0], &df)),
            Some((3, 4, 1222)),
            Some(576),
        ),
        (error(4, 1400, &tunnel(4, &[], &plain)), None, Some(1400)),
        (error(1, 0, &tunnel(4, &[], &plain)), Some((3, 1, 0)), None),
        (error(1, 0, &tunnel(17, &gue, &plain)), Some((3, 1, 0)), None),
        (error(1, 0, &tunnel(47, &[0, 0, 8, 0], &plain)), Some((3, 1, 0)), None),
        (error(1, 0, &tunnel(47, &[0x80, 0, 8, 0, 0, 0, 0, 0], &plain)), Some((3, 1, 0)), None),
        (error(1, 0, &tunnel(47, &[0x20, 0, 8, 0], &plain)), None, None),
        (error(1, 0, &tunnel(4, &[], &plain[..16])), None, None),
    ] {
        let mut director = TestHost::new();
        let mut punt = Punt {
            interface: LAN,
            reason: PuntReason::TunnelIcmp,
            detail: PuntDetail::Destination(DestinationId(0)),
            frame: MemoryFrame::new(&built),
        };
        let learned = director.host.reported_path_mtu(&punt);
        let expected_path = reported.map(|mtu| PathMtu { destination: ip("172.16.5.5"), mtu });
        assert_eq!(learned, expected_path, "{built:?}");
        if learned.is_some() {
            // The MTU of the tunnel's path for the client.
            punt.detail = PuntDetail::Mtu(1250);
        }
        let sent = director.punt(punt);
        assert_eq!(sent.len(), usize::from(expected.is_some()), "{built:?}");
        if let Some((message_type, code, rest)) = expected {
            let to_client = ("10.0.0.100".into(), "11.22.33.44".into());
            assert_eq!(read(&sent), (WAN, to_client.0, to_client.1, message_type, code, rest));
        }
    }
    let foreign = frame().ipv4("192.168.10.99", "172.16.5.5").protocol(4).payload(&df).packet();
    let mut director = TestHost::new();
    assert!(director.input(LAN, PuntReason::TunnelIcmp, &error(1, 0, &foreign)).is_empty());
    assert_eq!(director.dropped(DropReason::NoLocalHandler), 1);
}

/// Any frame with any reason is handled without a panic.
mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..120),
            changes in prop::collection::vec((0usize..100, any::<u8>()), 0..4),
            kind in 0usize..6,
        ) {
            let quoted = frame().ipv4("10.0.0.1", "172.16.5.5").protocol(4).payload([0x45; 60]);
            let mut built = match kind {
                0 => bytes,
                1 => client().icmp_error(3, 4, 1000, &quoted.packet()).build(),
                2 => client6().hop_by_hop().protocol(99).payload([0; 30]).build(),
                3 => client().tcp(1, 2).tcp_options(&[2, 4, 5, 180]).build(),
                4 => client6().icmp(135, 0, 0).payload([0; 24]).build(),
                _ => client6().udp(1, 2).payload([1; 9]).build(),
            };
            for (at, byte) in changes {
                let length = built.len();
                if length > 0 {
                    built[at % length] = byte;
                }
            }
            let mut director = TestHost::new();
            for reason in PuntReason::ALL {
                director.input(WAN, *reason, &built);
                director.forward((LAN, ip("192.168.10.11")), &built);
            }
            director.run(4);
        }
    }
}
