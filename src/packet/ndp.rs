//! Neighbour solicitations and advertisements (RFC 4861 sections 4.3, 4.4 and 7.1), the counterpart of ARP in IPv6.

use super::{Packet, Role, ethernet, icmp, ipv6, wire};
use ethernet::{ETHERNET, EtherType};
use icmp::v6::{NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};

/// Length of a message without options, in bytes.
const MESSAGE: usize = 24;
/// Length of the link-layer address option, in bytes.
const LINK_OPTION: usize = 8;
/// Length in bytes of the longest frame that [`Neighbour::write`] creates.
pub const FRAME: usize = ETHERNET + ipv6::HEADER + MESSAGE + LINK_OPTION;

/// Option types.
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// Routers do not forward these messages; a hop limit of 255 proves that none did.
pub const HOP_LIMIT: u8 = 255;

/// All nodes, `ff02::1`.
pub const ALL_NODES: u128 = 0xff02 << 112 | 1;

/// Flags of an advertisement, as in the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The sender is a router.
    pub router: bool,
    /// Answers a solicitation.
    pub solicited: bool,
    /// Overrides an existing neighbour entry.
    pub override_entry: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Solicitation,
    Advertisement(Flags),
}

/// A solicitation or advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub kind: Kind,
    /// The target address.
    pub target: u128,
    /// MAC address of the solicitation's source, or of the advertisement's target.
    pub mac: Option<[u8; 6]>,
}

/// Source and destination of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: u128,
    pub destination: u128,
}

/// The solicited-node multicast address of `address` (RFC 4291 section 2.7.1).
pub const fn solicited_node(address: u128) -> u128 {
    0xff02 << 112 | 1 << 32 | 0xff << 24 | address & 0x00ff_ffff
}

/// The MAC address of an IPv6 multicast group (RFC 2464 section 7).
pub const fn multicast_mac(group: u128) -> [u8; 6] {
    let [.., a, b, c, d] = group.to_be_bytes();
    [0x33, 0x33, a, b, c, d]
}

impl Neighbour {
    /// Parses the message in `packet`, which was parsed from `bytes` (starting at the IPv6 header). `None` for other
    /// messages, and for those that are invalid by RFC 4861 sections 7.1.1 and 7.1.2, e.g. with a wrong checksum or hop
    /// limit.
    pub fn parse(packet: &Packet<u128>, bytes: &[u8]) -> Option<Neighbour> {
        let message = bytes.get(usize::from(packet.header)..usize::from(packet.length))?;
        let header = message.first_chunk::<MESSAGE>()?;
        let (source, destination) = (packet.source(), packet.destination());
        let acceptable = packet.role == Role::Icmp
            && packet.ttl == HOP_LIMIT
            && packet.icmp_code == 0
            && icmp::verify(source, destination, message) == 0;
        let target = ipv6::source(header);
        if !acceptable || ipv6::is_multicast(target) {
            return None;
        }
        let options = &message[MESSAGE..];
        match packet.icmp_type {
            NEIGHBOUR_SOLICITATION => {
                let mac = link_option(options, SOURCE_LINK_LAYER)?;
                // Without a source it is duplicate address detection, which has its own rules.
                let probe = source == 0;
                if probe && (mac.is_some() || destination != solicited_node(target)) {
                    return None;
                }
                Some(Neighbour { kind: Kind::Solicitation, target, mac })
            }
            NEIGHBOUR_ADVERTISEMENT => {
                let mac = link_option(options, TARGET_LINK_LAYER)?;
                let flags = Flags {
                    router: header[4] & 0x80 != 0,
                    solicited: header[4] & 0x40 != 0,
                    override_entry: header[4] & 0x20 != 0,
                };
                if flags.solicited && ipv6::is_multicast(destination) {
                    return None;
                }
                Some(Neighbour { kind: Kind::Advertisement(flags), target, mac })
            }
            _ => None,
        }
    }

    /// A solicitation for `target`, sent to its solicited-node group.
    pub fn solicitation(mac: [u8; 6], source: u128, target: u128) -> (Neighbour, Route) {
        let destination = solicited_node(target);
        let destination_mac = multicast_mac(destination);
        let route = Route { source_mac: mac, destination_mac, source, destination };
        (Neighbour { kind: Kind::Solicitation, target, mac: Some(mac) }, route)
    }

