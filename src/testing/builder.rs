//! Builds Ethernet frames with correct checksums in one expression:
//!
//! ```
//! use director::packet::tcp;
//! use director::testing::frame;
//!
//! let syn = frame().ipv4("10.9.8.7", "10.0.0.100").ttl(63).tcp(4000, 80).flags(tcp::SYN).build();
//! assert_eq!(syn.len(), 14 + 20 + 20);
//! ```
//!
//! The builder allocates, and panics on invalid input: it is made for tests.

use super::AddressText;
use super::upper::Upper;
use crate::model::Family;
use crate::packet::ethernet::EtherType;
use crate::packet::{Address, ethernet, ipv4, ipv6, tcp, wire};

/// A frame with only MAC addresses so far.
#[derive(Clone, Copy, Debug)]
pub struct FrameBuilder {
    destination: [u8; 6],
    source: [u8; 6],
}

/// Starts a frame.
pub fn frame() -> FrameBuilder {
    FrameBuilder { destination: [2, 0, 0, 0, 0, 1], source: [2, 0, 0, 0, 0xfe, 0xfe] }
}

impl FrameBuilder {
    pub fn macs(self, destination: [u8; 6], source: [u8; 6]) -> Self {
        FrameBuilder { destination, source }
    }

    pub fn ipv4(
        self,
        source: impl AddressText<u32>,
        destination: impl AddressText<u32>,
    ) -> PacketBuilder<u32> {
        PacketBuilder::new(self, source.address(), destination.address())
    }

    pub fn ipv6(
        self,
        source: impl AddressText<u128>,
        destination: impl AddressText<u128>,
    ) -> PacketBuilder<u128> {
        PacketBuilder::new(self, source.address(), destination.address())
    }
}

/// An IP packet under construction. `A` is `u32` or `u128`. Defaults: TTL 64, TOS 0, no DF, identification 7, no payload,
/// protocol 253 (RFC 3692, for experiments).
#[derive(Clone, Debug)]
pub struct PacketBuilder<A> {
    frame: FrameBuilder,
    source: A,
    destination: A,
    ttl: u8,
    tos: u8,
    dont_fragment: bool,
    identification: u32,
    flow_label: u32,
    fragment: Option<(u16, bool)>,
    /// IPv4 options.
    options: Vec<u8>,
    /// IPv6 extension headers: number and everything after the next-header octet.
    extensions: Vec<(u8, Vec<u8>)>,
    upper: Upper,
    payload: Vec<u8>,
    padded: bool,
}

impl<A: Address> PacketBuilder<A> {
    fn new(frame: FrameBuilder, source: A, destination: A) -> Self {
        PacketBuilder {
            frame,
            source,
            destination,
            ttl: 64,
            tos: 0,
            dont_fragment: false,
            identification: 7,
            flow_label: 0,
            fragment: None,
            options: Vec::new(),
            extensions: Vec::new(),
            upper: Upper::Raw { protocol: 253 },
            payload: Vec::new(),
            padded: false,
        }
    }

    /// TTL or hop limit.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// TOS or traffic class.
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// IPv4's identification, or that of an IPv6 fragment header.
    pub fn identification(mut self, identification: u32) -> Self {
        self.identification = identification;
        self
    }

