//! All fragments follow the first fragment of their datagram, in any order.

use crate::scene::*;
use crate::support::{LAN, ROUTER_MAC, TestDirector, VIP, VIP6, WAN, WAN_MAC, server_mac};
use director::model::{ForwardMethod, Protocol, ServiceId};
use director::reason::{DropReason, PuntReason};
use director::testing::frame;
use director::time::Duration;

const PAYLOAD: [u8; 200] = [0x77; 200];

fn masq() -> TestDirector {
    one(Protocol::Udp, "10.1.0.11:53", ForwardMethod::Masq)
}

/// Fragments of a request as received, and as sent to the server.
fn request_pieces() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    request_pieces_of(99)
}

/// The same for the datagram with this identification.
fn request_pieces_of(identification: u32) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let came = request().identification(identification).udp(3000, 80).payload(PAYLOAD);
    let went = to_server(SERVER).ttl(63).identification(identification).udp(3000, 53);
    (came.fragments(96), went.payload(PAYLOAD).fragments(96))
}

fn sorted(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.sort();
    frames
}

#[test]
fn any_order_by_nat() {
    let (came, went) = request_pieces();
    assert_eq!(came.len(), 3);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut director = masq();
        let mut sent = Vec::new();
        for index in order {
            let outcome = director.client(&came[index]);
            assert!(outcome.drops.is_empty() && outcome.punts.is_empty());
            // Nothing is sent before the first fragment.
            assert!(!sent.is_empty() || outcome.sent.is_empty() || index == 0);
            sent.extend(outcome.sent.into_iter().map(|(_, frame)| frame));
        }
        assert_eq!(sorted(sent), sorted(went.clone()), "{order:?}");
        let counters = director.counters(ONLY);
        assert_eq!((counters.in_packets, counters.in_bytes), (1, 228), "counted as one packet");
    }
}

/// Without services of its family a later fragment waits for nothing, but it is not routed out again either.
#[test]
fn later_fragments_for_the_director_are_never_routed() {
    let mut director = masq();
    let to_director = frame().macs(WAN_MAC, ROUTER_MAC).ipv6(CLIENT6, "fd00:a::1");
    let pieces = to_director.udp(3000, 80).payload(PAYLOAD).fragments(96);
    assert_eq!(director.client(&pieces[1]).drop(), DropReason::UnservedPort);
    assert_eq!(director.client(&pieces[0]).punt().reason, PuntReason::UnservedPort);
    assert_eq!(director.client(&pieces[2]).drop(), DropReason::UnservedPort);
}

/// The next datagram with the same identification may have other lengths, and its first fragment may come last.
#[test]
fn two_datagrams_with_one_identification() {
    let mut director = masq();
    for piece in &request_pieces().0 {
        director.client(piece).frame();
    }
    let payload = [0x33; 100];
    let next = request().identification(99).udp(3000, 80).payload(payload).fragments(48);
    for piece in next[1..].iter().rev() {
        assert!(director.client(piece).sent.is_empty(), "held until the first one arrives");
    }
    let sent = director.client(&next[0]).sent.into_iter().map(|(_, frame)| frame).collect();
    let expected = to_server(SERVER).ttl(63).identification(99).udp(3000, 53).payload(payload);
    assert_eq!(sorted(sent), sorted(expected.fragments(48)));
}

/// The connection of such a datagram is never in the table.
#[test]
fn any_order_with_one_packet_scheduling() {
    let (came, went) = request_pieces();
    for order in [[0, 1, 2], [2, 0, 1], [2, 1, 0]] {
        let mut director = masq();
        director
            .change(|snapshot| snapshot.edit_service(ServiceId(0), |spec| spec.one_packet = true));
        let sent = order.map(|index| director.client(&came[index])).into_iter();
        let sent = sent.flat_map(|outcome| outcome.sent).map(|(_, frame)| frame).collect();
        assert_eq!(sorted(sent), sorted(went.clone()), "{order:?}");
        let counters = director.counters(ONLY);
        assert_eq!((counters.in_packets, counters.in_bytes), (1, 228), "counted as one packet");
        assert_eq!(director.load(ONLY), (0, 0, 0));
        // Without its destination the rest of a datagram is dropped.
        director.client(&request_pieces_of(100).0[0]).frame();
        director.change(|snapshot| snapshot.remove_destination(ONLY));
        let outcome = director.client(&request_pieces_of(100).0[1]);
        assert_eq!(outcome.drop(), DropReason::DestinationUnavailable);
    }
}

#[test]
fn replies_too() {
    let mut director = masq();
    director.client(&request().udp(3000, 80).build()).frame();
    let came = answer(SERVER).udp(53, 3000).payload(PAYLOAD).fragments(96);
    let went = to_client(VIP).ttl(63).udp(80, 3000).payload(PAYLOAD).fragments(96);
    let mut sent = Vec::new();
    for index in [0, 2, 1] {
        sent.extend(director.server(&came[index]).sent);
    }
    assert!(sent.iter().all(|(port, _)| *port == WAN));
    assert_eq!(sorted(sent.into_iter().map(|(_, frame)| frame).collect()), sorted(went));
}

