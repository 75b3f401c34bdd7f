//! The host's own packets, for both address families.

use crate::model::Family;
use crate::packet::options::{self, HeaderFault};
use crate::packet::{Packet, Parse, icmp, icmp_error, ipv4, ipv6, tcp_reset, wire};

/// TTL and hop limit of echo replies (Linux's ip_default_ttl).
const TTL: u8 = 64;

/// The first bytes of an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub message_type: u8,
    pub code: u8,
    /// The second four bytes; only the low half is used here: an MTU or an offset.
    pub rest: u16,
}

impl Message {
    /// True for errors about the length: path MTU discovery needs them, so Linux does not limit them.
    pub(super) fn is_about_length(self, family: Family) -> bool {
        match family {
            Family::Ipv4 => {
                self.message_type == icmp::v4::DESTINATION_UNREACHABLE
                    && self.code == icmp::v4::FRAGMENTATION_NEEDED
            }
            Family::Ipv6 => self.message_type == icmp::v6::PACKET_TOO_BIG,
        }
    }
}

/// Position of a fragment in its datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// In bytes, a multiple of 8.
    pub offset: u16,
    pub more: bool,
    pub identification: u16,
}

/// An address family for packets of the host.
pub(super) trait HostFamily: Parse {
    /// Length of the header without options.
    const HEADER: usize;
    /// Length of the headers of a fragment without options.
    const FRAGMENT_HEADERS: usize;
    /// Maximum length of an ICMP error in bytes, with its headers.
    const ERROR_MAX: usize;

    /// Writes an error about the packet at the start of `offending`, whose TOS was `tos`; returns its length.
    fn write_error(
        out: &mut [u8],
        source: Self,
        offending: &[u8],
        message: Message,
        tos: u8,
        identification: u16,
    ) -> usize;

    /// Writes the reset that answers `offending`; `None` if it must not be answered.
    fn write_reset(out: &mut [u8], offending: &[u8]) -> Option<usize>;

    /// Writes the headers of an ICMP message of `length` bytes that answers `request`.
    fn write_reply_header(
        out: &mut [u8],
        request: &Packet<Self>,
        length: usize,
        identification: u16,
    );

    /// Writes the headers of a fragment of an ICMP message that answers `request`; its `length` bytes follow.
    fn write_fragment_header(out: &mut [u8], request: &Packet<Self>, length: usize, part: Part);

    /// Offset, "more fragments" and payload of an ICMP fragment whose headers were parsed. `None` if there are other
    /// headers between the fragment header and ICMP.
    fn fragment(packet: &[u8]) -> Option<(usize, bool, &[u8])>;

    /// Checks the extension headers of a packet for the director. `end`: offset of the upper-layer header.
    ///
    /// # Errors
    /// The first fault.
    fn check_headers(packet: &[u8], end: usize) -> Result<(), HeaderFault>;

    /// Decrements the TTL.
    fn lower_ttl(packet: &mut [u8]);

    /// Replaces the destination address in the header; the transport checksum is not updated.
    fn set_destination(packet: &mut [u8], address: Self);
}

impl HostFamily for u32 {
    const HEADER: usize = ipv4::HEADER;
    const FRAGMENT_HEADERS: usize = ipv4::HEADER;
    const ERROR_MAX: usize = icmp_error::IPV4_MAX;

    fn write_error(
        out: &mut [u8],
        source: u32,
        offending: &[u8],
        message: Message,
        tos: u8,
        identification: u16,
    ) -> usize {
        let Message { message_type, code, rest } = message;
        let length = icmp_error::write_ipv4(
            out,
            source,
            offending,
            message_type,
            code,
            rest,
            identification,
        );
        // The precedence of errors, with the packet's type of service (RFC 1812 section 4.3.2.5).
        let precedence = ipv4::tos(out);
        ipv4::set_tos(out, precedence | tos & 0x1e);
        length
    }

    fn write_reset(out: &mut [u8], offending: &[u8]) -> Option<usize> {
        tcp_reset::write_ipv4(out, offending)
    }

    fn write_reply_header(
        out: &mut [u8],
        request: &Packet<u32>,
        length: usize,
        identification: u16,
    ) {
        ipv4::Header {
            tos: request.tos,
            total_length: (ipv4::HEADER + length) as u16,
            identification,
            fragment_word: 0,
            ttl: TTL,
            protocol: ipv4::ICMP,
            source: request.destination(),
            destination: request.source(),
        }
        .write(out);
    }

