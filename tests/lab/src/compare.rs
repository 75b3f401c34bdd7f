//! Compares frames and describes the difference.
//!
//! All bytes count, except what a kernel chooses at random or from its own counters: the IPv4 identification (IPv6 flow
//! label or fragment identification) if it differs from the received one, and the source port of a tunnel's outer UDP
//! header. A checksum over such a field must be correct but may differ.

use crate::checksum;
use crate::frame::{self, ETHERNET_LENGTH, IPV4, IPV6, Internet, UDP};
use crate::transcript::Sent;
use std::net::IpAddr;

/// Source port and checksum of the outer UDP header.
const UDP_HEADER: usize = 8;

/// What is known about the step of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The frame sent to the director, if any.
    pub input: Option<&'a [u8]>,
    /// The director's own addresses, without VIPs: a datagram from one of them is a tunnel packet.
    pub own_addresses: &'a [IpAddr],
}

/// Compares the expected frames with the received ones in any order; describes the first difference.
pub fn difference(expected: &[Sent], actual: &[Sent], context: &Context) -> Option<String> {
    let mut left: Vec<&Sent> = actual.iter().collect();
    let mut missing: Vec<&Sent> = Vec::new();
    for wanted in expected {
        let same = |got: &&Sent| {
            got.port == wanted.port
                && frame_difference(&wanted.frame, &got.frame, context).is_none()
        };
        match left.iter().position(same) {
            Some(at) => drop(left.remove(at)),
            None => missing.push(wanted),
        }
    }
    let tell = |sent: &Sent| format!("{}: {}", sent.port, frame::describe(&sent.frame));
    match (missing.first(), left.first()) {
        (None, None) => None,
        (Some(wanted), None) => Some(format!("nothing sent, expected {}", tell(wanted))),
        (None, Some(got)) => Some(format!("unexpected {}", tell(got))),
        (Some(wanted), Some(got)) if wanted.port != got.port => {
            Some(format!("expected {}, got {}", tell(wanted), tell(got)))
        }
        (Some(wanted), Some(got)) => {
            let detail = frame_difference(&wanted.frame, &got.frame, context).unwrap_or_default();
            Some(format!("{detail}; expected {}, got {}", tell(wanted), tell(got)))
        }
    }
}