    /// Makes the packet one fragment of a datagram at `offset` bytes (a multiple of 8). The built bytes are the fragment's
    /// bytes, so a checksum covers only them. [`Self::fragments`] cuts up a whole datagram instead.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        assert_eq!(offset % 8, 0, "fragments start at multiples of 8");
        self.fragment = Some((offset, more));
        self
    }

    pub fn tcp(mut self, source: u16, destination: u16) -> Self {
        let header = tcp::Header {
            source_port: source,
            destination_port: destination,
            flags: tcp::ACK,
            window: 8192,
            ..Default::default()
        };
        self.upper = Upper::Tcp { header, options: Vec::new() };
        self
    }

    fn tcp_header(&mut self) -> &mut tcp::Header {
        match &mut self.upper {
            Upper::Tcp { header, .. } => header,
            other => panic!("TCP's fields need .tcp() first, not {other:?}"),
        }
    }

    /// TCP flags. Default: ACK.
    pub fn flags(mut self, flags: u8) -> Self {
        self.tcp_header().flags = flags;
        self
    }

    /// TCP sequence number.
    pub fn seq(mut self, sequence: u32) -> Self {
        self.tcp_header().sequence = sequence;
        self
    }

    /// TCP acknowledgment number.
    pub fn ack(mut self, acknowledgment: u32) -> Self {
        self.tcp_header().acknowledgment = acknowledgment;
        self
    }

    /// TCP window.
    pub fn window(mut self, window: u16) -> Self {
        self.tcp_header().window = window;
        self
    }

    /// TCP options, a multiple of 4 bytes.
    pub fn tcp_options(mut self, bytes: &[u8]) -> Self {
        assert_eq!(bytes.len() % 4, 0, "options fill whole words");
        match &mut self.upper {
            Upper::Tcp { options, .. } => *options = bytes.to_vec(),
            other => panic!("TCP options need .tcp() first, not {other:?}"),
        }
        self
    }

    pub fn udp(mut self, source: u16, destination: u16) -> Self {
        self.upper = Upper::Udp { source, destination, checksum: true };
        self
    }

    /// UDP with checksum 0: none.
    pub fn without_checksum(mut self) -> Self {
        match &mut self.upper {
            Upper::Udp { checksum, .. } => *checksum = false,
            other => panic!("only UDP may go without a checksum, not {other:?}"),
        }
        self
    }

    /// SCTP with one chunk, of the type given; the payload is the chunk's value.
    pub fn sctp(mut self, source: u16, destination: u16, chunk: u8) -> Self {
        self.upper = Upper::Sctp { source, destination, tag: 0, chunk };
        self
    }

    /// SCTP verification tag.
    pub fn tag(mut self, verification_tag: u32) -> Self {
        match &mut self.upper {
            Upper::Sctp { tag, .. } => *tag = verification_tag,
            other => panic!("a verification tag needs .sctp() first, not {other:?}"),
        }
        self
    }

    /// An ICMP or ICMPv6 message; `rest` are the four bytes after its checksum.
    pub fn icmp(mut self, message_type: u8, code: u8, rest: u32) -> Self {
        self.upper = Upper::Icmp { message_type, code, rest };
        self
    }

    /// An ICMP or ICMPv6 error about the IP packet that `offending` begins with.
    pub fn icmp_error(self, message_type: u8, code: u8, rest: u32, offending: &[u8]) -> Self {
        self.icmp(message_type, code, rest).payload(offending)
    }

    /// Any other protocol: the payload follows the IP header directly.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.upper = Upper::Raw { protocol };
        self
    }

    pub fn payload(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.payload = bytes.as_ref().to_vec();
        self
    }

    /// Pads the frame to Ethernet's minimum length.
    pub fn padded(mut self) -> Self {
        self.padded = true;
        self
    }

    /// The IP packet around `segment`.
    fn around(&self, segment: &[u8]) -> Vec<u8> {
        match A::FAMILY {
            Family::Ipv4 => self.ipv4_around(segment),
            Family::Ipv6 => self.ipv6_around(segment),
        }
    }

    fn ipv4_around(&self, segment: &[u8]) -> Vec<u8> {
        let header = ipv4::HEADER + self.options.len();
        let mut bytes = [&vec![0; header][..], segment].concat();
        let (offset, more) = self.fragment.unwrap_or_default();
        let dont_fragment = if self.dont_fragment { ipv4::DONT_FRAGMENT } else { 0 };
        let more = if more { ipv4::MORE_FRAGMENTS } else { 0 };
        ipv4::Header {
            tos: self.tos,
            total_length: bytes.len() as u16,
            identification: self.identification as u16,
            fragment_word: dont_fragment | more | (offset / 8),
            ttl: self.ttl,
            protocol: self.upper.protocol(A::FAMILY),
            source: 0,
            destination: 0,
        }
        .write(&mut bytes);
        bytes[0] = 0x40 | (header / 4) as u8;
        self.source.write(&mut bytes[12..]);
        self.destination.write(&mut bytes[16..]);
        bytes[ipv4::HEADER..header].copy_from_slice(&self.options);
        ipv4::write_checksum(&mut bytes[..header]);
        bytes
    }

    fn ipv6_around(&self, segment: &[u8]) -> Vec<u8> {
        let mut headers = self.extensions.clone();
        if let Some((offset, more)) = self.fragment {
            let mut body = vec![0; ipv6::FRAGMENT_HEADER - 1];
            wire::set16(&mut body, 1, offset | u16::from(more));
            wire::set32(&mut body, 3, self.identification);
            headers.push((ipv6::FRAGMENT, body));
        }
        let numbers = headers.iter().map(|header| header.0).chain([self.upper.protocol(A::FAMILY)]);
        let numbers: Vec<u8> = numbers.collect();
        let mut bytes = vec![0; ipv6::HEADER];
        for ((_, body), next) in headers.iter().zip(&numbers[1..]) {
            bytes.push(*next);
            bytes.extend_from_slice(body);
        }
        bytes.extend_from_slice(segment);
        ipv6::Header {
            traffic_class: self.tos,
            flow_label: self.flow_label,
            payload_length: (bytes.len() - ipv6::HEADER) as u16,
            next_header: numbers[0],
            hop_limit: self.ttl,
            source: 0,
            destination: 0,
        }
        .write(&mut bytes);
        self.source.write(&mut bytes[8..]);
        self.destination.write(&mut bytes[24..]);
        bytes
    }

    /// The packet from its IP header on: what an ICMP error quotes.
    pub fn packet(&self) -> Vec<u8> {
        self.around(&self.upper.segment(self.source, self.destination, &self.payload))
    }

    /// The Ethernet frame.
    pub fn build(&self) -> Vec<u8> {
        self.framed(&self.packet())
    }

    /// The frames of the datagram cut into pieces of at most `size` bytes (a multiple of 8) of IP payload.
    pub fn fragments(&self, size: usize) -> Vec<Vec<u8>> {
        assert!(size != 0 && size.is_multiple_of(8), "fragments are multiples of 8 long");
        let segment = self.upper.segment(self.source, self.destination, &self.payload);
        let pieces = segment.chunks(size).enumerate();
        pieces
            .map(|(index, piece)| {
                let offset = index * size;
                let more = offset + piece.len() < segment.len();
                let part = self.clone().fragment(offset as u16, more);
                self.framed(&part.around(piece))
            })
            .collect()
    }

    fn framed(&self, packet: &[u8]) -> Vec<u8> {
        let mut bytes = [&[0; ethernet::ETHERNET], packet].concat();
        let ether_type = EtherType::of(A::FAMILY);
        ethernet::write(&mut bytes, self.frame.destination, self.frame.source, ether_type);
        if self.padded && bytes.len() < ethernet::SHORTEST {
            bytes.resize(ethernet::SHORTEST, 0);
        }
        bytes
    }
}

