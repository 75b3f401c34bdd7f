//! A packet of a scenario, with fields that can be simplified.

use crate::frame;
use director::packet::Address;
use director::testing::{self, FrameBuilder, PacketBuilder};
use std::net::IpAddr;

/// One packet in an Ethernet frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    pub tos: u8,
    /// IPv4's DF bit.
    pub dont_fragment: bool,
    pub extra: Extra,
    pub upper: Upper,
    pub payload: Vec<u8>,
    pub fault: Fault,
    /// Padded to Ethernet's 60 bytes.
    pub padded: bool,
    /// Payload bytes of each fragment, if the datagram is fragmented.
    pub fragments: Option<usize>,
    /// The last fragment is sent first.
    pub reversed: bool,
}

/// What is between the IP header and the transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    None,
    /// IPv4: options without effect. IPv6: a hop-by-hop header with padding.
    Options,
    /// IPv6: a destination options header with padding. IPv4: nothing.
    DestinationOptions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upper {
    Tcp {
        source: u16,
        destination: u16,
        flags: u8,
        segment_size: Option<u16>,
    },
    Udp {
        source: u16,
        destination: u16,
        checksum: bool,
    },
    Sctp {
        source: u16,
        destination: u16,
        chunk: u8,
    },
    Echo {
        reply: bool,
    },
    /// An ICMP error that quotes the first `quoted` bytes of a packet.
    Error {
        message: u8,
        code: u8,
        rest: u32,
        about: Box<Packet>,
        quoted: usize,
    },
    Other {
        protocol: u8,
    },
}

/// A fault of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Wrong IPv4 header checksum.
    HeaderChecksum,
    /// Wrong checksum of TCP, UDP, SCTP or ICMP.
    UpperChecksum,
    /// Shorter than its length field.
    CutShort(usize),
}

impl Packet {
    pub fn new(source: IpAddr, destination: IpAddr, upper: Upper) -> Packet {
        Packet {
            source,
            destination,
            ttl: 64,
            tos: 0,
            dont_fragment: false,
            extra: Extra::None,
            upper,
            payload: Vec::new(),
            fault: Fault::None,
            padded: false,
            fragments: None,
            reversed: false,
        }
    }

    /// The frames of the packet, with these MAC addresses.
    pub fn frames(&self, from: [u8; 6], to: [u8; 6]) -> Vec<Vec<u8>> {
        let macs = testing::frame().macs(to, from);
        match self.builders(macs) {
            Builders::V4(builder) => self.finish(&builder),
            Builders::V6(builder) => self.finish(&builder),
        }
    }

    /// The packet without faults, from its IP header: quoted by ICMP errors.
    pub fn bytes(&self) -> Vec<u8> {
        match self.builders(testing::frame()) {
            Builders::V4(builder) => builder.packet(),
            Builders::V6(builder) => builder.packet(),
        }
    }

