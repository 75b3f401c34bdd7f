//! The part of a built packet behind the IP header.

use crate::model::Family;
use crate::packet::{Address, icmp, ipv4, sctp, tcp, udp, wire};

/// A transport header, or none.
#[derive(Clone, Debug)]
pub(super) enum Upper {
    Tcp { header: tcp::Header, options: Vec<u8> },
    Udp { source: u16, destination: u16, checksum: bool },
    Sctp { source: u16, destination: u16, tag: u32, chunk: u8 },
    Icmp { message_type: u8, code: u8, rest: u32 },
    Raw { protocol: u8 },
}

impl Upper {
    pub(super) fn protocol(&self, family: Family) -> u8 {
        match self {
            Upper::Tcp { .. } => ipv4::TCP,
            Upper::Udp { .. } => ipv4::UDP,
            Upper::Sctp { .. } => ipv4::SCTP,
            Upper::Icmp { .. } => icmp::protocol(family),
            Upper::Raw { protocol } => *protocol,
        }
    }

    /// Header and payload, checksum in place.
    pub(super) fn segment<A: Address>(&self, from: A, to: A, payload: &[u8]) -> Vec<u8> {
        let after = |header: usize| [&vec![0; header][..], payload].concat();
        match self {
            Upper::Tcp { header, options } => {
                let words = (tcp::HEADER + options.len()) / 4;
                let mut bytes = after(words * 4);
                header.write(&mut bytes);
                bytes[12] = (words << 4) as u8;
                bytes[tcp::HEADER..][..options.len()].copy_from_slice(options);
                tcp::write_checksum(&mut bytes, from, to);
                bytes
            }
            Upper::Udp { source, destination, checksum } => {
                let mut bytes = after(udp::HEADER);
                let length = bytes.len() as u16;
                udp::write(&mut bytes, *source, *destination, length);
                if *checksum {
                    udp::write_checksum(&mut bytes, from, to);
                }
                bytes
            }
            Upper::Sctp { source, destination, tag, chunk } => {
                let mut bytes = after(sctp::HEADER + sctp::CHUNK_HEADER);
                sctp::write(&mut bytes, *source, *destination, *tag);
                bytes[sctp::HEADER] = *chunk;
                let length = sctp::CHUNK_HEADER + payload.len();
                wire::set16(&mut bytes, sctp::HEADER + 2, length as u16);
                sctp::write_checksum(&mut bytes);
                bytes
            }
            Upper::Icmp { message_type, code, rest } => {
                let mut bytes = after(icmp::HEADER);
                icmp::write(&mut bytes, *message_type, *code, *rest);
                icmp::write_checksum(&mut bytes, from, to);
                bytes
            }
            Upper::Raw { .. } => payload.to_vec(),
        }
    }
}
