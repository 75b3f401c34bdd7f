//! Fragments through the real worker, in any order, overlapping, repeated or in floods: each is sent, dropped or punted
//! in the end, few are held, none for long, and datagrams of a connection arrive complete.

use crate::farm::Farm;
use crate::support::director::{Shape, TestDirector};
use crate::support::{LAN, WAN};
use bolero::TypeGenerator;
use director::io::MemoryFrame;
use director::packet::ethernet::ETHERNET;
use director::packet::{Fragment, Packet, Parse, ipv4};
use director::reason::DropReason;
use director::testing::{PacketBuilder, frame};
use director::time::Duration;

/// Maximum number of held fragments, per family.
const WAITING: usize = 128;
/// Service ports with methods that forward fragments.
const PORTS: [u16; 4] = [80, 81, 82, 85];

/// One fragment of one of a few datagrams; the fragments need not fit together.
#[derive(Clone, Debug, TypeGenerator)]
struct Piece {
    is_ipv6: bool,
    is_tcp: bool,
    #[generator(0..2u8)]
    client: u8,
    #[generator(0..5u8)]
    identification: u8,
    #[generator(0..8u8)]
    offset: u8,
    more: bool,
    #[generator(0..4u8)]
    port: u8,
    #[generator(0..64u8)]
    length: u8,
    /// Pause before it, in units of 16 ms.
    pause: Option<u8>,
    /// Number of similar fragments that follow, each of another datagram.
    #[generator(0..40u8)]
    flood: u8,
}

impl Piece {
    fn build(&self, identification: u32) -> Vec<u8> {
        match self.is_ipv6 {
            false => {
                self.finish(frame().ipv4([77, 0, 0, self.client], "10.0.0.100"), identification)
            }
            true => {
                let client = 0x2001_0db8 << 96 | u128::from(self.client);
                self.finish(frame().ipv6(client, "fd00:a::100"), identification)
            }
        }
    }

    fn finish<A: director::packet::Address>(
        &self,
        packet: PacketBuilder<A>,
        identification: u32,
    ) -> Vec<u8> {
        let port = PORTS[usize::from(self.port)];
        let packet = match (self.offset, self.is_tcp) {
            (0, true) => packet.tcp(4000, port).flags(2),
            (0, false) => packet.udp(4000, port),
            (_, is_tcp) => packet.protocol(if is_tcp { 6 } else { 17 }),
        };
        packet
            .identification(identification)
            .fragment(u16::from(self.offset) * 8, self.more)
            .payload(vec![0x11; usize::from(self.length) * 8])
            .build()
    }
}

#[test]
fn any_pieces() {
    bolero::check!().with_type::<Vec<Piece>>().with_test_time(crate::SHORT).for_each(|pieces| {
        let (mut director, _) = Farm::new().director(Shape::default());
        for piece in pieces {
            if let Some(pause) = piece.pause {
                director.pass(Duration::from_millis(u64::from(pause) * 16));
            }
            for number in 0..=u32::from(piece.flood) {
                let identification = u32::from(piece.identification) + number * 5;
                let bytes = piece.build(identification);
                director.input_at(0, WAN, MemoryFrame::new(&bytes));
            }
            let totals = director.totals();
            let waiting = totals.received - totals.sent - totals.dropped - totals.punted;
            assert!(waiting as usize <= 2 * WAITING, "{waiting} fragments wait");
        }
        let before = director.totals();
        let outcome = director.pass_s(3);
        let after = director.totals();
        assert_eq!(after.received, after.sent + after.dropped + after.punted, "{after:?}");
        // Fragments that were still held have timed out.
        let late = before.received - before.sent - before.dropped - before.punted;
        let timed_out = |reason: &&DropReason| **reason == DropReason::FragmentTimedOut;
        assert_eq!(outcome.drops.iter().filter(timed_out).count() as u64, late);
    });
}

