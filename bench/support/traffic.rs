//! The packets of numbered flows, and the order in which flows send.

use super::testbed::{
    CLIENTS, MACS, PEER, SERVER_PORT, SERVERS, SERVICE_PORT, client_address, server_address,
    virtual_address,
};
use director::model::{Family, PortId, Protocol};
use director::packet::ethernet::EtherType;
use director::packet::{Address, Tuple, ethernet, ipv4, ipv6, tcp, wire};

/// Client ports in use per client address.
const PORTS: u32 = 32;

/// Octets of frame, IP and transport header together that [`write_headers`] writes at most.
pub const HEADERS: usize = ethernet::ETHERNET + ipv6::HEADER + tcp::HEADER;

/// The request of flow `number`, spread over `services`.
pub fn request<A: Address>(number: u32, services: u32, protocol: Protocol) -> Tuple<A> {
    Tuple {
        source: client_address(number / PORTS),
        destination: virtual_address(number % services),
        source_port: 10_000 + (number % PORTS) as u16,
        destination_port: SERVICE_PORT,
        protocol: protocol.number(),
    }
}

/// The flow of client `client`'s port.
pub fn number(client: u32, port: u16) -> u32 {
    client * PORTS + u32::from(port - 10_000)
}

/// The answer of NAT server `server` to flow `number`.
pub fn reply<A: Address>(number: u32, server: u32, protocol: Protocol) -> Tuple<A> {
    Tuple {
        source: server_address(server),
        destination: client_address(number / PORTS),
        source_port: SERVER_PORT,
        destination_port: 10_000 + (number % PORTS) as u16,
        protocol: protocol.number(),
    }
}

/// The port that a packet of `tuple` comes in by.
pub fn ingress<A: Address>(tuple: &Tuple<A>) -> PortId {
    if tuple.source_port == SERVER_PORT { SERVERS } else { CLIENTS }
}

/// Shortest frame of the family and protocol, without frame check sequence and not below Ethernet's minimum.
pub fn shortest(family: Family, protocol: Protocol) -> usize {
    let ip = if family == Family::Ipv4 { ipv4::HEADER } else { ipv6::HEADER };
    let transport = if protocol == Protocol::Tcp { tcp::HEADER } else { 8 };
    (ethernet::ETHERNET + ip + transport).max(ethernet::SHORTEST)
}

/// Writes the headers of a packet to a frame that is as long as it is to be. The transport checksum is any number but
/// zero: a director updates it and does not verify it.
pub fn write_headers<A: Address>(frame: &mut [u8], tuple: &Tuple<A>, tcp_flags: u8) {
    let port = ingress(tuple);
    let header = match A::FAMILY {
        Family::Ipv4 => ipv4::HEADER,
        Family::Ipv6 => ipv6::HEADER,
    };
    ethernet::write(frame, MACS[port.index()], PEER, EtherType::of(A::FAMILY));
    let length = frame.len() - ethernet::ETHERNET;
    let packet = &mut frame[ethernet::ETHERNET..];
    let (ip, transport) = packet.split_at_mut(header);
    match A::FAMILY {
        Family::Ipv4 => ipv4::Header {
            total_length: length as u16,
            identification: tuple.source_port,
            ttl: 64,
            protocol: tuple.protocol,
            source: tuple.source.bits() as u32,
            destination: tuple.destination.bits() as u32,
            ..ipv4::Header::default()
        }
        .write(ip),
        Family::Ipv6 => {
            ip[..4].copy_from_slice(&[0x60, 0, 0, 0]);
            wire::set16(ip, 4, (length - ipv6::HEADER) as u16);
            ip[6] = tuple.protocol;
            ip[7] = 64;
            tuple.source.write(&mut ip[8..]);
            tuple.destination.write(&mut ip[24..]);
        }
    }
    wire::set16(transport, 0, tuple.source_port);
    wire::set16(transport, 2, tuple.destination_port);
    if tuple.protocol == Protocol::Tcp.number() {
        transport[4..tcp::HEADER].fill(0);
        transport[12] = 0x50;
        transport[13] = tcp_flags;
        wire::set16(transport, 16, 0x1234);
    } else {
        wire::set16(transport, 4, (length - header) as u16);
        wire::set16(transport, 6, 0x1234);
    }
}

/// How packets are spread over flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Every flow is as likely as every other: the cache's worst case.
    Uniform,
    /// Flow of rank r with a probability in proportion to 1/r.
    Zipf,
}

impl Spread {
    pub fn name(self) -> &'static str {
        match self {
            Spread::Uniform => "uniform",
            Spread::Zipf => "zipf",
        }
    }

    /// The flow of the next packet, out of `flows`.
    pub fn pick(self, random: &mut fastrand::Rng, flows: u32) -> u32 {
        match self {
            Spread::Uniform => random.u32(0..flows),
            Spread::Zipf => {
                // The integral of 1/x inverted; then ranks are scattered, so that popular flows are not neighbours.
                let rank = f64::from(flows).powf(random.f64()) as u64 - 1;
                (rank * 2_654_435_761 % u64::from(flows)) as u32
            }
        }
    }
}

/// Frame lengths, without frame check sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 64 octets on the wire, or what the headers need if that is more.
    Shortest,
    /// A full frame: 1,500 octets of IP packet.
    Full,
    /// Seven of 64, four of 594 and one of 1,518 octets on the wire.
    Imix,
}

impl Size {
    pub fn name(self) -> &'static str {
        match self {
            Size::Shortest => "64",
            Size::Full => "1500",
            Size::Imix => "imix",
        }
    }

    /// The length of the `index`th frame, where `shortest` is the least there is.
    pub fn length(self, index: usize, shortest: usize) -> usize {
        // Coprime with twelve, so that neighbouring frames differ in length.
        match (self, index * 5 % 12) {
            (Size::Shortest, _) | (Size::Imix, 0..=6) => shortest,
            (Size::Imix, 7..=10) => 590,
            (Size::Full, _) | (Size::Imix, _) => ethernet::ETHERNET + 1500,
        }
    }
}