    /// The advertisement that answers this solicitation from `source` at `source_mac`: its target has the address
    /// `mac`. Duplicate address detection has no source and is answered to all nodes (RFC 4861 section 7.2.4).
    pub fn answer(
        &self,
        source: u128,
        source_mac: [u8; 6],
        mac: [u8; 6],
        router: bool,
    ) -> (Neighbour, Route) {
        if source == 0 {
            return Neighbour::announcement(mac, self.target, router);
        }
        let flags = Flags { router, solicited: true, override_entry: true };
        let route = Route {
            source_mac: mac,
            destination_mac: source_mac,
            source: self.target,
            destination: source,
        };
        (Neighbour { kind: Kind::Advertisement(flags), target: self.target, mac: Some(mac) }, route)
    }

    /// Announces `address` at `mac` to all nodes (RFC 4861 section 7.2.6).
    pub fn announcement(mac: [u8; 6], address: u128, router: bool) -> (Neighbour, Route) {
        let flags = Flags { router, solicited: false, override_entry: true };
        let route = Route {
            source_mac: mac,
            destination_mac: multicast_mac(ALL_NODES),
            source: address,
            destination: ALL_NODES,
        };
        (Neighbour { kind: Kind::Advertisement(flags), target: address, mac: Some(mac) }, route)
    }

    /// Writes the frame to `out` and returns its length, at most [`FRAME`] bytes.
    ///
    /// # Panics
    /// If `out` is shorter than [`FRAME`].
    pub fn write(&self, out: &mut [u8], route: &Route) -> usize {
        let out = &mut out[..FRAME];
        ethernet::write(out, route.destination_mac, route.source_mac, EtherType::IPV6);
        let (network, message) = out[ETHERNET..].split_at_mut(ipv6::HEADER);
        let length = MESSAGE + if self.mac.is_some() { LINK_OPTION } else { 0 };
        ipv6::Header {
            payload_length: length as u16,
            next_header: ipv6::ICMPV6,
            hop_limit: HOP_LIMIT,
            source: route.source,
            destination: route.destination,
            ..Default::default()
        }
        .write(network);
        let message = &mut message[..length];
        let (message_type, flags, option) = match self.kind {
            Kind::Solicitation => (NEIGHBOUR_SOLICITATION, 0, SOURCE_LINK_LAYER),
            Kind::Advertisement(flags) => {
                (NEIGHBOUR_ADVERTISEMENT, flags.word(), TARGET_LINK_LAYER)
            }
        };
        icmp::write(message, message_type, 0, flags);
        ipv6::set_source(message, self.target);
        if let Some(mac) = self.mac {
            wire::set16(message, MESSAGE, u16::from(option) << 8 | 1);
            ethernet::set_destination(&mut message[MESSAGE + 2..], mac);
        }
        icmp::write_checksum(message, route.source, route.destination);
        ETHERNET + ipv6::HEADER + length
    }
}

impl Flags {
    fn word(self) -> u32 {
        u32::from(self.router) << 31
            | u32::from(self.solicited) << 30
            | u32::from(self.override_entry) << 29
    }
}

/// The MAC address in the option of type `wanted`, if any. `None` if an option has length 0 or exceeds the message.
/// Every option has at least 8 bytes, so the frame bounds the loop.
fn link_option(mut options: &[u8], wanted: u8) -> Option<Option<[u8; 6]>> {
    let mut found = None;
    while !options.is_empty() {
        let length = usize::from(*options.get(1)?) * 8;
        let option = options.get(..length).filter(|option| !option.is_empty())?;
        if option[0] == wanted && length == LINK_OPTION && found.is_none() {
            found = Some(ethernet::destination(&option[2..]));
        }
        options = &options[length..];
    }
    Some(found)
}