/// A datagram that is fragmented and arrives in another order.
#[derive(Clone, Debug, TypeGenerator)]
struct Shuffled {
    is_ipv6: bool,
    #[generator(0..4u8)]
    port: u8,
    #[generator(600..1400u16)]
    length: u16,
    /// In units of 8 bytes. An Ethernet frame carries datagrams of at most 44 such fragments.
    #[generator(5..12u8)]
    size: u8,
    order: [u16; 90],
}

/// Reassembles the payload of a datagram.
fn together<A: Parse>(frames: &[Vec<u8>], overhead: usize) -> Vec<u8> {
    let mut pieces: Vec<(u16, Vec<u8>)> = frames
        .iter()
        .map(|frame| {
            let ip = &frame[ETHERNET + overhead..];
            let packet = A::parse(ip).unwrap();
            assert_ne!(packet.fragment, Fragment::Whole);
            let payload = &ip[usize::from(packet.header)..usize::from(packet.length)];
            (offset(&packet, ip), payload.to_vec())
        })
        .collect();
    pieces.sort();
    let mut whole = Vec::new();
    for (offset, payload) in pieces {
        assert_eq!(usize::from(offset), whole.len(), "a fragment is missing or repeated");
        whole.extend(payload);
    }
    whole
}

/// Offset of a fragment in its datagram, in bytes. In IPv6 the fragment header must be the last extension header.
fn offset<A: Parse>(packet: &Packet<A>, ip: &[u8]) -> u16 {
    let at = usize::from(packet.header);
    match A::BYTES {
        4 => (ipv4::fragment_word(ip) & ipv4::FRAGMENT_OFFSET) * 8,
        _ => u16::from_be_bytes([ip[at - 6], ip[at - 5]]) & 0xfff8,
    }
}

fn comes_out<A: Parse>(
    director: &mut TestDirector,
    frames: &[Vec<u8>],
    case: &Shuffled,
) -> Vec<u8> {
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.sort_by_key(|&index| case.order[index % case.order.len()]);
    let mut sent = Vec::new();
    for index in order {
        let outcome = director.input_at(0, WAN, MemoryFrame::new(&frames[index]));
        assert!(outcome.drops.is_empty() && outcome.punts.is_empty(), "{outcome:?}");
        assert!(outcome.sent.iter().all(|(port, _)| *port == LAN));
        sent.extend(outcome.sent.into_iter().map(|(_, bytes)| bytes));
    }
    assert_eq!(sent.len(), frames.len(), "every fragment is forwarded");
    let servers: Vec<[u8; 6]> = sent.iter().map(|frame| frame[..6].try_into().unwrap()).collect();
    assert!(servers.windows(2).all(|pair| pair[0] == pair[1]), "fragments went to several servers");
    let overhead = match (PORTS[usize::from(case.port)], A::BYTES) {
        (82, 4) => 20,
        (82, _) => 40,
        (85, 4) => 24,
        (85, _) => 44,
        _ => 0,
    };
    together::<A>(&sent, overhead)
}

#[test]
fn datagrams_are_complete_in_any_order() {
    bolero::check!().with_type::<Shuffled>().with_test_time(crate::SHORT).for_each(|case| {
        let (mut director, _) = Farm::new().director(Shape::default());
        let port = PORTS[usize::from(case.port)];
        let payload: Vec<u8> = (0..case.length).map(|index| (index / 8) as u8).collect();
        let size = usize::from(case.size) * 8;
        let came = match case.is_ipv6 {
            false => {
                let packet = frame().ipv4("77.0.0.1", "10.0.0.100").udp(4000, port);
                let frames = packet.payload(&payload).fragments(size);
                comes_out::<u32>(&mut director, &frames, case)
            }
            true => {
                let packet = frame().ipv6("2001:db8::1", "fd00:a::100").udp(4000, port);
                let frames = packet.payload(&payload).fragments(size);
                comes_out::<u128>(&mut director, &frames, case)
            }
        };
        assert_eq!(came[8..], payload);
    });
}