    fn builders(&self, macs: FrameBuilder) -> Builders {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut builder = macs.ipv4(source, destination);
                if self.dont_fragment {
                    builder = builder.df();
                }
                if self.extra != Extra::None {
                    builder = builder.options(&[1, 1, 1, 0]);
                }
                Builders::V4(self.fill(builder))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let builder = macs.ipv6(source, destination);
                Builders::V6(self.fill(match self.extra {
                    Extra::None => builder,
                    Extra::Options => builder.hop_by_hop(),
                    Extra::DestinationOptions => builder.destination_options(),
                }))
            }
            other => unreachable!("a packet from one family to the other: {other:?}"),
        }
    }

    fn fill<A: Address>(&self, builder: PacketBuilder<A>) -> PacketBuilder<A> {
        let builder = builder.ttl(self.ttl).tos(self.tos);
        let builder = if self.padded { builder.padded() } else { builder };
        let ipv4 = self.source.is_ipv4();
        match &self.upper {
            Upper::Tcp { source, destination, flags, segment_size } => {
                let builder = builder.tcp(*source, *destination).flags(*flags).seq(1000);
                let builder = match segment_size {
                    Some(size) => builder.tcp_options(&[&[2, 4][..], &size.to_be_bytes()].concat()),
                    None => builder,
                };
                builder.payload(&self.payload)
            }
            Upper::Udp { source, destination, checksum } => {
                let builder = builder.udp(*source, *destination).payload(&self.payload);
                if *checksum { builder } else { builder.without_checksum() }
            }
            Upper::Sctp { source, destination, chunk } => {
                builder.sctp(*source, *destination, *chunk).payload(&self.payload)
            }
            Upper::Echo { reply } => {
                let message = match (ipv4, reply) {
                    (true, false) => 8,
                    (true, true) => 0,
                    (false, reply) => 128 + u8::from(*reply),
                };
                builder.icmp(message, 0, 0x0001_0001).payload(&self.payload)
            }
            Upper::Error { message, code, rest, about, quoted } => {
                let mut bytes = about.bytes();
                bytes.truncate(*quoted);
                builder.icmp_error(*message, *code, *rest, &bytes)
            }
            Upper::Other { protocol } => builder.protocol(*protocol).payload(&self.payload),
        }
    }

    fn finish<A: Address>(&self, builder: &PacketBuilder<A>) -> Vec<Vec<u8>> {
        if let Some(size) = self.fragments {
            let mut frames = builder.fragments(size);
            if self.reversed {
                frames.reverse();
            }
            return frames;
        }
        let mut bytes = builder.build();
        let Some(header) = frame::internet(&bytes) else { return vec![bytes] };
        let upper = match self.upper {
            Upper::Tcp { .. } => Some(16),
            Upper::Udp { .. } => Some(6),
            Upper::Sctp { .. } => Some(8),
            Upper::Echo { .. } | Upper::Error { .. } => Some(2),
            Upper::Other { .. } => None,
        };
        // IPv6 extension headers here have 8 bytes.
        let extension = if self.source.is_ipv6() && self.extra != Extra::None { 8 } else { 0 };
        let at = match self.fault {
            Fault::None => None,
            Fault::HeaderChecksum => self.source.is_ipv4().then_some(frame::ETHERNET_LENGTH + 10),
            Fault::UpperChecksum => upper.map(|offset| header.payload + extension + offset),
            Fault::CutShort(length) => {
                bytes.truncate(length.max(frame::ETHERNET_LENGTH));
                None
            }
        };
        if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
            *byte ^= 0x5a;
        }
        vec![bytes]
    }

    /// For each field that can be simplified, the packet with that field simplified.
    pub fn simpler(&self) -> Vec<Packet> {
        let plain: [fn(&mut Packet); 11] = [
            |packet| packet.fragments = None,
            |packet| {
                if packet.fragments.is_some() {
                    packet.fragments = Some(24);
                    packet.payload.truncate(40);
                }
            },
            |packet| packet.reversed = false,
            |packet| packet.fault = Fault::None,
            |packet| packet.extra = Extra::None,
            |packet| packet.ttl = 64,
            |packet| packet.tos = 0,
            |packet| packet.dont_fragment = false,
            |packet| packet.padded = false,
            |packet| packet.payload = Vec::new(),
            |packet| match &mut packet.upper {
                Upper::Tcp { segment_size, .. } => *segment_size = None,
                Upper::Udp { checksum, .. } => *checksum = true,
                Upper::Error { quoted, about, .. } => {
                    *quoted = usize::MAX;
                    about.payload.truncate(8);
                }
                _ => {}
            },
        ];
        let changed = plain.map(|change| {
            let mut packet = self.clone();
            change(&mut packet);
            packet
        });
        changed.into_iter().filter(|packet| packet != self).collect()
    }
}

enum Builders {
    V4(PacketBuilder<u32>),
    V6(PacketBuilder<u128>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum;

    fn syn() -> Packet {
        let upper = Upper::Tcp { source: 4000, destination: 80, flags: 2, segment_size: None };
        Packet::new("11.22.33.44".parse().unwrap(), "10.0.0.100".parse().unwrap(), upper)
    }

    #[test]
    fn a_fault_breaks_one_checksum() {
        let bytes = |fault| Packet { fault, ..syn() }.frames([2; 6], [4; 6]).remove(0);
        let header = |frame: &[u8]| checksum::holds(&frame[14..34]);
        let upper = |frame: &[u8]| {
            let Packet { source, destination, .. } = syn();
            checksum::holds_with_pseudo_header(source, destination, 6, &frame[34..])
        };
        for (fault, header_holds, upper_holds) in [
            (Fault::None, true, true),
            (Fault::HeaderChecksum, false, true),
            (Fault::UpperChecksum, true, false),
        ] {
            let frame = bytes(fault);
            assert_eq!((header(&frame), upper(&frame)), (header_holds, upper_holds), "{fault:?}");
        }
        assert_eq!(bytes(Fault::CutShort(30)).len(), 30);
    }

    #[test]
    fn an_error_quotes_its_packet() {
        let about = Box::new(syn());
        let error = Upper::Error { message: 3, code: 1, rest: 0, about, quoted: 28 };
        let packet = Packet::new("10.0.0.9".parse().unwrap(), syn().source, error);
        assert_eq!(packet.bytes()[28..], syn().bytes()[..28]);
    }

    #[test]
    fn the_simplest_packet_has_no_simpler_one() {
        assert_eq!(syn().simpler(), []);
        let odd = Packet { ttl: 3, fragments: Some(8), ..syn() };
        assert_eq!(odd.simpler().len(), 3);
    }
}
