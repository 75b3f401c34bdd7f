//! The parser on random bytes and on frames of the builder.

use crate::oracle;
use crate::recipe::{Recipe, Upper};
use director::packet::ethernet::{self, ETHERNET, Payload};
use director::packet::{Address, Fragment, Packet, Parse, Role, icmp, ipv4, ipv6};
use director::reason::DropReason;

/// Checks every packet that the parser accepts: all offsets lie inside the packet.
fn check<A: Parse>(bytes: &[u8]) -> Result<Packet<A>, DropReason> {
    let packet = A::parse(bytes)?;
    let (header, length) = (usize::from(packet.header), usize::from(packet.length));
    assert!(header <= length && length <= bytes.len(), "{packet:?}");
    assert_eq!(A::parse(&bytes[..length]), Ok(packet), "padding must not matter");
    let room = match (packet.role, packet.protocol) {
        (Role::Transport, 6) => 20,
        (Role::Transport, 17) => 8,
        (Role::Transport, 132) => 16,
        (Role::Transport, other) => panic!("ports in protocol {other}"),
        (Role::Icmp | Role::IcmpError, protocol) => {
            assert_eq!(protocol, icmp::protocol(A::FAMILY));
            icmp::HEADER
        }
        (Role::LaterFragment | Role::Other, _) => 0,
    };
    assert!(header + room <= length, "{packet:?}");
    assert_eq!(packet.role == Role::LaterFragment, packet.fragment == Fragment::Later);
    if A::BYTES == 4 {
        let offset = ipv4::fragment_word(bytes) & ipv4::FRAGMENT_OFFSET;
        assert_eq!(packet.fragment == Fragment::Later, offset != 0);
    }
    if packet.role == Role::IcmpError {
        let (quoted, transport) = (packet.quoted.into(), packet.quoted_transport.into());
        assert!(header + icmp::HEADER <= quoted && quoted < transport, "{packet:?}");
        assert!(transport + 4 <= length, "{packet:?}");
    }
    // One byte less than the packet's length must be refused.
    assert!(length == 0 || A::parse(&bytes[..length - 1]).is_err(), "{packet:?}");
    Ok(packet)
}

fn check_any(bytes: &[u8]) {
    match ethernet::ethernet(bytes) {
        Ok(Payload::Ipv4) => drop(check::<u32>(&bytes[ETHERNET..])),
        Ok(Payload::Ipv6) => drop(check::<u128>(&bytes[ETHERNET..])),
        Ok(Payload::Arp | Payload::Other(_)) => {}
        Err(reason) => assert!(reason == DropReason::TooShort && bytes.len() < ETHERNET),
    }
    // Tries every parser, whatever the EtherType.
    let _ = check::<u32>(bytes);
    let _ = check::<u128>(bytes);
}

#[test]
fn any_bytes() {
    bolero::check!().with_test_time(crate::SHORT).for_each(check_any);
}

#[test]
fn damaged_frames() {
    bolero::check!()
        .with_type::<Recipe>()
        .with_test_time(crate::SHORT)
        .for_each(|recipe| check_any(&recipe.frame()));
}

fn is_as_made<A: Parse>(recipe: &Recipe, bytes: &[u8]) {
    let ip = &bytes[ETHERNET..];
    let packet = match check::<A>(ip) {
        Ok(packet) => packet,
        // A raw payload need not begin with a valid header, and a fragment may end inside the header.
        Err(DropReason::BadTransport | DropReason::BadIpHeader) => {
            assert!(matches!(recipe.upper, Upper::Raw { .. }), "{recipe:?}");
            return;
        }
        Err(reason) => panic!("{reason:?} for {recipe:?}"),
    };
    assert_eq!((packet.ttl, packet.tos), (recipe.ttl, recipe.tos));
    let is_made_up = matches!(recipe.upper, Upper::Raw { .. });
    let options = recipe.options || A::BYTES == 16 && recipe.fragment.is_some();
    let shortest = if A::BYTES == 4 { ipv4::HEADER } else { ipv6::HEADER };
    let has_options = usize::from(packet.header) > shortest;
    assert!(has_options == options || is_made_up);
    let right = oracle::is_upper_right(&packet, ip);
    assert!(is_made_up || right != Some(false), "{packet:?}");
    let expected = match recipe.fragment {
        Some((offset, _)) if offset % 32 != 0 => Role::LaterFragment,
        _ => match recipe.upper {
            Upper::Tcp { .. } | Upper::Udp { .. } | Upper::Sctp { .. } => Role::Transport,
            Upper::Echo => Role::Icmp,
            Upper::Error { .. } | Upper::Raw { .. } => return,
        },
    };
    assert_eq!(packet.role, expected, "{packet:?}");
}

#[test]
fn intact_frames_parse_as_built() {
    bolero::check!().with_type::<Recipe>().with_test_time(crate::SHORT).for_each(|recipe| {
        if !recipe.is_intact() {
            return;
        }
        let bytes = recipe.frame();
        match recipe.is_ipv6 {
            false => is_as_made::<u32>(recipe, &bytes),
            true => is_as_made::<u128>(recipe, &bytes),
        }
    });
}

const _: () = assert!(<u32 as Address>::BYTES == 4 && <u128 as Address>::BYTES == 16);