impl PacketBuilder<u32> {
    /// Sets the DF bit.
    pub fn df(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    /// IP options, a multiple of 4 bytes, at most 40.
    pub fn options(mut self, bytes: &[u8]) -> Self {
        assert!(bytes.len().is_multiple_of(4) && bytes.len() <= 40, "options fill 0 to 10 words");
        self.options = bytes.to_vec();
        self
    }
}

impl PacketBuilder<u128> {
    /// 20 bits.
    pub fn flow_label(mut self, flow_label: u32) -> Self {
        self.flow_label = flow_label;
        self
    }

    /// Adds an extension header; `body` is everything after its next-header octet, so 7, 15, 23 … bytes.
    pub fn extension(mut self, number: u8, body: &[u8]) -> Self {
        assert_eq!((body.len() + 1) % 8, 0, "extension headers are multiples of 8 long");
        self.extensions.push((number, body.to_vec()));
        self
    }

    /// Adds a hop-by-hop options header that holds only padding.
    pub fn hop_by_hop(self) -> Self {
        self.extension(ipv6::HOP_BY_HOP, &[0, 1, 4, 0, 0, 0, 0])
    }

    /// Adds a destination options header that holds only padding.
    pub fn destination_options(self) -> Self {
        self.extension(ipv6::DESTINATION_OPTIONS, &[0, 1, 4, 0, 0, 0, 0])
    }

    /// Adds a routing header of type 4 without segments.
    pub fn routing(self, segments_left: u8) -> Self {
        self.extension(ipv6::ROUTING, &[0, 4, segments_left, 0, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Frames as another packet crafter wrote them.
    #[test]
    fn frames_are_right_to_the_bit() {
        let syn =
            frame().ipv4("77.15.238.71", "10.0.0.100").tcp(2001, 80).flags(tcp::SYN).seq(1000);
        assert_eq!(
            hex(&syn.build()),
            "02000000000102000000fefe0800450000280007000040063\
             50f4d0fee470a00006407d10050000003e800000000500220003e1f0000"
        );
        let ping = frame().ipv4("77.15.238.71", "10.0.0.100").identification(9).udp(2001, 53);
        assert_eq!(
            hex(&ping.payload("ping").build()),
            "02000000000102000000fefe080045000020000900004011350a4d0fee470a00006407d10035000cd34470696e67"
        );
        let reply = frame().ipv6("2001:db8::44", "fd00:a::100").icmp(128, 0, 0x0001_0001);
        assert_eq!(
            hex(&reply.payload("abcdefgh").build()),
            "02000000000102000000fefe86dd6000000000103a4020010db8000000000000000000000044\
             fd00000a0000000000000000000001008000c215000100016162636465666768"
        );
    }

    #[test]
    fn fragments_add_up_to_the_datagram() {
        let whole = frame().ipv4("10.9.8.7", "10.0.0.100").udp(4000, 53).payload([0x55; 100]);
        let pieces = whole.fragments(48);
        let payloads: Vec<&[u8]> = pieces.iter().map(|piece| &piece[34..]).collect();
        assert_eq!(payloads.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [48, 48, 12]);
        assert_eq!(payloads.concat(), whole.packet()[20..]);
        let words: Vec<u16> =
            pieces.iter().map(|piece| ipv4::fragment_word(&piece[14..])).collect();
        assert_eq!(words, [0x2000, 0x2006, 0x000c]);
    }

    #[test]
    fn padding_fills_up_short_frames_only() {
        let short = frame().ipv4("10.9.8.7", "10.0.0.100").tcp(1, 2).padded();
        assert_eq!(short.build().len(), 60);
        assert_eq!(short.clone().payload([1; 200]).build().len(), 14 + 40 + 200);
    }
}