/// The first relevant difference between two frames.
fn frame_difference(expected: &[u8], actual: &[u8], context: &Context) -> Option<String> {
    let (mut wanted, mut got) = (expected.to_vec(), actual.to_vec());
    if let (Some(header), Some(own)) = (frame::internet(expected), frame::internet(actual)) {
        let rules = Rules::of(expected, &header, context);
        if let Some(complaint) = rules.complaint(actual, &own) {
            return Some(complaint);
        }
        rules.veil(&mut wanted, &header);
        rules.veil(&mut got, &own);
    }
    if let Some(at) = wanted.iter().zip(&got).position(|(one, other)| one != other) {
        let field = frame::field_at(expected, at);
        let bytes = |frame: &[u8]| {
            let end = frame.len().min(at + 4);
            frame[at..end].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let (wanted, got) = (bytes(expected), bytes(actual));
        return Some(format!("{field} differs at byte {at} ({wanted}.. against {got}..)"));
    }
    let lengths = (expected.len(), actual.len());
    (lengths.0 != lengths.1).then(|| format!("{} bytes against {}", lengths.0, lengths.1))
}

/// Fields of an expected frame that the kernel chose freely.
#[derive(Debug, Clone, Copy)]
struct Rules {
    free_ident: bool,
    free_flow_label: bool,
    free_source_port: bool,
    /// True if the outer UDP header has a checksum.
    datagram_checksum: bool,
}

impl Rules {
    fn of(expected: &[u8], header: &Internet, context: &Context) -> Rules {
        let input = context.input.and_then(frame::internet);
        let kept = |field: fn(&Internet) -> u32| {
            input.is_some_and(|input| {
                input.source.is_ipv4() == header.source.is_ipv4() && field(&input) == field(header)
            })
        };
        let tunnelled = header.protocol == UDP
            && header.fragment_offset == 0
            && context.own_addresses.contains(&header.source);
        let datagram = expected.get(header.payload..header.payload + UDP_HEADER);
        Rules {
            free_ident: !kept(|header| header.ident),
            free_flow_label: !kept(|header| header.flow_label),
            free_source_port: tunnelled,
            datagram_checksum: datagram.is_some_and(|datagram| datagram[6..8] != [0, 0]),
        }
    }

    /// Describes a wrong checksum in a frame whose checksum may differ.
    fn complaint(&self, frame: &[u8], header: &Internet) -> Option<String> {
        let ipv4 = header.source.is_ipv4();
        if ipv4 && self.free_ident && !checksum::holds(frame.get(ETHERNET_LENGTH..header.payload)?)
        {
            return Some("wrong IPv4 header checksum".to_owned());
        }
        if !self.free_source_port || header.protocol != UDP || header.more_fragments {
            return None;
        }
        let datagram = frame.get(header.payload..header.end)?;
        let present = datagram.get(6..8)? != [0, 0];
        if present != self.datagram_checksum {
            let which = if present { "present" } else { "missing" };
            return Some(format!("outer UDP checksum is {which}"));
        }
        let Internet { source, destination, .. } = *header;
        let holds =
            !present || checksum::holds_with_pseudo_header(source, destination, UDP, datagram);
        (!holds).then(|| "wrong outer UDP checksum".to_owned())
    }

    /// Clears the fields that may differ.
    fn veil(&self, frame: &mut [u8], header: &Internet) {
        let mut blank = |from: usize, to: usize| {
            if let Some(bytes) = frame.get_mut(from..to) {
                bytes.fill(0);
            }
        };
        let kind = if header.source.is_ipv4() { IPV4 } else { IPV6 };
        if self.free_ident && kind == IPV4 {
            blank(ETHERNET_LENGTH + 4, ETHERNET_LENGTH + 6);
            blank(ETHERNET_LENGTH + 10, ETHERNET_LENGTH + 12);
        }
        if let (true, Some(at)) = (self.free_ident, header.fragment_header) {
            blank(at + 4, at + 8);
        }
        if self.free_source_port && header.protocol == UDP {
            blank(header.payload, header.payload + 2);
            blank(header.payload + 6, header.payload + 8);
        }
        if self.free_flow_label && kind == IPV6 {
            blank(ETHERNET_LENGTH + 2, ETHERNET_LENGTH + 4);
            if let Some(byte) = frame.get_mut(ETHERNET_LENGTH + 1) {
                *byte &= 0xf0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::SYN;

    fn sent(frame: &[u8]) -> Sent {
        Sent { port: "lan0".to_owned(), frame: frame.to_vec() }
    }

    fn changed(frame: &[u8], at: usize, value: u8) -> Vec<u8> {
        let mut frame = frame.to_vec();
        frame[at] = value;
        frame
    }

    /// Sets the correct IPv4 header checksum.
    fn mended(mut frame: Vec<u8>) -> Vec<u8> {
        frame[24..26].fill(0);
        for value in 0..=u16::MAX {
            frame[24..26].copy_from_slice(&value.to_be_bytes());
            if checksum::holds(&frame[14..34]) {
                return frame;
            }
        }
        unreachable!("one checksum is correct");
    }

    const NOWHERE: Context = Context { input: None, own_addresses: &[] };

    #[test]
    fn every_byte_of_a_forwarded_packet_counts() {
        let context = Context { input: Some(&SYN), ..NOWHERE };
        for (at, byte) in SYN.iter().enumerate() {
            let other = changed(&SYN, at, byte ^ 0x10);
            let told = difference(&[sent(&SYN)], &[sent(&other)], &context);
            assert!(told.is_some(), "byte {at}");
        }
        assert_eq!(difference(&[sent(&SYN)], &[sent(&SYN)], &context), None);
        let padded = [&SYN[..], &[0; 6]].concat();
        let told = difference(&[sent(&SYN)], &[sent(&padded)], &context).unwrap();
        assert!(told.starts_with("54 bytes against 60"), "{told}");
    }

    #[test]
    fn identification_may_differ_in_packets_of_the_director() {
        let other = mended(changed(&SYN, 19, 200));
        assert_eq!(difference(&[sent(&SYN)], &[sent(&other)], &NOWHERE), None);
        let wrong = changed(&other, 25, other[25] ^ 1);
        let told = difference(&[sent(&SYN)], &[sent(&wrong)], &NOWHERE).unwrap();
        assert!(told.starts_with("wrong IPv4 header checksum"), "{told}");
        let late = mended(changed(&SYN, 22, 63));
        let told = difference(&[sent(&SYN)], &[sent(&late)], &NOWHERE).unwrap();
        assert!(told.starts_with("TTL differs"), "{told}");
    }

    #[test]
    fn order_may_differ_but_not_the_number() {
        let first = sent(&SYN);
        let second = sent(&mended(changed(&SYN, 22, 63)));
        let (one, other) = ([first.clone(), second.clone()], [second.clone(), first.clone()]);
        assert_eq!(difference(&one, &other, &NOWHERE), None);
        let told = difference(&one, &other[..1], &NOWHERE).unwrap();
        assert!(told.starts_with("nothing sent"), "{told}");
        let told = difference(&one[..1], &other, &NOWHERE).unwrap();
        assert!(told.starts_with("unexpected"), "{told}");
        let elsewhere = Sent { port: "wan0".to_owned(), ..first.clone() };
        assert!(difference(&[first], &[elsewhere], &NOWHERE).unwrap().contains("got wan0"));
    }

    #[test]
    fn a_tunnels_source_port_may_differ_but_its_checksum_must_be_correct() {
        let own = ["10.0.0.1".parse().unwrap()];
        let context = Context { input: None, own_addresses: &own };
        let mut frame = SYN[..34].to_vec();
        frame.extend([0xc0, 0, 0x17, 0xc0, 0, 10, 0, 0, 1, 2]);
        frame[17] = 30;
        frame[23] = UDP;
        frame[26..30].copy_from_slice(&[10, 0, 0, 1]);
        let plain = mended(frame);
        let other = changed(&plain, 35, 9);
        assert_eq!(difference(&[sent(&plain)], &[sent(&other)], &context), None);
        let with_checksum = changed(&other, 41, 9);
        let told = difference(&[sent(&plain)], &[sent(&with_checksum)], &context).unwrap();
        assert!(told.starts_with("outer UDP checksum is present"), "{told}");
        let told = difference(&[sent(&with_checksum)], &[sent(&with_checksum)], &context);
        assert!(told.unwrap().starts_with("wrong outer UDP checksum"));
        let told = difference(&[sent(&plain)], &[sent(&other)], &NOWHERE);
        assert!(told.unwrap().starts_with("source port differs"));
    }
}
