//! One packet's headers, checked and summed up in a value the pipeline works with.
//!
//! What is checked: the IP header and its checksum, that every announced length is there, that the transport header is
//! whole. Checksums of transport and ICMP are not: a director forwards what it was sent.

use super::extension;
use super::quoted::{self, Quotes};
use super::{Address, Tuple, checksum, icmp, ipv4 as v4, ipv6 as v6, sctp, tcp, udp};
use crate::stop::DropReason;

/// What a packet means to a director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// TCP, UDP or SCTP; the tuple has its ports.
    Transport,
    /// An ICMP error. The tuple is the quoted packet's, as quoted: its source is the quoted source. Ports are there if
    /// the quoted protocol is TCP, UDP or SCTP, else they are 0.
    IcmpError,
    /// Any other ICMP message, and errors whose quotation says nothing: cut off, broken or itself a later fragment.
    Icmp,
    /// A fragment other than the first: no transport header, no ports.
    LaterFragment,
    /// Any other protocol.
    Other,
}

/// Which piece of its datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// All of it; an IPv6 "atomic" fragment (RFC 6946) too.
    Whole,
    First,
    Later,
}

/// A checked packet. Offsets and lengths are in bytes and count from the start of the (outer) IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<A> {
    pub tuple: Tuple<A>,
    pub role: Role,
    pub fragment: Fragment,
    /// The upper-layer protocol after any extension headers. In a later IPv6 fragment: what its fragment header
    /// announces. For [`Role::IcmpError`] that of ICMP; the quoted one is in the tuple.
    pub protocol: u8,
    /// Length of the IP header with options or extension headers: where the transport header starts.
    pub header: u16,
    /// Length of the packet; what the frame holds beyond it is Ethernet padding.
    pub length: u16,
    /// TCP's flags octet; 0 for anything else.
    pub tcp_flags: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class.
    pub tos: u8,
    /// The DF bit; true for IPv6, where no router fragments.
    pub dont_fragment: bool,
    /// Names the datagram its fragments belong to; 0 for IPv6 without a fragment header.
    pub identification: u32,
    /// Where in its datagram this fragment starts.
    pub fragment_offset: u16,
    pub more_fragments: bool,
    /// Type and code of an ICMP message; 0 for anything else.
    pub icmp_type: u8,
    pub icmp_code: u8,
    /// Where the IP header quoted by an ICMP error starts; 0 if there is none.
    pub quoted: u16,
    /// Where the quoted transport header starts; 0 if there is none.
    pub quoted_transport: u16,
    /// IPv4 options or IPv6 extension headers are present.
    pub options: bool,
    /// Type of the first SCTP chunk; 0 for anything else.
    pub sctp_chunk: u8,
}

impl<A: Address> Packet<A> {
    /// A packet nothing is known of: room for [`Parse::parse_into`].
    pub const BLANK: Self = Packet {
        tuple: Tuple {
            source: A::UNSPECIFIED,
            destination: A::UNSPECIFIED,
            source_port: 0,
            destination_port: 0,
            protocol: 0,
        },
        role: Role::Other,
        fragment: Fragment::Whole,
        protocol: 0,
        header: 0,
        length: 0,
        tcp_flags: 0,
        ttl: 0,
        tos: 0,
        dont_fragment: false,
        identification: 0,
        fragment_offset: 0,
        more_fragments: false,
        icmp_type: 0,
        icmp_code: 0,
        quoted: 0,
        quoted_transport: 0,
        options: false,
        sctp_chunk: 0,
    };
}

/// Reads an IPv4 packet from its header on (Ethernet stripped).
///
/// Errors: [`DropReason::TooShort`], [`DropReason::BadIpHeader`], [`DropReason::BadIpChecksum`],
/// [`DropReason::BadIpLength`], [`DropReason::BadTransport`].
#[inline]
pub fn ipv4(bytes: &[u8]) -> Result<Packet<u32>, DropReason> {
    let mut packet = Packet::BLANK;
    ipv4_into(bytes, &mut packet)?;
    Ok(packet)
}