#[test]
fn ipv6_by_dr_and_in_a_tunnel() {
    let came = request6().udp(3000, 80).payload(PAYLOAD).fragments(96);
    let went = to_server6(VIP6).ttl(63).udp(3000, 80).payload(PAYLOAD).fragments(96);
    for method in [ForwardMethod::Route, ForwardMethod::Tunnel] {
        let mut director = one(Protocol::Udp, "[fd00:b::11]:80", method);
        let mut sent = Vec::new();
        for index in [2, 1, 0] {
            sent.extend(director.client(&came[index]).sent);
        }
        let outer = if method == ForwardMethod::Tunnel { 40 } else { 0 };
        let packets = |frames: Vec<Vec<u8>>, outer: usize| {
            sorted(frames.into_iter().map(|frame| frame[14 + outer..].to_vec()).collect())
        };
        let sent: Vec<_> = sent.into_iter().map(|(_, frame)| frame).collect();
        assert!(sent.iter().all(|frame| frame[..6] == server_mac(11)));
        assert_eq!(packets(sent, outer), packets(went.clone(), 0));
    }
}

#[test]
fn fragments_time_out_without_their_first() {
    let (came, _) = request_pieces();
    let mut director = masq();
    assert!(director.client(&came[1]).is_nothing());
    assert!(director.pass(Duration::from_millis(1900)).is_nothing());
    assert_eq!(director.pass(Duration::from_millis(200)).drop(), DropReason::FragmentTimedOut);
    // The other fragments are useless too, but the director cannot know.
    let outcome = director.client(&came[0]);
    assert_eq!(outcome.frame().0, LAN);
    director.client(&came[2]).frame();
}

/// Later fragments are dropped when the first one was dropped or answered.
#[test]
fn later_fragments_are_dropped_with_the_first() {
    let (came, _) = request_pieces();
    let mut director = masq();
    director.change(|snapshot| snapshot.edit_destination(ONLY, |spec| spec.weight = 0));
    assert!(director.client(&came[1]).is_nothing());
    let outcome = director.client(&came[0]);
    assert_eq!((outcome.punts.len(), outcome.drops.len(), outcome.sent.len()), (1, 1, 0));
    director.client(&came[2]).drop();
}

/// The number of held fragments is bounded; fragments above it are dropped and counted.
#[test]
fn a_flood_of_later_fragments() {
    let mut director = masq();
    for identification in 1000..2000 {
        let piece = request().identification(identification).fragment(800, true).protocol(17);
        director.client(&piece.payload([0; 8]).build());
    }
    let totals = director.totals();
    assert_eq!(totals.received - totals.dropped, 48, "held fragments of one source");
    assert_eq!(director.dropped(DropReason::FragmentTableFull), 952);
    // Fragments that follow their first need no room.
    let (came, went) = request_pieces();
    assert_eq!(director.client(&came[0]).frame().1, went[0]);
    assert_eq!(director.client(&came[1]).frame().1, went[1]);
    assert_eq!(director.pass_s(3).drops.len(), 48);
}

/// Stray later fragments from one or many sources take no room from a client whose fragments are reordered.
#[test]
fn reordered_fragments_pass_despite_stray_ones() {
    for sources in [1, 1000] {
        let mut director = masq();
        let stray = |number: u32| {
            let packet = director::testing::frame().ipv4(0x4d00_0000 + number % sources, VIP);
            packet.identification(number).fragment(800, true).protocol(17).payload([0; 8])
        };
        for round in 0..20 {
            (0..300).for_each(|number| drop(director.client(&stray(round * 300 + number).build())));
            let (came, went) = request_pieces_of(99 + round);
            let mut sent = Vec::new();
            for index in [2, 1, 0] {
                sent.extend(director.client(&came[index]).sent.into_iter().map(|(_, frame)| frame));
                (0..20).for_each(|number| drop(director.client(&stray(90_000 + number).build())));
            }
            assert_eq!(sorted(sent), sorted(went), "{sources} sources, round {round}");
        }
    }
}

