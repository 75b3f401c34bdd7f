//! The packet quoted by an ICMP error. Its checksums and total length are not checked, because a NAT on the way may
//! have changed one without the other.

use super::{Address, Tuple, extension, ipv4, ipv6, wire};

/// Length of the ports in bytes. Some senders quote no more of the transport header, although RFC 792 requires 8 bytes.
const PORTS: usize = 4;

/// The quoted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quotation<A> {
    /// Ports are 0 unless the protocol is TCP, UDP or SCTP.
    pub tuple: Tuple<A>,
    /// Offset of the transport header from the start of the quoted IP header.
    pub transport: usize,
}

/// Address families whose quoted headers can be parsed.
pub(super) trait Quotes: Address {
    /// Addresses, upper-layer protocol and offset of the transport header. `None` if invalid, cut off, or a later
    /// fragment.
    fn network(bytes: &[u8]) -> Option<Quotation<Self>>;
}

/// Parses the packet at the start of `bytes`, as far as it is quoted.
pub(super) fn quotation<A: Quotes>(bytes: &[u8]) -> Option<Quotation<A>> {
    let mut quotation = A::network(bytes)?;
    let transport = bytes.get(quotation.transport..)?.first_chunk::<PORTS>()?;
    if matches!(quotation.tuple.protocol, ipv4::TCP | ipv4::UDP | ipv4::SCTP) {
        quotation.tuple.source_port = wire::get16(transport, 0);
        quotation.tuple.destination_port = wire::get16(transport, 2);
    }
    Some(quotation)
}

fn without_ports<A: Address>(source: A, destination: A, protocol: u8) -> Tuple<A> {
    Tuple { source, destination, source_port: 0, destination_port: 0, protocol }
}

impl Quotes for u32 {
    fn network(bytes: &[u8]) -> Option<Quotation<u32>> {
        let header = bytes.first_chunk::<{ ipv4::HEADER }>()?;
        let transport = ipv4::header_length(header);
        let later = ipv4::is_later_fragment(header);
        if ipv4::version(header) != 4 || transport < ipv4::HEADER || later {
            return None;
        }
        let (source, destination) = (ipv4::source(header), ipv4::destination(header));
        let tuple = without_ports(source, destination, ipv4::protocol(header));
        Some(Quotation { tuple, transport })
    }
}

impl Quotes for u128 {
    fn network(bytes: &[u8]) -> Option<Quotation<u128>> {
        let header = bytes.first_chunk::<{ ipv6::HEADER }>()?;
        if ipv6::version(header) != 6 {
            return None;
        }
        let chain = extension::follow(bytes)?;
        if chain.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return None;
        }
        let (source, destination) = (ipv6::source(header), ipv6::destination(header));
        let tuple = without_ports(source, destination, chain.protocol);
        Some(Quotation { tuple, transport: chain.end })
    }
}