/// [`ipv4`], written to where the packet is to stay. What stands there after an error means nothing.
///
/// For the packet path: a packet is many small fields, and moving it reads them back in large pieces while they are
/// still on their way to the cache, which costs more than all the checks.
#[inline(always)]
pub fn ipv4_into(bytes: &[u8], packet: &mut Packet<u32>) -> Result<(), DropReason> {
    let Some(fixed) = bytes.first_chunk::<{ v4::HEADER }>() else {
        return Err(DropReason::TooShort);
    };
    let options = fixed[0] != COMMON;
    let header = if options { header_with_options(bytes, fixed)? } else { v4::HEADER };
    if !options && checksum::internet(fixed) != 0 {
        return Err(DropReason::BadIpChecksum);
    }
    let length = v4::total_length(fixed);
    let Some(datagram) = bytes.get(..usize::from(length)) else {
        return Err(DropReason::BadIpLength);
    };
    if datagram.len() < header {
        return Err(DropReason::BadIpLength);
    }
    let word = v4::fragment_word(fixed);
    let offset = (word & v4::FRAGMENT_OFFSET) * 8;
    let more = word & v4::MORE_FRAGMENTS != 0;
    *packet = Packet {
        tuple: without_ports(v4::source(fixed), v4::destination(fixed), v4::protocol(fixed)),
        protocol: v4::protocol(fixed),
        fragment: piece(offset, more),
        header: header as u16,
        length,
        ttl: v4::ttl(fixed),
        tos: v4::tos(fixed),
        dont_fragment: word & v4::DONT_FRAGMENT != 0,
        identification: u32::from(v4::identification(fixed)),
        fragment_offset: offset,
        more_fragments: more,
        options,
        ..Packet::BLANK
    };
    if offset != 0 {
        packet.role = Role::LaterFragment;
        return Ok(());
    }
    upper_layer(packet, v4::protocol(fixed), datagram, &datagram[header..])
}

/// First octet of an IPv4 header without options.
const COMMON: u8 = 0x45;

/// Checks a header that is not the common one and returns its length. Apart, so that the common one's sum stays a
/// straight line.
#[cold]
fn header_with_options(bytes: &[u8], fixed: &[u8; v4::HEADER]) -> Result<usize, DropReason> {
    let header = v4::header_length(fixed);
    if v4::version(fixed) != 4 || header < v4::HEADER {
        return Err(DropReason::BadIpHeader);
    }
    match bytes.get(..header) {
        None => Err(DropReason::TooShort),
        Some(whole) if checksum::internet(whole) != 0 => Err(DropReason::BadIpChecksum),
        Some(_) => Ok(header),
    }
}

/// Reads an IPv6 packet from its header on (Ethernet stripped).
///
/// Errors: [`DropReason::TooShort`], [`DropReason::BadIpHeader`] (extension headers included),
/// [`DropReason::BadIpLength`], [`DropReason::BadTransport`].
#[inline]
pub fn ipv6(bytes: &[u8]) -> Result<Packet<u128>, DropReason> {
    let mut packet = Packet::BLANK;
    ipv6_into(bytes, &mut packet)?;
    Ok(packet)
}

/// [`ipv6`], written to where the packet is to stay. What stands there after an error means nothing. See [`ipv4_into`].
#[inline(always)]
pub fn ipv6_into(bytes: &[u8], packet: &mut Packet<u128>) -> Result<(), DropReason> {
    let Some(fixed) = bytes.first_chunk::<{ v6::HEADER }>() else {
        return Err(DropReason::TooShort);
    };
    if v6::version(fixed) != 6 {
        return Err(DropReason::BadIpHeader);
    }
    let payload = v6::payload_length(fixed);
    let Some(length) = payload.checked_add(v6::HEADER as u16) else {
        return Err(DropReason::BadIpLength);
    };
    let Some(datagram) = bytes.get(..usize::from(length)) else {
        return Err(DropReason::BadIpLength);
    };
    let Some(chain) = extension::follow(datagram) else { return Err(DropReason::BadIpHeader) };
    let (identification, offset, more) = match chain.fragment {
        Some(fragment) => (fragment.identification, fragment.offset, fragment.more),
        None => (0, 0, false),
    };
    *packet = Packet {
        tuple: without_ports(v6::source(fixed), v6::destination(fixed), chain.protocol),
        protocol: chain.protocol,
        fragment: piece(offset, more),
        header: chain.end as u16,
        length,
        ttl: v6::hop_limit(fixed),
        tos: v6::traffic_class(fixed),
        dont_fragment: true,
        identification,
        fragment_offset: offset,
        more_fragments: more,
        options: chain.end > v6::HEADER,
        ..Packet::BLANK
    };
    if offset != 0 {
        packet.role = Role::LaterFragment;
        return Ok(());
    }
    let transport = &datagram[chain.end..];
    upper_layer(packet, chain.protocol, datagram, transport)
}

