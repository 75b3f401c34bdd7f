//! The inner packet of a tunnel packet quoted by an ICMP error.

use super::{Tuple, ipv4, quoted, udp, wire};
use crate::model::TunnelKind;

/// An IPv4 packet inside an IPv4 tunnel packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tunnelled<'a> {
    /// The inner packet: its IP header and at least eight bytes after it.
    pub bytes: &'a [u8],
    pub tuple: Tuple<u32>,
    pub dont_fragment: bool,
    /// Destination of the tunnel packet.
    pub end: u32,
    pub kind: TunnelKind,
}

/// Parses the tunnel packet at the start of `outer`: IPIP, GRE with an optional checksum, or GUE (version 0, without
/// private data). `None` for other packets, or if too little is quoted.
pub(crate) fn open(outer: &[u8]) -> Option<Tunnelled<'_>> {
    let header = outer.first_chunk::<{ ipv4::HEADER }>()?;
    let later = ipv4::is_later_fragment(header);
    let payload = outer.get(ipv4::header_length(header)..).filter(|_| !later)?;
    let (bytes, kind) = match ipv4::protocol(header) {
        ipv4::IPIP => (payload, TunnelKind::Ipip),
        ipv4::GRE => {
            let shim = payload.first_chunk::<4>()?;
            match wire::get32(shim, 0) {
                0x0000_0800 => (payload.get(4..)?, TunnelKind::Gre),
                0x8000_0800 => (payload.get(8..)?, TunnelKind::Gre),
                _ => return None,
            }
        }
        ipv4::UDP => {
            // draft-ietf-intarea-gue: two bits of version, a control bit, five bits of length in 4-byte words.
            let gue = payload.get(udp::HEADER..)?;
            let shim = gue.first_chunk::<4>()?;
            if shim[0] & 0xe0 != 0 || shim[1] != ipv4::IPIP {
                return None;
            }
            let kind = TunnelKind::Gue { port: udp::destination_port(payload) };
            (gue.get(4 + usize::from(shim[0] & 0x1f) * 4..)?, kind)
        }
        _ => return None,
    };
    let tuple = quoted::quotation::<u32>(bytes)?.tuple;
    if tuple.protocol == ipv4::ICMP {
        return None;
    }
    let dont_fragment = ipv4::dont_fragment(bytes);
    Some(Tunnelled { bytes, tuple, dont_fragment, end: ipv4::destination(header), kind })
}
