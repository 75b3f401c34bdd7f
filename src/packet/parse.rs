//! One packet's headers, checked and summed up in a value the pipeline works with.
//!
//! What is checked: the IP header and its checksum, that every announced length is there, that the transport header is
//! whole, and the checksum of ICMP errors. Transport checksums are not: a director forwards what it was sent.

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

/// Reads an IPv4 packet from its header on (Ethernet stripped).
///
/// Errors: [`DropReason::TooShort`], [`DropReason::BadIpHeader`], [`DropReason::BadIpChecksum`],
/// [`DropReason::BadIpLength`], [`DropReason::BadTransport`], [`DropReason::BadIcmpChecksum`].
#[inline]
pub fn ipv4(bytes: &[u8]) -> Result<Packet<u32>, DropReason> {
    let Some(fixed) = bytes.first_chunk::<{ v4::HEADER }>() else {
        return Err(DropReason::TooShort);
    };
    let header = v4::header_length(fixed);
    if v4::version(fixed) != 4 || header < v4::HEADER {
        return Err(DropReason::BadIpHeader);
    }
    let options = header > v4::HEADER;
    let intact = if options {
        let whole = bytes.get(..header).ok_or(DropReason::TooShort)?;
        is_intact_with_options(whole)
    } else {
        checksum::internet(fixed) == 0
    };
    if !intact {
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
    let network = Network {
        source: v4::source(fixed),
        destination: v4::destination(fixed),
        protocol: v4::protocol(fixed),
        fragment: piece(offset, more),
        header,
        final_destination: true,
    };
    let upper = upper_layer(network, datagram)?;
    Ok(Packet {
        tuple: upper.tuple,
        role: upper.role,
        fragment: network.fragment,
        protocol: network.protocol,
        header: header as u16,
        length,
        tcp_flags: upper.tcp_flags,
        ttl: v4::ttl(fixed),
        tos: v4::tos(fixed),
        dont_fragment: word & v4::DONT_FRAGMENT != 0,
        identification: u32::from(v4::identification(fixed)),
        fragment_offset: offset,
        more_fragments: more,
        icmp_type: upper.icmp_type,
        icmp_code: upper.icmp_code,
        quoted: upper.quoted,
        quoted_transport: upper.quoted_transport,
        options,
        sctp_chunk: upper.sctp_chunk,
    })
}

/// Apart, so that the common header's sum stays a straight line.
#[cold]
fn is_intact_with_options(header: &[u8]) -> bool {
    checksum::internet(header) == 0
}

/// Reads an IPv6 packet from its header on (Ethernet stripped).
///
/// Errors: [`DropReason::TooShort`], [`DropReason::BadIpHeader`] (extension headers included),
/// [`DropReason::BadIpLength`], [`DropReason::BadTransport`], [`DropReason::BadIcmpChecksum`].
#[inline]
pub fn ipv6(bytes: &[u8]) -> Result<Packet<u128>, DropReason> {
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
    let network = Network {
        source: v6::source(fixed),
        destination: v6::destination(fixed),
        protocol: chain.protocol,
        fragment: piece(offset, more),
        header: chain.end,
        final_destination: !chain.in_transit,
    };
    let upper = upper_layer(network, datagram)?;
    Ok(Packet {
        tuple: upper.tuple,
        role: upper.role,
        fragment: network.fragment,
        protocol: network.protocol,
        header: network.header as u16,
        length,
        tcp_flags: upper.tcp_flags,
        ttl: v6::hop_limit(fixed),
        tos: v6::traffic_class(fixed),
        dont_fragment: true,
        identification,
        fragment_offset: offset,
        more_fragments: more,
        icmp_type: upper.icmp_type,
        icmp_code: upper.icmp_code,
        quoted: upper.quoted,
        quoted_transport: upper.quoted_transport,
        options: network.header > v6::HEADER,
        sctp_chunk: upper.sctp_chunk,
    })
}

/// What the IP header says that the upper layer is read by.
#[derive(Clone, Copy)]
struct Network<A> {
    source: A,
    destination: A,
    protocol: u8,
    fragment: Fragment,
    /// Where the transport header starts.
    header: usize,
    /// No routing header has segments left: `destination` is the address that checksums cover.
    final_destination: bool,
}

/// What the upper-layer header says. A value of its own, and [`Packet`] put together once at the end: a packet filled
/// in bit by bit is read back from memory while its pieces are still on their way there, which costs more than all
/// the rest.
#[derive(Clone, Copy)]
struct Upper<A> {
    tuple: Tuple<A>,
    role: Role,
    tcp_flags: u8,
    icmp_type: u8,
    icmp_code: u8,
    quoted: u16,
    quoted_transport: u16,
    sctp_chunk: u8,
}

impl<A: Address> Network<A> {
    #[inline]
    fn upper(&self, role: Role, source_port: u16, destination_port: u16) -> Upper<A> {
        let Network { source, destination, protocol, .. } = *self;
        Upper {
            tuple: Tuple { source, destination, source_port, destination_port, protocol },
            role,
            tcp_flags: 0,
            icmp_type: 0,
            icmp_code: 0,
            quoted: 0,
            quoted_transport: 0,
            sctp_chunk: 0,
        }
    }
}

#[inline]
const fn piece(offset: u16, more: bool) -> Fragment {
    match (offset, more) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    }
}

