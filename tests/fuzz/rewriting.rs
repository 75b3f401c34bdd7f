//! NAT of any packet that the parser accepts, and the MSS of SYNs with any options: checksums stay correct or
//! incorrect, and nothing else changes.

use crate::oracle;
use crate::recipe::{Recipe, Upper};
use bolero::TypeGenerator;
use director::io::{Frame, MemoryFrame};
use director::packet::ethernet::ETHERNET;
use director::packet::{Fragment, Packet, Parse, Role, ipv4, tcp};
use director::rewrite::{self, End, Layer3};

/// A packet, and the new address and port of one end.
#[derive(Clone, Debug, TypeGenerator)]
struct Case {
    recipe: Recipe,
    source: bool,
    address: u128,
    port: u16,
    /// One more damaged byte.
    damage: Option<(u16, u8)>,
}

impl Case {
    fn end(&self) -> End {
        if self.source { End::Source } else { End::Destination }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.recipe.frame();
        if let Some((at, value)) = self.damage
            && !bytes.is_empty()
        {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        bytes
    }
}

trait Shortened: Layer3 + Parse {
    fn shortened(bits: u128) -> Self;
}

impl Shortened for u32 {
    fn shortened(bits: u128) -> u32 {
        bits as u32
    }
}

impl Shortened for u128 {
    fn shortened(bits: u128) -> u128 {
        bits
    }
}

/// Checks that the packets differ only in these ranges.
fn differ_only_in(before: &[u8], after: &[u8], places: &[std::ops::Range<usize>]) {
    assert_eq!(before.len(), after.len());
    for (at, (old, new)) in before.iter().zip(after).enumerate() {
        let is_allowed = places.iter().any(|place| place.contains(&at));
        assert!(old == new || is_allowed, "byte {at} went from {old:#x} to {new:#x}");
    }
}

fn checksum_place(protocol: u8) -> std::ops::Range<usize> {
    match protocol {
        ipv4::TCP => 16..18,
        ipv4::UDP => 6..8,
        ipv4::SCTP => 8..12,
        _ => 0..0,
    }
}

fn translate<A: Shortened>(case: &Case) {
    let mut frame = MemoryFrame::new(&case.bytes());
    let Some(before) = frame.bytes().get(ETHERNET..).map(<[u8]>::to_vec) else { return };
    let Ok(packet) = A::parse(&before) else { return };
    if packet.role == Role::IcmpError {
        // Its flow is that of the quoted packet, which `translate_error` rewrites.
        return;
    }
    let (end, address) = (case.end(), A::shortened(case.address));
    let was_right = oracle::is_upper_right(&packet, &before);
    let translated = match end {
        End::Source => rewrite::translate_source(&mut frame, &packet, address, case.port),
        End::Destination => rewrite::translate_destination(&mut frame, &packet, address, case.port),
    };
    if translated.is_err() {
        let is_sctp_piece = packet.protocol == ipv4::SCTP && packet.fragment != Fragment::Whole;
        assert!(is_sctp_piece, "refused {packet:?}");
        return;
    }
    let after = &frame.bytes()[ETHERNET..];
    let at = |end| if end == End::Source { A::SOURCE } else { A::DESTINATION };
    let header = usize::from(packet.header);
    let mut places: Vec<_> = std::iter::once(at(end)..at(end) + A::BYTES).collect();
    if A::BYTES == 4 {
        assert!(oracle::is_header_right(after));
        places.push(10..12);
    }
    if packet.role == Role::Transport {
        let port = header + if end == End::Source { 0 } else { 2 };
        let checksum = checksum_place(packet.protocol);
        places.extend([port..port + 2, header + checksum.start..header + checksum.end]);
    }
    differ_only_in(&before, after, &places);
    assert_eq!(A::read(&after[at(end)..]), address);
    if packet.role == Role::Transport {
        is_translated(&packet, after, end, address, case.port);
        let is_right = oracle::is_upper_right(&packet, after);
        match (was_right, packet.protocol) {
            (Some(true), _) => assert_eq!(is_right, Some(true)),
            // A wrong checksum must stay wrong, so that receivers detect it; SCTP's is computed again.
            (Some(false), ipv4::TCP | ipv4::UDP) => assert_ne!(is_right, Some(true)),
            (None, ipv4::UDP) if packet.fragment == Fragment::Whole => {
                assert_eq!(is_right, Some(true), "a missing checksum must be computed");
            }
            _ => {}
        }
    }
}

fn is_translated<A: Shortened>(packet: &Packet<A>, after: &[u8], end: End, address: A, port: u16) {
    let mut expected = *packet;
    match end {
        End::Source => (expected.flow.source, expected.flow.source_port) = (address, port),
        End::Destination => {
            (expected.flow.destination, expected.flow.destination_port) = (address, port);
        }
    }
    assert_eq!(A::parse(after), Ok(expected));
}

fn translate_error<A: Shortened>(case: &Case) {
    let mut frame = MemoryFrame::new(&case.bytes());
    let Some(before) = frame.bytes().get(ETHERNET..).map(<[u8]>::to_vec) else { return };
    let Ok(packet) = A::parse(&before) else { return };
    if packet.role != Role::IcmpError || packet.fragment != Fragment::Whole {
        return;
    }
    let (end, address) = (case.end(), A::shortened(case.address));
    rewrite::translate_error(&mut frame, &packet, end, address, case.port);
    let after = &frame.bytes()[ETHERNET..];
    let (outer, inner, port) = match end {
        End::Source => (A::SOURCE, A::DESTINATION, 2),
        End::Destination => (A::DESTINATION, A::SOURCE, 0),
    };
    let (quoted, transport) =
        (usize::from(packet.quoted), usize::from(packet.quoted_transport) + port);
    let header = usize::from(packet.header);
    let mut places = vec![
        outer..outer + A::BYTES,
        header + 2..header + 4,
        quoted + inner..quoted + inner + A::BYTES,
    ];
    if matches!(packet.flow.protocol, ipv4::TCP | ipv4::UDP | ipv4::SCTP) {
        places.push(transport..transport + 2);
    }
    if A::BYTES == 4 {
        assert!(oracle::is_header_right(after) && oracle::is_header_right(&after[quoted..]));
        places.extend([10..12, quoted + 10..quoted + 12]);
    }
    differ_only_in(&before, after, &places);
    assert_eq!(oracle::is_upper_right(&packet, after), Some(true));
    let again = A::parse(after).unwrap();
    assert_eq!(
        (again.role, again.quoted, again.length),
        (packet.role, packet.quoted, packet.length)
    );
    let rewritten = match end {
        End::Source => (again.flow.destination, again.flow.destination_port),
        End::Destination => (again.flow.source, again.flow.source_port),
    };
    let has_ports = matches!(packet.flow.protocol, ipv4::TCP | ipv4::UDP | ipv4::SCTP);
    assert_eq!(rewritten, (address, if has_ports { case.port } else { 0 }));
}

#[test]
fn packets() {
    bolero::check!().with_type::<Case>().with_test_time(crate::SHORT).for_each(|case| {
        match case.recipe.is_ipv6 {
            false => translate::<u32>(case),
            true => translate::<u128>(case),
        }
    });
}

#[test]
fn icmp_errors() {
    bolero::check!().with_type::<Case>().with_test_time(crate::SHORT).for_each(|case| {
        if !matches!(case.recipe.upper, Upper::Error { .. }) {
            return;
        }
        match case.recipe.is_ipv6 {
            false => translate_error::<u32>(case),
            true => translate_error::<u128>(case),
        }
    });
}

/// A quoted protocol without ports has no ports to rewrite. Found by `icmp_errors`.
#[test]
fn quoted_protocols_without_ports() {
    let quoted = director::testing::frame().ipv4("10.1.0.11", "77.0.0.1").protocol(96);
    let quoted = quoted.payload([0x5a; 16]).packet();
    let error = director::testing::frame().ipv4("77.0.0.1", "10.0.0.100");
    let mut frame = MemoryFrame::new(&error.icmp_error(3, 1, 0, &quoted).build());
    let packet = u32::parse(&frame.bytes()[ETHERNET..]).unwrap();
    assert_eq!(packet.role, Role::IcmpError);
    rewrite::translate_error(&mut frame, &packet, End::Source, 0x0a00_0064, 443);
    assert!(frame.bytes().ends_with(&[0x5a; 16]));
}

/// A SYN with these bytes as options, whatever its data offset.
#[derive(Clone, Debug, TypeGenerator)]
struct Syn {
    is_ipv6: bool,
    /// Data offset in units of 4 bytes.
    words: u8,
    /// Three of four bytes are taken modulo 8, so that they are valid kinds and lengths.
    options: [u8; 44],
    length: u8,
    limit: u16,
}

impl Syn {
    fn bytes(&self) -> Vec<u8> {
        let length = usize::from(self.length) % (self.options.len() + 1);
        let options = self.options[..length].iter().enumerate();
        let options: Vec<u8> =
            options.map(|(at, &octet)| if at % 4 == 3 { octet } else { octet & 7 }).collect();
        let frame = director::testing::frame();
        let mut bytes = match self.is_ipv6 {
            false => frame.ipv4("77.0.0.1", "10.0.0.100").tcp(4000, 80).payload(&options).build(),
            true => {
                frame.ipv6("2001:db8::3", "fd00:a::100").tcp(4000, 80).payload(&options).build()
            }
        };
        let header = bytes.len() - length - tcp::HEADER;
        bytes[header + 12] = self.words << 4;
        bytes[header + 13] = tcp::SYN;
        bytes
    }
}

/// Offset of the first MSS value: options are read one by one, until one is incomplete.
fn mss_place(mut options: &[u8]) -> Option<usize> {
    let all = options.len();
    loop {
        options = match *options {
            [0, ..] | [] => return None,
            [1, ref rest @ ..] => rest,
            [2, 4, _, _, ..] => return Some(all - options.len() + 2),
            [_, length, ..] if length >= 2 => options.get(usize::from(length)..)?,
            _ => return None,
        };
    }
}

fn clamp_mss<A: Shortened>(syn: &Syn) {
    let mut frame = MemoryFrame::new(&syn.bytes());
    let before = frame.bytes()[ETHERNET..].to_vec();
    let packet = A::parse(&before).unwrap();
    let is_lowered = rewrite::clamp_mss(&mut frame, &packet, syn.limit);
    let after = &frame.bytes()[ETHERNET..];
    let options = usize::from(packet.header) + tcp::HEADER;
    let end = (usize::from(packet.header) + tcp::header_length(&before[options - tcp::HEADER..]))
        .clamp(options, before.len());
    let place = mss_place(&before[options..end]).map(|at| options + at);
    let Some(at) = place.filter(|&at| before[at..at + 2] > syn.limit.to_be_bytes()[..]) else {
        assert_eq!((is_lowered, after), (false, &before[..]));
        return;
    };
    assert!(is_lowered);
    assert_eq!(after[at..at + 2], syn.limit.to_be_bytes());
    let checksum = options - tcp::HEADER + 16;
    differ_only_in(&before, after, &[at..at + 2, checksum..checksum + 2]);
    assert_eq!(oracle::is_upper_right(&packet, after), oracle::is_upper_right(&packet, &before));
    // The checksum did not cover the changed data offset and flags. With a correct one it stays correct.
    let mut corrected = before.clone();
    let (from, to) = (A::read(&before[A::SOURCE..]), A::read(&before[A::DESTINATION..]));
    tcp::write_checksum(&mut corrected[options - tcp::HEADER..], from, to);
    assert_eq!(oracle::is_upper_right(&packet, &corrected), Some(true));
    let mut frame = MemoryFrame::new(&[&[0; ETHERNET][..], &corrected].concat());
    assert!(rewrite::clamp_mss(&mut frame, &packet, syn.limit));
    assert_eq!(oracle::is_upper_right(&packet, &frame.bytes()[ETHERNET..]), Some(true));
}

#[test]
fn segment_sizes() {
    bolero::check!().with_type::<Syn>().with_test_time(crate::SHORT).for_each(|syn| {
        match syn.is_ipv6 {
            false => clamp_mss::<u32>(syn),
            true => clamp_mss::<u128>(syn),
        }
    });
}
