//! Checks a packet's headers and summarises them for the pipeline.
//!
//! It checks the IP header and its checksum, that all announced bytes exist, and that the transport header is complete.
//! Transport and ICMP checksums are not checked: receivers detect wrong ones.

use super::extension;
use super::quoted::{self, Quotes};
use super::{Address, Tuple, checksum, icmp, ipv4 as v4, ipv6 as v6, sctp, tcp, udp};
use crate::reason::DropReason;
use std::hint::cold_path;

/// Kind of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// TCP, UDP or SCTP; the flow has ports.
    Transport,
    /// An ICMP error. The flow is that of the quoted packet, as quoted: its source is the quoted source. Its ports are
    /// 0 unless the quoted protocol is TCP, UDP or SCTP.
    IcmpError,
    /// Any other ICMP message, and errors whose quotation is cut off, invalid or a later fragment.
    Icmp,
    /// A fragment other than the first: no transport header, no ports.
    LaterFragment,
    /// Any other protocol.
    Other,
}

/// Position of a packet in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// The whole datagram, also an IPv6 "atomic" fragment (RFC 6946).
    Whole,
    First,
    Later,
}

/// A checked packet. Offsets and lengths are in bytes from the start of the (outer) IP header.
///
/// Field order matters: fields that are zero for most packets are adjacent, so that they are cleared with few stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Packet<A> {
    /// Addresses and ports of the packet, or of the packet that an ICMP error quotes. [`Packet::source`] and
    /// [`Packet::destination`] are always the packet's own addresses.
    pub flow: Tuple<A>,
    /// The upper-layer protocol after extension headers. In a later IPv6 fragment: the number in its fragment header.
    /// For [`Role::IcmpError`] ICMP; the flow has the quoted protocol.
    pub protocol: u8,
    pub role: Role,
    /// Length of the IP header with options or extension headers: offset of the transport header.
    pub header: u16,
    /// Length of the packet; later bytes of the frame are Ethernet padding.
    pub length: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class.
    pub tos: u8,
    /// DF bit; true for IPv6, where no router fragments.
    pub dont_fragment: bool,
    /// A whole UDP packet, or TCP packet without SYN, with a TTL above 1: the packet itself does not need the full
    /// path.
    pub fast_path_eligible: bool,
    pub fragment: Fragment,
    /// TCP flags; 0 for other protocols.
    pub tcp_flags: u8,
    /// Type of the first SCTP chunk; 0 for other protocols.
    pub sctp_chunk: u8,
    /// Type and code of an ICMP message; 0 for other protocols.
    pub icmp_type: u8,
    pub icmp_code: u8,
    /// Offset of the IP header quoted by an ICMP error; 0 if there is none.
    pub quoted: u16,
    /// Offset of the quoted transport header; 0 if there is none.
    pub quoted_transport: u16,
    /// Identification of the datagram of a fragment; 0 for whole IPv4 packets and for IPv6 without a fragment header.
    pub identification: u32,
    /// Source and destination of an ICMP error itself. Written only for [`Role::IcmpError`], so that other packets need
    /// no copy of their addresses.
    error_ends: (A, A),
}

