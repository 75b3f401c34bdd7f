//! The chain of IPv6 extension headers (RFC 8200 section 4) between the fixed header and the transport header.

use super::{ipv6, wire};

/// Maximum number of extension headers. Normal packets have one or two; the limit bounds the cost of a packet.
const HEADERS_MAX: usize = 8;

/// Fields of a fragment header (RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FragmentHeader {
    pub identification: u32,
    /// In bytes.
    pub offset: u16,
    pub more: bool,
}

/// Result of following a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// Number of the first header that is not an extension header: the upper-layer protocol, or in a later fragment the
    /// protocol in its fragment header.
    pub protocol: u8,
    /// Offset of that header from the start of the IPv6 header.
    pub end: usize,
    pub fragment: Option<FragmentHeader>,
}

/// Follows the chain of the packet in `bytes`, which contain the fixed header. `None` if the chain is longer than
/// [`HEADERS_MAX`], is cut off by the end of `bytes`, or has two fragment headers.
///
/// AH and ESP end the chain, because a director treats them as protocols.
#[inline]
pub(super) fn follow(bytes: &[u8]) -> Option<Chain> {
    let mut chain = Chain { protocol: ipv6::next_header(bytes), end: ipv6::HEADER, fragment: None };
    for _ in 0..=HEADERS_MAX {
        if !is_followed(chain.protocol) {
            return Some(chain);
        }
        step(bytes, &mut chain)?;
        if chain.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return Some(chain);
        }
    }
    None
}

#[inline]
const fn is_followed(number: u8) -> bool {
    matches!(number, ipv6::HOP_BY_HOP | ipv6::ROUTING | ipv6::FRAGMENT | ipv6::DESTINATION_OPTIONS)
}

/// Skips one header.
fn step(bytes: &[u8], chain: &mut Chain) -> Option<()> {
    let header = bytes.get(chain.end..)?.first_chunk::<8>()?;
    let length = match chain.protocol {
        ipv6::FRAGMENT if chain.fragment.is_some() => return None,
        ipv6::FRAGMENT => {
            let word = wire::get16(header, 2);
            chain.fragment = Some(FragmentHeader {
                identification: wire::get32(header, 4),
                offset: word & 0xfff8,
                more: word & 1 != 0,
            });
            ipv6::FRAGMENT_HEADER
        }
        _ => 8 + usize::from(header[1]) * 8,
    };
    chain.protocol = header[0];
    chain.end += length;
    (chain.end <= bytes.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with the extension headers `(number, bytes after the first)`, then TCP.
    fn packet(headers: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; ipv6::HEADER];
        bytes[0] = 0x60;
        let numbers: Vec<u8> = headers.iter().map(|header| header.0).chain([6]).collect();
        bytes[6] = numbers[0];
        for ((_, body), next) in headers.iter().zip(&numbers[1..]) {
            bytes.push(*next);
            bytes.extend_from_slice(body);
        }
        bytes
    }

    const OPTIONS: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
    const LONG: &[u8] = &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const FIRST: &[u8] = &[0, 0, 1, 0, 0, 0, 7];
    const LATER: &[u8] = &[0, 1, 0x59, 0, 0, 0, 7];
    const ATOMIC: &[u8] = &[0, 0, 0, 0, 0, 0, 7];
    const ROUTED: &[u8] = &[0, 4, 1, 0, 0, 0, 0];

    fn fragment(offset: u16, more: bool) -> Option<FragmentHeader> {
        Some(FragmentHeader { identification: 7, offset, more })
    }

    #[test]
    fn chains_lead_to_the_upper_layer() {
        let plain = Chain { protocol: 6, end: 40, fragment: None };
        for (headers, expected) in [
            (&[][..], plain),
            (&[(0, OPTIONS)], Chain { end: 48, ..plain }),
            (&[(0, LONG), (60, OPTIONS)], Chain { end: 64, ..plain }),
            (&[(44, FIRST)], Chain { end: 48, fragment: fragment(0, true), ..plain }),
            (&[(44, ATOMIC)], Chain { end: 48, fragment: fragment(0, false), ..plain }),
            (&[(44, LATER)], Chain { end: 48, fragment: fragment(0x158, true), ..plain }),
            (&[(43, ROUTED)], Chain { end: 48, ..plain }),
            (&[(51, OPTIONS)], Chain { protocol: 51, ..plain }),
            (&[(60, OPTIONS), (50, OPTIONS)], Chain { protocol: 50, end: 48, ..plain }),
            (&[(60, OPTIONS); 8], Chain { end: 104, ..plain }),
        ] {
            assert_eq!(follow(&packet(headers)), Some(expected), "{headers:?}");
        }
    }

    /// After the header of a later fragment comes the middle of a datagram, whatever its protocol number.
    #[test]
    fn nothing_is_read_after_a_later_fragments_header() {
        let chain = follow(&packet(&[(44, LATER), (60, OPTIONS)])).unwrap();
        assert_eq!((chain.protocol, chain.end), (60, 48));
    }

    #[test]
    fn broken_chains_are_refused() {
        for headers in [&[(60, OPTIONS); 9][..], &[(44, FIRST), (44, FIRST)]] {
            assert_eq!(follow(&packet(headers)), None, "{headers:?}");
        }
        for headers in [&[(0, LONG), (44, FIRST), (60, OPTIONS)][..], &[(60, OPTIONS), (0, LONG)]] {
            let whole = packet(headers);
            for length in ipv6::HEADER..whole.len() {
                assert_eq!(follow(&whole[..length]), None, "{length}");
            }
        }
    }
}
