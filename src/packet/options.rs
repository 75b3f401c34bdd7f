//! Options of IPv6 hop-by-hop and destination options headers (RFC 8200 section 4.2), and routing headers (section 4.4),
//! checked as Linux checks them in packets for itself.

use super::ipv6;

/// Option types.
const PAD1: u8 = 0;
const PADN: u8 = 1;
/// Mobile IPv6: the packet is dropped, because no home address is known here (RFC 6275 section 9.3.1).
const HOME_ADDRESS: u8 = 0xc9;

/// Types of routing headers, from Mobile IPv6 over RPL to segment routing (RFC 6275, 6554, 8754).
const MOBILE_IPV6: u8 = 2;
const SEGMENT_ROUTING: u8 = 4;

/// Maximum bytes of padding in a row: more than any alignment needs (Linux).
const PADDING_MAX: usize = 7;
/// Maximum options of one header, without padding (Linux's max_dst_opts_number and max_hbh_opts_number).
const OPTIONS_MAX: usize = 8;

/// Codes of an ICMPv6 "parameter problem" (RFC 4443 section 3.4).
const ERRONEOUS_FIELD: u8 = 0;
const UNRECOGNIZED_OPTION: u8 = 2;

/// Why a packet must not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// The packet is dropped silently.
    Discard,
    /// The sender gets a parameter problem with this code. `place`: offset of the octet in question from the start of the
    /// packet.
    Problem { code: u8, place: u16 },
}

/// Checks the options and routing headers of `packet`. `end` is the offset of the upper-layer header: the parser
/// has followed the chain up to there.
///
/// # Errors
/// The first fault.
pub(crate) fn check(packet: &[u8], end: usize) -> Result<(), HeaderFault> {
    let (mut number, mut at) = (ipv6::next_header(packet), ipv6::HEADER);
    while at < end {
        let header = packet.get(at..end).filter(|rest| rest.len() >= 2);
        let header = header.ok_or(HeaderFault::Discard)?;
        let length = match number {
            ipv6::FRAGMENT => ipv6::FRAGMENT_HEADER,
            _ => (usize::from(header[1]) + 1) * 8,
        };
        let header = header.get(..length).ok_or(HeaderFault::Discard)?;
        match number {
            ipv6::HOP_BY_HOP | ipv6::DESTINATION_OPTIONS => check_options(number, header, at)?,
            ipv6::ROUTING => check_routing(header, at)?,
            _ => {}
        }
        number = header[0];
        at += length;
    }
    Ok(())
}

/// A routing header that is used up is skipped. Types that Linux knows are dropped: they need settings or a home address.
fn check_routing(header: &[u8], start: usize) -> Result<(), HeaderFault> {
    match *header {
        [_, _, MOBILE_IPV6..=SEGMENT_ROUTING, ..] => Err(HeaderFault::Discard),
        [_, _, _, 0, ..] => Ok(()),
        _ => Err(HeaderFault::Problem { code: ERRONEOUS_FIELD, place: (start + 2) as u16 }),
    }
}

/// Checks the options of the header with this number in `header`, which is at offset `start` of the packet.
fn check_options(number: u8, header: &[u8], start: usize) -> Result<(), HeaderFault> {
    let (mut at, mut padding, mut options) = (2, 0, 0);
    while let Some((&option, rest)) = header.get(at..).and_then(<[u8]>::split_first) {
        if option == PAD1 {
            padding += 1;
            at += 1;
        } else {
            let length = usize::from(*rest.first().ok_or(HeaderFault::Discard)?);
            let data = rest.get(1..1 + length).ok_or(HeaderFault::Discard)?;
            at += 2 + length;
            if option == PADN {
                padding += 2 + length;
                if data.iter().any(|byte| *byte != 0) {
                    return Err(HeaderFault::Discard);
                }
            } else {
                (padding, options) = (0, options + 1);
                let place = start + at - 2 - length;
                check_option(number, option, place as u16)?;
            }
        }
        if padding > PADDING_MAX || options > OPTIONS_MAX {
            return Err(HeaderFault::Discard);
        }
    }
    Ok(())
}

