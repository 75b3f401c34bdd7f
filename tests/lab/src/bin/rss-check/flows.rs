//! The frames that both sides know: every kind of packet that NICs treat differently, with many flows each.

use director::packet::{ethernet, ipv4, ipv6, tcp};
use director::testing::{FrameBuilder, frame};
use std::net::IpAddr;

/// RFC 3692: a protocol number for experiments.
const EXPERIMENT: u8 = 253;
/// Flows of each kind for one client, from different ports.
const FLOWS_OF_A_CLIENT: u16 = 4;

/// 192.0.2.80 and 2001:db8::80; servers have the addresses after them.
const VIRTUAL_IPV4: u32 = 0xc000_0250;
const VIRTUAL_IPV6: u128 = 0x2001_0db8 << 96 | 0x80;
/// Number of servers, all in one network.
const SERVERS: u16 = 6;

/// Sender of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Client,
    /// Replies of NAT servers, from their own address to the client's.
    Server,
}

/// Kind of a frame, as NICs distinguish them for RSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    TcpIpv4,
    UdpIpv4,
    SctpIpv4,
    OtherIpv4,
    FragmentIpv4,
    TcpIpv6,
    UdpIpv6,
    OtherIpv6,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::TcpIpv4,
        Kind::UdpIpv4,
        Kind::SctpIpv4,
        Kind::OtherIpv4,
        Kind::FragmentIpv4,
        Kind::TcpIpv6,
        Kind::UdpIpv6,
        Kind::OtherIpv6,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::TcpIpv4 => "tcp4",
            Kind::UdpIpv4 => "udp4",
            Kind::SctpIpv4 => "sctp4",
            Kind::OtherIpv4 => "other4",
            Kind::FragmentIpv4 => "fragment4",
            Kind::TcpIpv6 => "tcp6",
            Kind::UdpIpv6 => "udp6",
            Kind::OtherIpv6 => "other6",
        }
    }

    /// Flow `number` of this kind. Each flow has its own port; every few flows have a new client.
    fn build(self, from: From, start: FrameBuilder, number: u16) -> Vec<u8> {
        let client = number / FLOWS_OF_A_CLIENT;
        // Spread over the address space, so that every address bit affects the hash.
        let mixed = u32::from(client).wrapping_mul(0x9e37_79b9) | 1;
        let client_ipv6 = u128::from(mixed) << 64 | u128::from(client);
        let server = VIRTUAL_IPV4 + 1 + u32::from(number % SERVERS);
        let server_ipv6 = VIRTUAL_IPV6 + 1 + u128::from(number % SERVERS);
        let (ipv4, ipv6) = match from {
            From::Client => {
                (start.ipv4(mixed, VIRTUAL_IPV4), start.ipv6(client_ipv6, VIRTUAL_IPV6))
            }
            From::Server => (start.ipv4(server, mixed), start.ipv6(server_ipv6, client_ipv6)),
        };
        let ports = |service| match from {
            From::Client => (1024 | number, service),
            From::Server => (service, 1024 | number),
        };
        let ((http, http_to), (dns, dns_to), (s1ap, s1ap_to)) =
            (ports(80), ports(53), ports(36412));
        let payload = [number.to_be_bytes(); 12].concat();
        match self {
            Kind::TcpIpv4 => ipv4.tcp(http, http_to).flags(tcp::SYN).padded().build(),
            Kind::UdpIpv4 => ipv4.udp(dns, dns_to).payload("flow").padded().build(),
            Kind::SctpIpv4 => ipv4.sctp(s1ap, s1ap_to, 1).padded().build(),
            Kind::OtherIpv4 => ipv4.protocol(EXPERIMENT).payload(payload).padded().build(),
            Kind::FragmentIpv4 => ipv4.udp(dns, dns_to).payload(payload).fragment(0, true).build(),
            Kind::TcpIpv6 => ipv6.tcp(http, http_to).flags(tcp::SYN).build(),
            Kind::UdpIpv6 => ipv6.udp(dns, dns_to).payload("flow").build(),
            Kind::OtherIpv6 => ipv6.icmp(128, 0, u32::from(number)).build(),
        }
    }

    /// Kind of a received frame; `None` for frames that the other side does not send.
    pub fn of(frame: &[u8]) -> Option<Kind> {
        let packet = frame.get(ethernet::ETHERNET..)?;
        match ethernet::ethernet(frame).ok()? {
            ethernet::Payload::Ipv4 => {
                let header = packet.get(..ipv4::HEADER)?;
                if ipv4::fragment_word(header) & ipv4::MORE_FRAGMENTS != 0 {
                    return Some(Kind::FragmentIpv4);
                }
                Some(match ipv4::protocol(header) {
                    ipv4::TCP => Kind::TcpIpv4,
                    ipv4::UDP => Kind::UdpIpv4,
                    ipv4::SCTP => Kind::SctpIpv4,
                    _ => Kind::OtherIpv4,
                })
            }
            ethernet::Payload::Ipv6 => {
                let header = packet.get(..ipv6::HEADER)?;
                match ipv6::next_header(header) {
                    ipv4::TCP => Some(Kind::TcpIpv6),
                    ipv4::UDP => Some(Kind::UdpIpv6),
                    // The sending kernel also sends multicast listener reports.
                    ipv6::HOP_BY_HOP => None,
                    _ => Some(Kind::OtherIpv6),
                }
            }
            _ => None,
        }
    }
}

