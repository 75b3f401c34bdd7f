//! Packets of clients and of real servers.

use super::Random;
use super::packet::{Extra, Fault, Packet, Upper};
use super::service::{Destination, Method, Protocol, Service};
use std::net::IpAddr;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PUSH: u8 = 8;
const ACK: u8 = 16;

// TCP flags and types of SCTP's first chunk (RFC 9260 section 3.2) with their weights: for the first packet of a flow,
// for later ones, and for replies.
const TCP_OPENS: [(usize, u8); 4] = [(12, SYN), (1, ACK), (1, SYN | ACK), (1, RST)];
const TCP_REQUESTS: [(usize, u8); 9] = [
    (6, ACK),
    (3, ACK | PUSH),
    (2, FIN | ACK),
    (1, RST),
    (1, RST | ACK),
    (2, SYN),
    (1, 0),
    (1, FIN),
    (1, SYN | FIN),
];
const TCP_ANSWERS: [(usize, u8); 7] =
    [(5, SYN | ACK), (5, ACK), (2, ACK | PUSH), (2, FIN | ACK), (1, RST), (1, RST | ACK), (1, 0)];
const SCTP_OPENS: [(usize, u8); 3] = [(9, 1), (1, 0), (1, 10)];
const SCTP_REQUESTS: [(usize, u8); 9] =
    [(3, 0), (3, 10), (2, 3), (1, 7), (1, 8), (1, 6), (1, 14), (1, 11), (1, 1)];
const SCTP_ANSWERS: [(usize, u8); 8] =
    [(4, 2), (3, 11), (3, 3), (2, 0), (1, 8), (1, 14), (1, 6), (1, 7)];

/// More hosts than ICMP errors a host may get in a burst.
const CLIENTS: [&str; 6] =
    ["11.22.33.44", "11.22.33.45", "77.15.238.71", "203.0.113.9", "198.51.100.3", "10.0.0.24"];
const CLIENTS_IPV6: [&str; 5] =
    ["2001:db8::44", "2001:db8::45", "2001:db8:1::7", "2001:db8:2:3::9", "fd00:a::23"];

/// A client's flow to a service.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Index of the service in the scenario.
    pub service: usize,
    pub client: IpAddr,
    pub client_port: u16,
    pub port: u16,
    /// Call-ID for SIP.
    pub call: usize,
}

impl Flow {
    pub fn draw(random: &mut Random, at: usize, service: &Service) -> Flow {
        let ipv6 = service.vip.is_ipv6();
        let client = if ipv6 { random.pick(&CLIENTS_IPV6) } else { random.pick(&CLIENTS) };
        Flow {
            service: at,
            client: client.parse().expect("a valid address"),
            client_port: random.weighted(&[(6, 4000), (6, 4001), (4, 4002), (1, 20), (4, 40000)]),
            port: if service.any_port { random.pick(&[80, 443, 7777]) } else { service.port },
            call: random.below(3),
        }
    }

    /// A packet from the client; `first` opens the flow.
    pub fn request(&self, random: &mut Random, service: &Service, first: bool) -> Packet {
        let (source, destination) = (self.client_port, self.port);
        let upper = match service.protocol {
            Protocol::Tcp => {
                let flags = random.weighted(if first { &TCP_OPENS } else { &TCP_REQUESTS });
                tcp(random, source, destination, flags)
            }
            Protocol::Udp => udp(random, source, destination),
            Protocol::Sctp => {
                let chunk = random.weighted(if first { &SCTP_OPENS } else { &SCTP_REQUESTS });
                Upper::Sctp { source, destination, chunk }
            }
        };
        let packet = Packet::new(self.client, service.vip, upper);
        self.vary(random, service, packet)
    }

    /// A reply from a destination.
    pub fn answer(&self, random: &mut Random, service: &Service, by: &Destination) -> Packet {
        let (source, port) = match (by.method, by.port) {
            (Method::Nat, 0) => (by.address, self.port),
            (Method::Nat, port) => (by.address, port),
            _ => (service.vip, self.port),
        };
        let upper = match service.protocol {
            Protocol::Tcp => {
                let flags = random.weighted(&TCP_ANSWERS);
                tcp(random, port, self.client_port, flags)
            }
            Protocol::Udp => udp(random, port, self.client_port),
            Protocol::Sctp => {
                let chunk = random.weighted(&SCTP_ANSWERS);
                Upper::Sctp { source: port, destination: self.client_port, chunk }
            }
        };
        let packet = Packet::new(source, self.client, upper);
        self.vary(random, service, packet)
    }