/// Reads the upper-layer header of `datagram`, which starts with the IP header and ends with the packet.
#[inline]
fn upper_layer<A: Quotes>(network: Network<A>, datagram: &[u8]) -> Result<Upper<A>, DropReason> {
    if network.fragment == Fragment::Later {
        return Ok(network.upper(Role::LaterFragment, 0, 0));
    }
    let Some(bytes) = datagram.get(network.header..) else { return Err(DropReason::BadIpHeader) };
    match network.protocol {
        v4::TCP => {
            let Some(header) = bytes.first_chunk::<{ tcp::HEADER }>() else {
                return Err(DropReason::BadTransport);
            };
            let (source, destination) = (tcp::source_port(header), tcp::destination_port(header));
            let upper = network.upper(Role::Transport, source, destination);
            Ok(Upper { tcp_flags: tcp::flags(header), ..upper })
        }
        v4::UDP => {
            let Some(header) = bytes.first_chunk::<{ udp::HEADER }>() else {
                return Err(DropReason::BadTransport);
            };
            let (source, destination) = (udp::source_port(header), udp::destination_port(header));
            Ok(network.upper(Role::Transport, source, destination))
        }
        v4::SCTP => {
            let Some(header) = bytes.first_chunk::<{ sctp::HEADER + sctp::CHUNK_HEADER }>() else {
                return Err(DropReason::BadTransport);
            };
            let (source, destination) = (sctp::source_port(header), sctp::destination_port(header));
            let upper = network.upper(Role::Transport, source, destination);
            Ok(Upper { sctp_chunk: header[sctp::HEADER], ..upper })
        }
        protocol if protocol == icmp::protocol(A::FAMILY) => icmp_message(&network, datagram),
        _ => Ok(network.upper(Role::Other, 0, 0)),
    }
}

/// Reads the ICMP message of `datagram`.
#[cold]
fn icmp_message<A: Quotes>(network: &Network<A>, datagram: &[u8]) -> Result<Upper<A>, DropReason> {
    let message = &datagram[network.header..];
    if message.len() < icmp::HEADER {
        return Err(DropReason::BadTransport);
    }
    let plain = Upper {
        icmp_type: icmp::message_type(message),
        icmp_code: icmp::code(message),
        ..network.upper(Role::Icmp, 0, 0)
    };
    if !icmp::is_error(A::FAMILY, plain.icmp_type) {
        return Ok(plain);
    }
    // A fragment has only a part of what the checksum covers.
    let coverable = network.fragment == Fragment::Whole && network.final_destination;
    if coverable && icmp::verify(network.source, network.destination, message) != 0 {
        return Err(DropReason::BadIcmpChecksum);
    }
    let at = network.header + icmp::HEADER;
    Ok(match quoted::quotation::<A>(&datagram[at..]) {
        Some(quotation) => Upper {
            role: Role::IcmpError,
            tuple: quotation.tuple,
            quoted: at as u16,
            quoted_transport: (at + quotation.transport) as u16,
            ..plain
        },
        None => plain,
    })
}

/// Reads the packet of either family: what code that is written once for both calls.
pub trait Parse: Address {
    /// [`ipv4`] or [`ipv6`].
    fn parse(bytes: &[u8]) -> Result<Packet<Self>, DropReason>;
}

impl Parse for u32 {
    #[inline]
    fn parse(bytes: &[u8]) -> Result<Packet<u32>, DropReason> {
        ipv4(bytes)
    }
}

impl Parse for u128 {
    #[inline]
    fn parse(bytes: &[u8]) -> Result<Packet<u128>, DropReason> {
        ipv6(bytes)
    }
}

#[cfg(test)]
mod tests;