/// True for messages that tell a host something (RFC 4861 section 4): router advertisements, neighbour advertisements and
/// redirects. `frame`: with its Ethernet header. Messages with extension headers are none of these in practice.
pub fn tells_host(frame: &[u8]) -> bool {
    const NEXT_HEADER: usize = ETHERNET + 6;
    const TYPE: usize = ETHERNET + ipv6::HEADER;
    frame.get(NEXT_HEADER) == Some(&ipv6::ICMPV6)
        && frame.get(TYPE).is_some_and(|kind| matches!(kind, 134 | 136 | 137))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::parse;
    use std::net::Ipv6Addr;

    const MINE: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const THEIRS: [u8; 6] = [2, 0, 0, 0, 0xfe, 0xfe];

    fn bits(text: &str) -> u128 {
        text.parse::<Ipv6Addr>().unwrap().to_bits()
    }

    fn written(neighbour: &Neighbour, route: &Route) -> Vec<u8> {
        let mut out = [0xff; 128];
        let length = neighbour.write(&mut out, route);
        assert!(out[length.max(FRAME)..].iter().all(|byte| *byte == 0xff));
        out[..length].to_vec()
    }

    fn read(frame: &[u8]) -> Option<Neighbour> {
        let packet = parse::ipv6(&frame[ETHERNET..]).unwrap();
        Neighbour::parse(&packet, &frame[ETHERNET..])
    }

    #[test]
    fn groups() {
        assert_eq!(solicited_node(bits("fd00:a::12:3456")), bits("ff02::1:ff12:3456"));
        assert_eq!(multicast_mac(bits("ff02::1:ff12:3456")), [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(ALL_NODES, bits("ff02::1"));
    }

    #[test]
    fn a_solicitation_and_its_advertisement() {
        let (asked, route) =
            Neighbour::solicitation(THEIRS, bits("fd00:a::fe"), bits("fd00:a::100"));
        let frame = written(&asked, &route);
        assert_eq!(frame.len(), FRAME);
        assert_eq!(ethernet::destination(&frame), [0x33, 0x33, 0xff, 0, 1, 0]);
        assert_eq!(read(&frame), Some(asked));

        let (answer, route) = asked.answer(bits("fd00:a::fe"), THEIRS, MINE, true);
        assert_eq!((route.source, route.destination), (bits("fd00:a::100"), bits("fd00:a::fe")));
        assert_eq!((route.source_mac, route.destination_mac), (MINE, THEIRS));
        let frame = written(&answer, &route);
        assert_eq!(frame[54..62], [136, 0, frame[56], frame[57], 0xe0, 0, 0, 0]);
        assert_eq!(frame[78..86], [2, 1, 2, 0, 0, 0, 0, 1]);
        assert_eq!(read(&frame), Some(answer));
    }

    #[test]
    fn duplicate_address_detection_is_answered_to_all_nodes() {
        let target = bits("fd00:a::100");
        let (asked, route) = Neighbour::solicitation(THEIRS, 0, target);
        let probe = Neighbour { mac: None, ..asked };
        let frame = written(&probe, &route);
        assert_eq!(frame.len(), FRAME - 8);
        assert_eq!(read(&frame), Some(probe));
        // With a MAC address, or sent to another group, it is invalid.
        assert_eq!(read(&written(&asked, &route)), None);
        let elsewhere = Route { destination: solicited_node(1), ..route };
        assert_eq!(read(&written(&probe, &elsewhere)), None);

        let (answer, route) = probe.answer(0, THEIRS, MINE, false);
        assert_eq!(
            (route.destination, route.destination_mac),
            (ALL_NODES, [0x33, 0x33, 0, 0, 0, 1])
        );
        let flags = Flags { router: false, solicited: false, override_entry: true };
        assert_eq!(answer.kind, Kind::Advertisement(flags));
        assert_eq!(read(&written(&answer, &route)), Some(answer));
        let solicited = Flags { solicited: true, ..flags };
        let wrong = Neighbour { kind: Kind::Advertisement(solicited), ..answer };
        assert_eq!(read(&written(&wrong, &route)), None);
    }

    #[test]
    fn invalid_messages_are_refused() {
        let (asked, route) =
            Neighbour::solicitation(THEIRS, bits("fd00:a::fe"), bits("fd00:a::100"));
        let good = written(&asked, &route);
        let mend = |bytes: &mut [u8]| {
            icmp::write_checksum(&mut bytes[54..], route.source, route.destination);
        };
        for (at, byte) in [(21, 254), (54, 133), (55, 1), (62, 0xff), (79, 0), (79, 2)] {
            let mut bad = good.clone();
            bad[at] = byte;
            mend(&mut bad);
            assert_eq!(read(&bad), None, "{at}");
        }
        let mut bad = good.clone();
        bad[85] ^= 1;
        assert_eq!(read(&bad), None, "checksum");
        let mut unknown = good.clone();
        unknown[78] = 14;
        mend(&mut unknown);
        assert_eq!(read(&unknown), Some(Neighbour { mac: None, ..asked }), "unknown option");
    }
}