/// A frame of this test, as seen by a port's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    pub kind: Kind,
    pub from: From,
    pub client: IpAddr,
    /// The client's port, if a NIC can see it: fragments hide it.
    pub port: Option<u16>,
}

/// `None` for frames that the other side does not send.
pub fn see(frame: &[u8]) -> Option<Sight> {
    let kind = Kind::of(frame)?;
    let packet = frame.get(ethernet::ETHERNET..)?;
    let (source, destination, header) = match ethernet::ethernet(frame).ok()? {
        ethernet::Payload::Ipv4 => (
            IpAddr::V4(ipv4::source(packet).into()),
            IpAddr::V4(ipv4::destination(packet).into()),
            ipv4::header_length(packet),
        ),
        _ => (
            IpAddr::V6(ipv6::source(packet).into()),
            IpAddr::V6(ipv6::destination(packet).into()),
            ipv6::HEADER,
        ),
    };
    let is_virtual = [IpAddr::V4(VIRTUAL_IPV4.into()), IpAddr::V6(VIRTUAL_IPV6.into())];
    let (from, client, at) = match is_virtual.contains(&destination) {
        true => (From::Client, source, header),
        false => (From::Server, destination, header + 2),
    };
    let has_port = !matches!(kind, Kind::OtherIpv4 | Kind::FragmentIpv4 | Kind::OtherIpv6);
    let port = packet.get(at..at + 2).filter(|_| has_port);
    let port = port.map(|port| u16::from_be_bytes([port[0], port[1]]));
    Some(Sight { kind, from, client, port })
}

/// `flows` requests and replies of each kind to a MAC address, one kind after another.
pub fn frames(to: [u8; 6], flows: u16) -> Vec<Vec<u8>> {
    let start = frame().macs(to, [2, 0, 0, 0, 0xfe, 0xfe]);
    let both = |number| {
        [From::Client, From::Server]
            .into_iter()
            .flat_map(move |from| Kind::ALL.map(|kind| kind.build(from, start, number)))
    };
    (0..flows).flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn frames_have_the_kind_they_were_built_for() {
        let all = frames([2; 6], 100);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "all flows differ");
        for (frame, kind) in all.iter().zip(Kind::ALL.iter().cycle()) {
            assert_eq!(Kind::of(frame), Some(*kind));
            assert!(frame.len() >= 54, "{kind:?}");
        }
        assert_eq!(Kind::of(&[0; 60]), None);
    }

    #[test]
    fn a_client_has_several_flows_and_their_replies() {
        let mut seen: BTreeMap<IpAddr, BTreeSet<u16>> = BTreeMap::new();
        let all = frames([2; 6], 2 * FLOWS_OF_A_CLIENT);
        let sights: Vec<Sight> = all.iter().map(|frame| see(frame).unwrap()).collect();
        for pair in sights.chunks(2 * Kind::ALL.len()) {
            let (requests, answers) = pair.split_at(Kind::ALL.len());
            for (request, answer) in requests.iter().zip(answers) {
                assert_eq!((request.from, answer.from), (From::Client, From::Server));
                assert_eq!(Sight { from: From::Client, ..*answer }, *request);
                seen.entry(request.client).or_default().extend(request.port);
            }
        }
        assert_eq!(seen.len(), 4, "two clients of each family");
        let flows: Vec<usize> = seen.values().map(BTreeSet::len).collect();
        assert_eq!(flows, [usize::from(FLOWS_OF_A_CLIENT); 4]);
        let portless = sights.iter().filter(|sight| sight.port.is_none()).count();
        assert_eq!(portless * Kind::ALL.len(), 3 * sights.len());
    }
}
