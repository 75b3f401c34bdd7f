//! The IPv4 and IPv6 headers of packets the director makes, as one.

use crate::packet::{Parse, ethernet, ipv4, ipv6};

/// TTL and hop limit of packets the director makes (Linux's ip_default_ttl).
pub(super) const TTL: u8 = 64;

/// How the header says whether the packet may be fragmented. Means nothing in IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identification {
    /// DF set, so the identification is 0.
    Atomic,
    /// DF clear.
    Number(u16),
}

/// What a packet's header is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<A> {
    pub source: A,
    pub destination: A,
    pub protocol: u8,
    /// TOS or traffic class.
    pub tos: u8,
    pub ttl: u8,
    pub identification: Identification,
    /// Bytes after the header.
    pub length: usize,
}

/// An address family whose packets the director can make.
pub(super) trait Network: Parse {
    const ETHERNET_TYPE: u16;
    /// Length of the header without options.
    const HEADER: usize;
    /// Longest ICMP error, headers included (RFC 1812 section 4.3.2.3, RFC 4443 section 3.1).
    const ERROR_LENGTH: usize;

    fn write(header: &Header<Self>, out: &mut [u8]);
}

impl Network for u32 {
    const ETHERNET_TYPE: u16 = ethernet::TYPE_IPV4;
    const HEADER: usize = ipv4::HEADER;
    const ERROR_LENGTH: usize = 576;

    fn write(header: &Header<u32>, out: &mut [u8]) {
        let (identification, fragment_word) = match header.identification {
            Identification::Atomic => (0, ipv4::DONT_FRAGMENT),
            Identification::Number(number) => (number, 0),
        };
        ipv4::Header {
            tos: header.tos,
            total_length: (ipv4::HEADER + header.length) as u16,
            identification,
            fragment_word,
            ttl: header.ttl,
            protocol: header.protocol,
            source: header.source,
            destination: header.destination,
        }
        .write(out);
    }
}

impl Network for u128 {
    const ETHERNET_TYPE: u16 = ethernet::TYPE_IPV6;
    const HEADER: usize = ipv6::HEADER;
    const ERROR_LENGTH: usize = 1280;

    fn write(header: &Header<u128>, out: &mut [u8]) {
        ipv6::Header {
            traffic_class: header.tos,
            flow_label: 0,
            payload_length: header.length as u16,
            next_header: header.protocol,
            hop_limit: header.ttl,
            source: header.source,
            destination: header.destination,
        }
        .write(out);
    }
}
