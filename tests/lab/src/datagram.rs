//! Reassembles datagrams for comparison: a kernel forwards a datagram whole or fragments it differently, the director
//! forwards each fragment.

use crate::checksum;
use crate::frame::{self, ETHERNET_LENGTH, Internet};
use crate::transcript::Sent;

/// The frames, with the fragments of each datagram joined into one frame at the place of the first. Incomplete
/// datagrams are left out.
pub fn whole(frames: &[Sent]) -> Vec<Sent> {
    let mut done: Vec<Sent> = Vec::new();
    let mut seen: Vec<(String, Vec<u8>, u32)> = Vec::new();
    for sent in frames {
        let Some(header) = fragment(&sent.frame) else {
            done.push(sent.clone());
            continue;
        };
        let key = key(sent, &header);
        if seen.contains(&key) {
            continue;
        }
        let of_this = |other: &&Sent| {
            fragment(&other.frame).is_some_and(|header| self::key(other, &header) == key)
        };
        let pieces: Vec<&Sent> = frames.iter().filter(of_this).collect();
        done.extend(put_together(&pieces).map(|frame| Sent { port: sent.port.clone(), frame }));
        seen.push(key);
    }
    done
}

/// [`whole`] without what is sent back to the sender of `input`. An error or reset about a fragmented datagram quotes
/// the first fragment in the director and the whole datagram in a kernel.
pub fn forwarded(frames: &[Sent], input: &[u8]) -> Vec<Sent> {
    let sender = frame::internet(input).map(|header| header.source);
    let goes_on = |sent: &Sent| {
        let header = frame::internet(&sent.frame);
        header.is_none_or(|header| Some(header.destination) != sender)
    };
    whole(frames).into_iter().filter(goes_on).collect()
}

/// Header of a fragment.
fn fragment(frame: &[u8]) -> Option<Internet> {
    frame::internet(frame).filter(|header| header.more_fragments || header.fragment_offset != 0)
}

/// What all fragments of a datagram share: port, MAC addresses, addresses, protocol, identification.
fn key(sent: &Sent, header: &Internet) -> (String, Vec<u8>, u32) {
    let mut bytes = sent.frame[..ETHERNET_LENGTH].to_vec();
    bytes.extend(format!("{} {} {}", header.source, header.destination, header.protocol).bytes());
    (sent.port.clone(), bytes, header.ident)
}

fn put_together(pieces: &[&Sent]) -> Option<Vec<u8>> {
    let mut pieces: Vec<(Internet, &[u8])> = pieces
        .iter()
        .filter_map(|sent| Some((frame::internet(&sent.frame)?, sent.frame.as_slice())))
        .collect();
    pieces.sort_by_key(|(header, _)| header.fragment_offset);
    let mut payload: Vec<u8> = Vec::new();
    for (header, frame) in &pieces {
        let ipv4 = header.source.is_ipv4();
        if ipv4 && !checksum::holds(frame.get(ETHERNET_LENGTH..header.payload)?) {
            return None;
        }
        if usize::from(header.fragment_offset) != payload.len() {
            return None;
        }
        payload.extend(frame.get(header.payload..header.end)?);
    }
    let (last, _) = pieces.last()?;
    let (first, frame) = pieces.first()?;
    if last.more_fragments {
        return None;
    }
    let mut whole = frame[..first.fragment_header.unwrap_or(first.payload)].to_vec();
    let header = whole.len() - ETHERNET_LENGTH;
    whole.extend(&payload);
    match first.fragment_header {
        Some(_) => {
            whole[ETHERNET_LENGTH + 4..][..2]
                .copy_from_slice(&(payload.len() as u16).to_be_bytes());
            whole[ETHERNET_LENGTH + 6] = first.protocol;
        }
        None => {
            let length = (header + payload.len()) as u16;
            whole[ETHERNET_LENGTH + 2..][..2].copy_from_slice(&length.to_be_bytes());
            whole[ETHERNET_LENGTH + 6..][..2].fill(0);
            whole[ETHERNET_LENGTH + 10..][..2].fill(0);
            let sum = checksum::of(&whole[ETHERNET_LENGTH..ETHERNET_LENGTH + header]);
            whole[ETHERNET_LENGTH + 10..][..2].copy_from_slice(&sum.to_be_bytes());
        }
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use director::testing::frame;

    fn sent(frame: Vec<u8>) -> Sent {
        Sent { port: "lan0".to_owned(), frame }
    }

    #[test]
    fn a_datagram_is_equal_for_any_fragmentation() {
        let ipv4 = frame().ipv4("10.9.8.7", "10.0.0.100").udp(4000, 53).payload([0x55; 300]);
        let ipv6 = frame().ipv6("2001:db8::1", "fd00:a::100").udp(4000, 53).payload([0x55; 300]);
        for (one, other, uncut) in [
            (ipv4.fragments(48), ipv4.fragments(160), ipv4.build()),
            (ipv6.fragments(48), ipv6.fragments(160), ipv6.build()),
        ] {
            let one: Vec<Sent> = one.into_iter().map(sent).collect();
            let other: Vec<Sent> = other.into_iter().rev().map(sent).collect();
            assert_eq!(whole(&one), [sent(uncut.clone())]);
            assert_eq!(whole(&other), [sent(uncut)]);
            assert_eq!(whole(&one[1..]), [], "the first fragment is missing");
            assert_eq!(whole(&one[..1]), [], "the last fragment is missing");
        }
    }

    #[test]
    fn frames_back_to_the_sender_are_left_out() {
        let there = frame().ipv4("10.9.8.7", "10.0.0.100").udp(4000, 53).build();
        let back = frame().ipv4("10.0.0.100", "10.9.8.7").icmp(3, 3, 0).build();
        let frames = [sent(there.clone()), sent(back)];
        assert_eq!(forwarded(&frames, &there), [sent(there.clone())]);
    }

    #[test]
    fn a_fragment_with_a_wrong_checksum_makes_its_datagram_wrong() {
        let packet = frame().ipv4("10.9.8.7", "10.0.0.100").udp(4000, 53).payload([0x55; 100]);
        let mut frames: Vec<Sent> = packet.fragments(48).into_iter().map(sent).collect();
        frames[1].frame[22] ^= 1;
        assert_eq!(whole(&frames), []);
    }
}