#[inline]
fn without_ports<A: Address>(source: A, destination: A, protocol: u8) -> Tuple<A> {
    Tuple { source, destination, source_port: 0, destination_port: 0, protocol }
}

#[inline]
const fn piece(offset: u16, more: bool) -> Fragment {
    match (offset, more) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    }
}

/// Completes `packet` with its upper-layer header. `datagram` starts with the IP header and ends with the packet.
#[inline(always)]
fn upper_layer<A: Quotes>(
    packet: &mut Packet<A>,
    protocol: u8,
    datagram: &[u8],
    bytes: &[u8],
) -> Result<(), DropReason> {
    match protocol {
        v4::TCP => {
            let Some(header) = bytes.first_chunk::<{ tcp::HEADER }>() else {
                return Err(DropReason::BadTransport);
            };
            packet.tcp_flags = tcp::flags(header);
            ports(packet, tcp::source_port(header), tcp::destination_port(header));
        }
        v4::UDP => {
            let Some(header) = bytes.first_chunk::<{ udp::HEADER }>() else {
                return Err(DropReason::BadTransport);
            };
            ports(packet, udp::source_port(header), udp::destination_port(header));
        }
        v4::SCTP => {
            let Some(header) = bytes.first_chunk::<{ sctp::HEADER + sctp::CHUNK_HEADER }>() else {
                return Err(DropReason::BadTransport);
            };
            packet.sctp_chunk = header[sctp::HEADER];
            ports(packet, sctp::source_port(header), sctp::destination_port(header));
        }
        protocol if protocol == icmp::protocol(A::FAMILY) => {
            return icmp_message(packet, datagram);
        }
        _ => {}
    }
    Ok(())
}

#[inline]
fn ports<A>(packet: &mut Packet<A>, source: u16, destination: u16) {
    packet.role = Role::Transport;
    packet.tuple.source_port = source;
    packet.tuple.destination_port = destination;
}

/// Completes an ICMP packet.
#[cold]
fn icmp_message<A: Quotes>(packet: &mut Packet<A>, datagram: &[u8]) -> Result<(), DropReason> {
    let message = &datagram[usize::from(packet.header)..];
    if message.len() < icmp::HEADER {
        return Err(DropReason::BadTransport);
    }
    packet.role = Role::Icmp;
    packet.icmp_type = icmp::message_type(message);
    packet.icmp_code = icmp::code(message);
    if !icmp::is_error(A::FAMILY, packet.icmp_type) {
        return Ok(());
    }
    let at = usize::from(packet.header) + icmp::HEADER;
    if let Some(quotation) = quoted::quotation::<A>(&datagram[at..]) {
        packet.role = Role::IcmpError;
        packet.tuple = quotation.tuple;
        packet.quoted = at as u16;
        packet.quoted_transport = (at + quotation.transport) as u16;
    }
    Ok(())
}

/// Reads the packet of either family: what code that is written once for both calls.
pub trait Parse: Address {
    /// [`ipv4`] or [`ipv6`].
    fn parse(bytes: &[u8]) -> Result<Packet<Self>, DropReason> {
        let mut packet = Packet::BLANK;
        Self::parse_into(bytes, &mut packet)?;
        Ok(packet)
    }

    /// [`ipv4_into`] or [`ipv6_into`].
    fn parse_into(bytes: &[u8], packet: &mut Packet<Self>) -> Result<(), DropReason>;
}

impl Parse for u32 {
    #[inline(always)]
    fn parse_into(bytes: &[u8], packet: &mut Packet<u32>) -> Result<(), DropReason> {
        ipv4_into(bytes, packet)
    }
}

impl Parse for u128 {
    #[inline(always)]
    fn parse_into(bytes: &[u8], packet: &mut Packet<u128>) -> Result<(), DropReason> {
        ipv6_into(bytes, packet)
    }
}

#[cfg(test)]
mod tests;