    fn write_fragment_header(out: &mut [u8], request: &Packet<u32>, length: usize, part: Part) {
        Self::write_reply_header(out, request, length, part.identification);
        let more = if part.more { ipv4::MORE_FRAGMENTS } else { 0 };
        ipv4::set_fragment_word(out, (part.offset / 8) | more);
    }

    fn fragment(packet: &[u8]) -> Option<(usize, bool, &[u8])> {
        let word = ipv4::fragment_word(packet);
        let payload = packet.get(ipv4::header_length(packet)..)?;
        let offset = usize::from(word & ipv4::FRAGMENT_OFFSET) * 8;
        Some((offset, word & ipv4::MORE_FRAGMENTS != 0, payload))
    }

    fn check_headers(_packet: &[u8], _end: usize) -> Result<(), HeaderFault> {
        Ok(())
    }

    fn lower_ttl(packet: &mut [u8]) {
        let ttl = ipv4::ttl(packet).saturating_sub(1);
        ipv4::set_ttl(packet, ttl);
    }

    fn set_destination(packet: &mut [u8], address: u32) {
        ipv4::set_destination(packet, address);
    }
}

impl HostFamily for u128 {
    const HEADER: usize = ipv6::HEADER;
    const FRAGMENT_HEADERS: usize = ipv6::HEADER + ipv6::FRAGMENT_HEADER;
    const ERROR_MAX: usize = icmp_error::IPV6_MAX;

    fn write_error(
        out: &mut [u8],
        source: u128,
        offending: &[u8],
        message: Message,
        _tos: u8,
        _identification: u16,
    ) -> usize {
        let Message { message_type, code, rest } = message;
        icmp_error::write_ipv6(out, source, offending, message_type, code, rest)
    }

    fn write_reset(out: &mut [u8], offending: &[u8]) -> Option<usize> {
        tcp_reset::write_ipv6(out, offending)
    }

    fn write_reply_header(
        out: &mut [u8],
        request: &Packet<u128>,
        length: usize,
        _identification: u16,
    ) {
        ipv6::Header {
            traffic_class: request.tos,
            flow_label: 0,
            payload_length: length as u16,
            next_header: ipv6::ICMPV6,
            hop_limit: TTL,
            source: request.destination(),
            destination: request.source(),
        }
        .write(out);
    }

    fn write_fragment_header(out: &mut [u8], request: &Packet<u128>, length: usize, part: Part) {
        let following = ipv6::FRAGMENT_HEADER + length;
        Self::write_reply_header(out, request, following, part.identification);
        ipv6::set_next_header(out, ipv6::FRAGMENT);
        let header = &mut out[ipv6::HEADER..];
        header[..2].copy_from_slice(&[ipv6::ICMPV6, 0]);
        wire::set16(header, 2, part.offset | u16::from(part.more));
        wire::set32(header, 4, part.identification.into());
    }

    fn fragment(packet: &[u8]) -> Option<(usize, bool, &[u8])> {
        let (mut number, mut at) = (ipv6::next_header(packet), ipv6::HEADER);
        while number != ipv6::FRAGMENT {
            // The parser has followed the chain: hop-by-hop, routing and destination options come first.
            let header = packet.get(at..at + 2)?;
            number = header[0];
            at += (usize::from(header[1]) + 1) * 8;
        }
        let header = packet.get(at..at + ipv6::FRAGMENT_HEADER)?;
        let word = wire::get16(header, 2);
        let payload = packet.get(at + ipv6::FRAGMENT_HEADER..)?;
        (header[0] == ipv6::ICMPV6).then_some((usize::from(word & !7), word & 1 != 0, payload))
    }

    fn check_headers(packet: &[u8], end: usize) -> Result<(), HeaderFault> {
        options::check(packet, end)
    }

    fn lower_ttl(packet: &mut [u8]) {
        let hop_limit = ipv6::hop_limit(packet).saturating_sub(1);
        ipv6::set_hop_limit(packet, hop_limit);
    }

    fn set_destination(packet: &mut [u8], address: u128) {
        ipv6::set_destination(packet, address);
    }
}