    /// Sets unusual TTLs, sizes, options and faults in a few packets.
    fn vary(&self, random: &mut Random, service: &Service, mut packet: Packet) -> Packet {
        packet.ttl = random.weighted(&[(20, 64), (2, 2), (1, 1), (1, 255), (1, 128)]);
        packet.tos = random.weighted(&[(12, 0), (1, 0x10), (1, 2), (1, 3), (1, 0xb8)]);
        packet.dont_fragment = random.chance(30);
        packet.padded = random.chance(5);
        packet.extra = random.weighted(&[
            (40, Extra::None),
            (1, Extra::Options),
            (1, Extra::DestinationOptions),
        ]);
        packet.fault = random.weighted(&[
            (60, Fault::None),
            (1, Fault::HeaderChecksum),
            (1, Fault::UpperChecksum),
            (1, Fault::CutShort(50)),
        ]);
        let carries = !matches!(packet.upper, Upper::Tcp { flags, .. } if flags & PUSH == 0);
        if service.sip && service.protocol == Protocol::Udp {
            packet.payload = self.invite();
        } else if carries {
            // The largest payload that fits 1500 bytes with a TCP header without options.
            let most = if packet.source.is_ipv4() { 1460 } else { 1440 };
            let length = random.weighted(&[
                (8, 8),
                (2, 0),
                (2, 101),
                (1, 1200),
                (1, 1400),
                (1, most - 20),
                (1, most),
            ]);
            if length > 1400 {
                packet.extra = Extra::None;
            }
            packet.payload = vec![0x55; length];
        }
        packet
    }

    /// Fragments a datagram without faults that is forwarded by direct routing or NAT.
    pub fn cut(random: &mut Random, mut packet: Packet) -> Packet {
        packet.fault = Fault::None;
        packet.extra = Extra::None;
        packet.ttl = 64;
        packet.dont_fragment = false;
        packet.padded = false;
        if let Upper::Udp { checksum, .. } = &mut packet.upper {
            *checksum = true;
        }
        let (length, size) =
            random.pick(&[(40, 24), (80, 24), (1200, 800), (1900, 800), (1900, 1200)]);
        packet.payload = vec![0x55; length];
        packet.fragments = Some(size);
        packet.reversed = random.chance(30);
        packet
    }

    fn invite(&self) -> Vec<u8> {
        let Flow { call, client, .. } = self;
        format!("INVITE sip:a@example.net SIP/2.0\r\nVia: SIP/2.0/UDP {client}\r\nCall-ID: call-{call}@example.net\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
            .into_bytes()
    }
}

fn tcp(random: &mut Random, source: u16, destination: u16, flags: u8) -> Upper {
    let segment_size = (flags & SYN != 0 && random.chance(40)).then_some(1460);
    Upper::Tcp { source, destination, flags, segment_size }
}

fn udp(random: &mut Random, source: u16, destination: u16) -> Upper {
    Upper::Udp { source, destination, checksum: random.chance(85) }
}

/// A packet for no service: another port, another protocol, an echo request.
pub fn stranger(random: &mut Random, service: &Service) -> Packet {
    let ipv6 = service.vip.is_ipv6();
    let client = if ipv6 { random.pick(&CLIENTS_IPV6) } else { random.pick(&CLIENTS) };
    let own = if ipv6 { "fd00:a::1" } else { "10.0.0.1" };
    let address = |text: &str| text.parse::<IpAddr>().expect("a valid address");
    let destination = if random.chance(70) { service.vip } else { address(own) };
    let upper = match random.below(5) {
        0 => tcp(random, 4000, 9, SYN),
        1 => tcp(random, 4000, 9, ACK),
        2 => Upper::Udp { source: 4000, destination: 9, checksum: true },
        3 => Upper::Other { protocol: 253 },
        _ => Upper::Echo { reply: false },
    };
    let mut packet = Packet::new(address(client), destination, upper);
    packet.payload = vec![0x55; if random.chance(70) { 8 } else { 200 }];
    packet.ttl = random.weighted(&[(6, 64), (1, 1)]);
    packet
}
