//! ARP and neighbour discovery: packets parse as built, and parsing any bytes is safe.

use director::packet::arp::{self, Arp};
use director::packet::ethernet::{self, ETHERNET};
use director::packet::{Parse, ndp};
use director::testing::frame;

#[test]
fn arp() {
    bolero::check!().with_test_time(crate::SHORT).for_each(|bytes: &[u8]| {
        // Three of four inputs have a valid hardware and protocol type.
        let mut bytes = bytes.to_vec();
        if bytes.first().is_some_and(|first| first & 3 != 0) && bytes.len() >= 8 {
            let operation = bytes[7] % 4;
            bytes[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, operation]);
        }
        let Some(message) = Arp::parse(&bytes) else { return };
        assert!(
            bytes.len() >= arp::ARP && bytes[8] & 1 == 0,
            "a multicast address is not a valid sender"
        );
        let mut out = [0; ethernet::SHORTEST];
        let length = message.write(&mut out, ethernet::BROADCAST);
        assert!((arp::FRAME..=out.len()).contains(&length));
        assert_eq!(out[ETHERNET..arp::FRAME], bytes[..arp::ARP]);
        assert_eq!(Arp::parse(&out[ETHERNET..length]), Some(message));
    });
}

#[test]
fn discovery() {
    bolero::check!().with_test_time(crate::SHORT).for_each(|bytes: &[u8]| {
        // An ICMPv6 message between link-local addresses with hop limit 255.
        let (kind, body) = bytes.split_first().map_or((0, bytes), |(kind, body)| (*kind, body));
        let mut body = body.to_vec();
        for option in body.iter_mut().skip(16).step_by(8) {
            *option %= 4;
        }
        for length in body.iter_mut().skip(17).step_by(8) {
            *length %= 4;
        }
        let packet = frame()
            .ipv6("fe80::2", "fe80::1")
            .ttl(if kind & 0x80 == 0 { 255 } else { kind })
            .icmp(134 + kind % 4, 0, u32::from(kind) << 24)
            .payload(body);
        let bytes = packet.packet();
        let Ok(parsed) = u128::parse(&bytes) else { panic!("a complete packet was refused") };
        let Some(message) = ndp::Neighbour::parse(&parsed, &bytes) else { return };
        let route = ndp::Route {
            destination_mac: [2, 0, 0, 0, 0, 1],
            source_mac: [2, 0, 0, 0, 0, 2],
            source: parsed.flow.source,
            destination: parsed.flow.destination,
        };
        let mut out = [0; ndp::FRAME];
        let length = message.write(&mut out, &route);
        let written = &out[ETHERNET..length];
        let again = u128::parse(written).unwrap();
        assert_eq!(ndp::Neighbour::parse(&again, written), Some(message));
    });
}