impl<A: Address> Packet<A> {
    /// An empty packet for [`Parse::parse_into`].
    pub const BLANK: Self = Packet {
        flow: Tuple {
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
        fast_path_eligible: false,
        identification: 0,
        icmp_type: 0,
        icmp_code: 0,
        quoted: 0,
        quoted_transport: 0,
        sctp_chunk: 0,
        error_ends: (A::UNSPECIFIED, A::UNSPECIFIED),
    };

    /// The source address of the packet itself.
    #[inline]
    pub fn source(&self) -> A {
        if self.role == Role::IcmpError { self.error_ends.0 } else { self.flow.source }
    }

    /// The destination address of the packet itself.
    #[inline]
    pub fn destination(&self) -> A {
        if self.role == Role::IcmpError { self.error_ends.1 } else { self.flow.destination }
    }

    /// The packet's own addresses and protocol, without ports, also for an ICMP error.
    pub fn own_tuple(&self) -> Tuple<A> {
        let (source, destination) = (self.source(), self.destination());
        Tuple { source, destination, source_port: 0, destination_port: 0, protocol: self.protocol }
    }

    /// True if the packet opens a connection: a SYN or an INIT chunk.
    #[inline(always)]
    pub fn opens_connection(&self) -> bool {
        self.tcp_flags & tcp::SYN != 0 || self.sctp_chunk == sctp::INIT
    }

    /// Writes the fields that every upper layer has.
    #[inline(always)]
    fn set_upper_layer(&mut self, protocol: u8, role: Role, ports: (u16, u16)) {
        let is_whole = self.fragment == Fragment::Whole;
        self.fast_path_eligible = role == Role::Transport && is_whole && self.ttl > 1;
        (self.flow.source_port, self.flow.destination_port) = ports;
        (self.flow.protocol, self.protocol, self.role) = (protocol, protocol, role);
    }

    /// Clears the fields that most packets leave at zero; the slot still holds the previous packet.
    #[inline(always)]
    fn clear(&mut self) {
        self.fragment = Fragment::Whole;
        (self.tcp_flags, self.sctp_chunk) = (0, 0);
        (self.icmp_type, self.icmp_code) = (0, 0);
        (self.quoted, self.quoted_transport) = (0, 0);
        self.identification = 0;
    }
}

/// Parses an IPv4 packet from its IP header on.
///
/// Errors: [`DropReason::TooShort`], [`DropReason::BadIpHeader`], [`DropReason::BadIpChecksum`],
/// [`DropReason::BadIpLength`], [`DropReason::BadTransport`].
#[inline]
pub(crate) fn ipv4(bytes: &[u8]) -> Result<Packet<u32>, DropReason> {
    let mut packet = Packet::BLANK;
    ipv4_into(bytes, &mut packet)?;
    Ok(packet)
}

/// As [`ipv4`], but writes in place. After an error the content is undefined.
///
/// The packet path uses this: moving a packet of many small fields reads them back in large words before they have left
/// the store buffer, which costs more than all checks.
#[inline(always)]
pub(crate) fn ipv4_into(bytes: &[u8], packet: &mut Packet<u32>) -> Result<(), DropReason> {
    let Some(fixed) = bytes.first_chunk::<{ v4::HEADER }>() else {
        return Err(DropReason::TooShort);
    };
    if fixed[0] != COMMON {
        return ipv4_with_options(bytes, fixed, packet);
    }
    if !v4::is_sound(fixed) {
        return Err(DropReason::BadIpChecksum);
    }
    behind_header(bytes, fixed, v4::HEADER, packet)
}

/// First byte of an IPv4 header without options.
const COMMON: u8 = 0x45;

/// Parses headers with options. A separate function, so that the code for common headers stays short.
#[cold]
#[inline(never)]
fn ipv4_with_options(
    bytes: &[u8],
    fixed: &[u8; v4::HEADER],
    packet: &mut Packet<u32>,
) -> Result<(), DropReason> {
    let header = v4::header_length(fixed);
    if v4::version(fixed) != 4 || header < v4::HEADER {
        return Err(DropReason::BadIpHeader);
    }
    match bytes.get(..header) {
        None => Err(DropReason::TooShort),
        Some(whole) if checksum::internet(whole) != 0 => Err(DropReason::BadIpChecksum),
        Some(_) => behind_header(bytes, fixed, header, packet),
    }
}

/// Reads the fields of a valid IPv4 header of `header` bytes, and the upper layer.
#[inline(always)]
fn behind_header(
    bytes: &[u8],
    fixed: &[u8; v4::HEADER],
    header: usize,
    packet: &mut Packet<u32>,
) -> Result<(), DropReason> {
    let length = v4::total_length(fixed);
    let Some(datagram) = bytes.get(..usize::from(length)) else {
        return Err(DropReason::BadIpLength);
    };
    if datagram.len() < header {
        return Err(DropReason::BadIpLength);
    }
    packet.flow.source = v4::source(fixed);
    packet.flow.destination = v4::destination(fixed);
    packet.header = header as u16;
    packet.length = length;
    packet.ttl = v4::ttl(fixed);
    packet.tos = v4::tos(fixed);
    packet.dont_fragment = v4::dont_fragment(fixed);
    packet.clear();
    if v4::is_fragment(fixed) {
        return ipv4_piece(packet, fixed, datagram);
    }
    upper_layer(packet, v4::protocol(fixed), datagram, &datagram[header..])
}

/// Reads the fields of a fragment.
#[cold]
#[inline(never)]
fn ipv4_piece(
    packet: &mut Packet<u32>,
    fixed: &[u8; v4::HEADER],
    datagram: &[u8],
) -> Result<(), DropReason> {
    packet.fragment = match v4::is_later_fragment(fixed) {
        true => Fragment::Later,
        false => Fragment::First,
    };
    packet.identification = u32::from(v4::identification(fixed));
    upper_layer_of_piece(packet, v4::protocol(fixed), datagram)
}

/// Parses an IPv6 packet from its IP header on.
///
/// Errors: [`DropReason::TooShort`], [`DropReason::BadIpHeader`] (also for extension headers),
/// [`DropReason::BadIpLength`], [`DropReason::BadTransport`].
#[inline]
pub(crate) fn ipv6(bytes: &[u8]) -> Result<Packet<u128>, DropReason> {
    let mut packet = Packet::BLANK;
    ipv6_into(bytes, &mut packet)?;
    Ok(packet)
}

/// As [`ipv6`], but writes in place, as [`ipv4_into`]. After an error the content is undefined.
#[inline(always)]
pub(crate) fn ipv6_into(bytes: &[u8], packet: &mut Packet<u128>) -> Result<(), DropReason> {
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
    let (identification, fragment) = match chain.fragment {
        Some(fragment) if fragment.offset != 0 => (fragment.identification, Fragment::Later),
        Some(fragment) if fragment.more => (fragment.identification, Fragment::First),
        Some(fragment) => (fragment.identification, Fragment::Whole),
        None => (0, Fragment::Whole),
    };
    packet.flow.source = v6::source(fixed);
    packet.flow.destination = v6::destination(fixed);
    packet.header = chain.end as u16;
    packet.length = length;
    packet.ttl = v6::hop_limit(fixed);
    packet.tos = v6::traffic_class(fixed);
    packet.dont_fragment = true;
    packet.clear();
    packet.fragment = fragment;
    packet.identification = identification;
    match fragment {
        Fragment::Whole => upper_layer(packet, chain.protocol, datagram, &datagram[chain.end..]),
        _ => upper_layer_of_piece(packet, chain.protocol, datagram),
    }
}

/// Completes a fragment: only the first one has an upper-layer header.
#[cold]
#[inline(never)]
fn upper_layer_of_piece<A: Quotes>(
    packet: &mut Packet<A>,
    protocol: u8,
    datagram: &[u8],
) -> Result<(), DropReason> {
    if packet.fragment == Fragment::Later {
        packet.set_upper_layer(protocol, Role::LaterFragment, (0, 0));
        return Ok(());
    }
    upper_layer(packet, protocol, datagram, &datagram[usize::from(packet.header)..])
}

/// Completes a packet from its upper-layer header. `datagram` starts with the IP header, `bytes` with the upper-layer
/// header; both end with the packet.
#[inline(always)]
fn upper_layer<A: Quotes>(
    packet: &mut Packet<A>,
    protocol: u8,
    datagram: &[u8],
    bytes: &[u8],
) -> Result<(), DropReason> {
    if protocol == v4::UDP {
        let Some(header) = bytes.first_chunk::<{ udp::HEADER }>() else {
            return Err(DropReason::BadTransport);
        };
        let ports = (udp::source_port(header), udp::destination_port(header));
        packet.set_upper_layer(protocol, Role::Transport, ports);
    } else if protocol == v4::TCP {
        let Some(header) = bytes.first_chunk::<{ tcp::HEADER }>() else {
            return Err(DropReason::BadTransport);
        };
        let ports = (tcp::source_port(header), tcp::destination_port(header));
        packet.set_upper_layer(protocol, Role::Transport, ports);
        packet.tcp_flags = tcp::flags(header);
        packet.fast_path_eligible &= packet.tcp_flags & tcp::SYN == 0;
    } else {
        cold_path();
        return other_upper_layer(packet, protocol, datagram, bytes);
    }
    Ok(())
}

/// [`upper_layer`] for other protocols than UDP and TCP.
#[inline(never)]
fn other_upper_layer<A: Quotes>(
    packet: &mut Packet<A>,
    protocol: u8,
    datagram: &[u8],
    bytes: &[u8],
) -> Result<(), DropReason> {
    if protocol == v4::SCTP {
        let Some(header) = bytes.first_chunk::<{ sctp::HEADER + sctp::CHUNK_HEADER }>() else {
            return Err(DropReason::BadTransport);
        };
        let ports = (sctp::source_port(header), sctp::destination_port(header));
        packet.set_upper_layer(protocol, Role::Transport, ports);
        packet.sctp_chunk = header[sctp::HEADER];
        packet.fast_path_eligible = false;
    } else if protocol == icmp::protocol(A::FAMILY) {
        packet.set_upper_layer(protocol, Role::Icmp, (0, 0));
        return icmp_message(packet, datagram);
    } else {
        packet.set_upper_layer(protocol, Role::Other, (0, 0));
    }
    Ok(())
}

/// Completes an ICMP packet.
#[cold]
fn icmp_message<A: Quotes>(packet: &mut Packet<A>, datagram: &[u8]) -> Result<(), DropReason> {
    let message = &datagram[usize::from(packet.header)..];
    if message.len() < icmp::HEADER {
        return Err(DropReason::BadTransport);
    }
    packet.icmp_type = icmp::message_type(message);
    packet.icmp_code = icmp::code(message);
    if !icmp::is_error(A::FAMILY, packet.icmp_type) {
        return Ok(());
    }
    let at = usize::from(packet.header) + icmp::HEADER;
    if let Some(quotation) = quoted::quotation::<A>(&datagram[at..]) {
        packet.role = Role::IcmpError;
        packet.error_ends = (packet.flow.source, packet.flow.destination);
        packet.flow = quotation.tuple;
        packet.quoted = at as u16;
        packet.quoted_transport = (at + quotation.transport) as u16;
    }
    Ok(())
}

/// Parsing for code that is generic over the family.
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
