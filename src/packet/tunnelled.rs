//! The packet inside a tunnel packet that an ICMP error quotes, as far as the quotation goes.

use super::{Tuple, ipv4, quoted, udp, wire};

/// An IPv4 packet inside an IPv4 tunnel packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tunnelled<'a> {
    /// From its IP header on: an IP header and at least eight bytes behind it.
    pub bytes: &'a [u8],
    pub tuple: Tuple<u32>,
    pub dont_fragment: bool,
    /// Where the tunnel packet was sent.
    pub end: u32,
    /// GUE: its UDP port.
    pub port: Option<u16>,
}

/// Opens the tunnel packet that starts with `outer`: IPIP, GRE with at most a checksum, or GUE (version 0, no private
/// data). `None`: something else, or too little of it.
pub(crate) fn open(outer: &[u8]) -> Option<Tunnelled<'_>> {
    let header = outer.first_chunk::<{ ipv4::HEADER }>()?;
    let later = ipv4::is_later_fragment(header);
    let payload = outer.get(ipv4::header_length(header)..).filter(|_| !later)?;
    let (bytes, port) = match ipv4::protocol(header) {
        ipv4::IPIP => (payload, None),
        ipv4::GRE => {
            let shim = payload.first_chunk::<4>()?;
            match wire::get32(shim, 0) {
                0x0000_0800 => (payload.get(4..)?, None),
                0x8000_0800 => (payload.get(8..)?, None),
                _ => return None,
            }
        }
        ipv4::UDP => {
            // draft-ietf-intarea-gue: two bits of version, a control bit, five bits of length in words.
            let gue = payload.get(udp::HEADER..)?;
            let shim = gue.first_chunk::<4>()?;
            if shim[0] & 0xe0 != 0 || shim[1] != ipv4::IPIP {
                return None;
            }
            let port = udp::destination_port(payload);
            (gue.get(4 + usize::from(shim[0] & 0x1f) * 4..)?, Some(port))
        }
        _ => return None,
    };
    let tuple = quoted::quotation::<u32>(bytes)?.tuple;
    if tuple.protocol == ipv4::ICMP {
        return None;
    }
    let dont_fragment = ipv4::dont_fragment(bytes);
    Some(Tunnelled { bytes, tuple, dont_fragment, end: ipv4::destination(header), port })
}