/// Overlapping fragments are dropped, and all later fragments of their datagram too (RFC 5722).
#[test]
fn overlapping_fragments_are_dropped() {
    let mut director = masq();
    let (came, _) = request_pieces();
    let overlapping = request().identification(99).fragment(88, true).protocol(17);
    director.client(&came[0]).frame();
    let outcome = director.client(&overlapping.payload([1; 96]).build());
    assert_eq!(outcome.drop(), DropReason::FragmentOverlap);
    assert_eq!(director.client(&came[1]).drop(), DropReason::FragmentOverlap);
    assert_eq!(director.client(&came[2]).drop(), DropReason::FragmentOverlap);
    // Exact duplicates are dropped; the datagram is still forwarded.
    let mut director = masq();
    for index in [0, 1] {
        director.client(&came[index]).frame();
    }
    assert_eq!(director.client(&came[1]).drop(), DropReason::FragmentOverlap);
    director.client(&came[2]).frame();
    // So is a first fragment that comes twice: what has arrived after it stays known.
    let mut director = masq();
    for index in [0, 1] {
        director.client(&came[index]).frame();
    }
    assert_eq!(director.client(&came[0]).drop(), DropReason::FragmentOverlap);
    let overlapping = request().identification(99).fragment(184, true).protocol(17);
    let outcome = director.client(&overlapping.payload([1; 16]).build());
    assert_eq!(outcome.drop(), DropReason::FragmentOverlap);
    assert_eq!(director.client(&came[0]).drop(), DropReason::FragmentOverlap);
    assert_eq!(director.client(&came[2]).drop(), DropReason::FragmentOverlap);
    let counters = director.counters(ONLY);
    assert_eq!((counters.in_packets, director.dropped(DropReason::FragmentOverlap)), (1, 4));
    // IPv6.
    let mut director = one(Protocol::Udp, "[fd00:b::11]:80", ForwardMethod::Route);
    let came = request6().udp(3000, 80).payload(PAYLOAD).fragments(96);
    director.client(&came[0]).frame();
    director.client(&came[1]).frame();
    let outcome = director.client(&came[1]);
    assert_eq!(outcome.drop(), DropReason::FragmentOverlap);
    director.client(&came[2]).frame();
}

/// A fragment that ends beyond 65,535 bytes is dropped.
#[test]
fn fragments_beyond_the_maximum_datagram_are_dropped() {
    let mut director = masq();
    let beyond = |offset: u16, length: usize| {
        let piece = request().identification(7).fragment(offset, false).protocol(17);
        piece.payload(vec![0; length]).build()
    };
    assert_eq!(director.client(&beyond(65_528, 1408)).drop(), DropReason::BadIpLength);
    assert_eq!(director.client(&beyond(64_112, 1404)).drop(), DropReason::BadIpLength);
    assert!(director.client(&beyond(64_112, 1403)).is_nothing(), "held until the first fragment");
}

/// An SCTP checksum covers the whole packet, so NAT cannot update it in a fragment when the port changes.
#[test]
fn fragmented_sctp_keeps_its_port_or_is_dropped() {
    let came = request().sctp(3000, 80, 1).payload(PAYLOAD).fragments(96);
    let mut director = one(Protocol::Sctp, "10.1.0.11:90", ForwardMethod::Masq);
    assert_eq!(director.client(&came[0]).drop(), DropReason::FragmentedSctp);
    assert_eq!(director.client(&came[1]).drop(), DropReason::FragmentedSctp);
    let mut director = one(Protocol::Sctp, "10.1.0.11:80", ForwardMethod::Masq);
    came.iter().for_each(|piece| drop(director.client(piece).frame()));
}

/// Without NAT servers, routed fragments are forwarded at once. With NAT servers they wait for their first fragment,
/// which shows if they are a reply.
#[test]
fn routed_fragments() {
    let came = answer("10.1.0.12").udp(2, 1).payload(PAYLOAD).fragments(96);
    let went = to_client("10.1.0.12").ttl(63).udp(2, 1).payload(PAYLOAD).fragments(96);
    let mut director = one(Protocol::Udp, "10.1.0.11:80", ForwardMethod::Route);
    for index in [2, 0, 1] {
        assert_eq!(director.server(&came[index]).frame(), (WAN, went[index].clone()));
    }
    let mut director = masq();
    assert!(director.server(&came[2]).is_nothing());
    let sent = director.server(&came[0]).sent;
    assert_eq!(sent, [(WAN, went[0].clone()), (WAN, went[2].clone())]);
    assert_eq!(director.server(&came[1]).frame(), (WAN, went[1].clone()));
}

/// Fragments for the director are all punted, in any order; the host reassembles them.
#[test]
fn icmp_for_the_director_is_punted_in_fragments() {
    let director = || one(Protocol::Udp, "10.1.0.11:53", ForwardMethod::Masq);
    for address in [VIP, "10.0.0.1"] {
        let request = frame().macs(WAN_MAC, ROUTER_MAC).ipv4(CLIENT, address);
        let pieces = request.icmp(8, 0, 1).payload([7; 200]).fragments(96);
        for order in [[0, 1, 2], [2, 1, 0]] {
            let mut director = director();
            for index in order {
                let punt = director.client(&pieces[index]).punt();
                assert_eq!((punt.reason, &punt.frame), (PuntReason::IcmpEcho, &pieces[index]));
            }
        }
    }
    // A datagram for an unserved port is answered once.
    let mut director = director();
    let pieces = request().udp(3000, 81).payload([7; 200]).fragments(96);
    assert_eq!(director.client(&pieces[0]).punt().reason, PuntReason::UnservedPort);
    assert_eq!(director.client(&pieces[1]).drop(), DropReason::UnservedPort);
}