/// The highest two bits of an option's type tell what to do with a packet if the option is unknown.
fn check_option(number: u8, option: u8, place: u16) -> Result<(), HeaderFault> {
    match option >> 6 {
        0 => Ok(()),
        _ if (number, option) == (ipv6::DESTINATION_OPTIONS, HOME_ADDRESS) => {
            Err(HeaderFault::Discard)
        }
        1 => Err(HeaderFault::Discard),
        _ => Err(HeaderFault::Problem { code: UNRECOGNIZED_OPTION, place }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frame;

    fn checked(number: u8, body: &[u8]) -> Result<(), HeaderFault> {
        let packet = frame().ipv6("2001:db8::44", "fd00:a::100").extension(number, body).udp(1, 2);
        let bytes = packet.packet();
        check(&bytes, ipv6::HEADER + 1 + body.len())
    }

    #[test]
    fn options_that_a_packet_for_the_director_may_have() {
        use HeaderFault::Discard;
        let unrecognized = |place| Err(HeaderFault::Problem { code: UNRECOGNIZED_OPTION, place });
        let long = |options: &[u8]| {
            let mut body = vec![1];
            body.extend_from_slice(options);
            body.resize(15, 0);
            body
        };
        for (body, expected) in [
            (vec![0, 1, 4, 0, 0, 0, 0], Ok(())),
            (vec![0, 0, 0, 0, 0, 0, 0], Ok(())),
            // PadN is longer than the header.
            (vec![0, 0, 1, 4, 0, 0, 0], Err(Discard)),
            // The length is missing.
            (vec![0, 1, 3, 0, 0, 0, 1], Err(Discard)),
            // Padding is zero.
            (vec![0, 1, 4, 0, 0, 9, 0], Err(Discard)),
            // 14 bytes of padding in a row, and 7 after an option.
            (long(&[1, 12]), Err(Discard)),
            (long(&[0x1e, 5, 1, 2, 3, 4, 5]), Ok(())),
            (long(&[0x5e, 5, 1, 2, 3, 4, 5]), Err(Discard)),
            (long(&[0x1e, 0, 0x9e, 3, 1, 2, 3, 0]), unrecognized(44)),
            (long(&[0xde, 5, 1, 2, 3, 4, 5]), unrecognized(42)),
            (long(&[0xc8, 5, 1, 2, 3, 4, 5]), unrecognized(42)),
            ([vec![2], [0x1e, 0].repeat(8), vec![1, 4, 0, 0, 0, 0]].concat(), Ok(())),
            ([vec![2], [0x1e, 0].repeat(9), vec![1, 2, 0, 0]].concat(), Err(Discard)),
        ] {
            for number in [ipv6::HOP_BY_HOP, ipv6::DESTINATION_OPTIONS] {
                assert_eq!(checked(number, &body), expected, "{body:02x?}");
            }
        }
        let home = long(&[0xc9, 5, 1, 2, 3, 4, 5]);
        assert_eq!(checked(ipv6::DESTINATION_OPTIONS, &home), Err(Discard));
        assert_eq!(checked(ipv6::HOP_BY_HOP, &home), unrecognized(42), "known there only");
    }

    #[test]
    fn routing_headers_that_a_packet_for_the_director_may_have() {
        let erroneous = Err(HeaderFault::Problem { code: ERRONEOUS_FIELD, place: 42 });
        for (kind, segments_left, expected) in [
            (0, 0, Ok(())),
            (0, 1, erroneous),
            (2, 1, Err(HeaderFault::Discard)),
            (3, 0, Err(HeaderFault::Discard)),
            (4, 0, Err(HeaderFault::Discard)),
            (4, 1, Err(HeaderFault::Discard)),
            (99, 0, Ok(())),
            (99, 1, erroneous),
        ] {
            let header = [0, kind, segments_left, 0, 0, 0, 0];
            assert_eq!(checked(ipv6::ROUTING, &header), expected, "{kind} {segments_left}");
        }
    }

    #[test]
    fn every_header_of_a_chain_is_checked() {
        let chain = |last: &[u8]| {
            let packet = frame().ipv6("2001:db8::44", "fd00:a::100");
            let packet = packet.hop_by_hop().extension(ipv6::DESTINATION_OPTIONS, last).udp(1, 2);
            check(&packet.packet(), ipv6::HEADER + 16)
        };
        assert_eq!(chain(&[0, 1, 4, 0, 0, 0, 0]), Ok(()));
        assert_eq!(
            chain(&[0, 0x80, 4, 0, 0, 0, 0]),
            Err(HeaderFault::Problem { code: UNRECOGNIZED_OPTION, place: 50 })
        );
    }
}
