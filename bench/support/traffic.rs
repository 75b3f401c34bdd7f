//! Packets of numbered flows, and the order of flows.

use super::testbed::{
    CLIENTS, MACS, PEER, SERVER_PORT, SERVERS, SERVICE_PORT, client_address, server_address,
    virtual_address,
};
use director::model::{Family, PortId, Protocol};
use director::packet::ethernet::EtherType;
use director::packet::{Address, Tuple, ethernet, ipv4, ipv6, tcp, wire};

/// Number of ports of each client address.
const PORTS: u32 = 32;

/// Maximum bytes of Ethernet, IP and transport header written by [`write_headers`].
pub const HEADERS: usize = ethernet::ETHERNET + ipv6::HEADER + tcp::HEADER;

/// The request of flow `number`; flows are spread over `services`.
pub fn request<A: Address>(number: u32, services: u32, protocol: Protocol) -> Tuple<A> {
    Tuple {
        source: client_address(number / PORTS),
        destination: virtual_address(number % services),
        source_port: 10_000 + (number % PORTS) as u16,
        destination_port: SERVICE_PORT,
        protocol: protocol.number(),
    }
}

/// The flow of a client's port.
pub fn number(client: u32, port: u16) -> u32 {
    client * PORTS + u32::from(port - 10_000)
}

/// The reply of NAT server `server` to flow `number`.
pub fn reply<A: Address>(number: u32, server: u32, protocol: Protocol) -> Tuple<A> {
    Tuple {
        source: server_address(server),
        destination: client_address(number / PORTS),
        source_port: SERVER_PORT,
        destination_port: 10_000 + (number % PORTS) as u16,
        protocol: protocol.number(),
    }
}

/// The port on which a packet of `tuple` arrives.
pub fn ingress<A: Address>(tuple: &Tuple<A>) -> PortId {
    if tuple.source_port == SERVER_PORT { SERVERS } else { CLIENTS }
}

/// Minimum frame length for the family and protocol, without FCS, and at least Ethernet's minimum.
pub fn shortest(family: Family, protocol: Protocol) -> usize {
    let ip = if family == Family::Ipv4 { ipv4::HEADER } else { ipv6::HEADER };
    let transport = if protocol == Protocol::Tcp { tcp::HEADER } else { 8 };
    (ethernet::ETHERNET + ip + transport).max(ethernet::SHORTEST)
}

/// Writes the headers of a packet to a frame of the final length. The transport checksum is an arbitrary number except
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

/// How packets are distributed over flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Every flow is equally likely: the worst case for caches.
    Uniform,
    /// The flow of rank r has a probability proportional to 1/r.
    Zipf,
}

impl Spread {
    pub fn name(self) -> &'static str {
        match self {
            Spread::Uniform => "uniform",
            Spread::Zipf => "zipf",
        }
    }

    /// The flow of the next packet, out of `flows` flows.
    pub fn pick(self, random: &mut fastrand::Rng, flows: u32) -> u32 {
        match self {
            Spread::Uniform => random.u32(0..flows),
            Spread::Zipf => {
                // The inverse of the integral of 1/x; ranks are then scattered, so that popular flows are not
                // neighbours in memory.
                let rank = f64::from(flows).powf(random.f64()) as u64 - 1;
                (rank * 2_654_435_761 % u64::from(flows)) as u32
            }
        }
    }
}

/// Frame lengths, without FCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 64 bytes on the wire, or more if the headers need it.
    Shortest,
    /// A full frame: an IP packet of 1,500 bytes.
    Full,
    /// Seven frames of 64, four of 594 and one of 1,518 bytes on the wire.
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

    /// The length of frame `index`; `shortest` is the minimum.
    pub fn length(self, index: usize, shortest: usize) -> usize {
        // Coprime to twelve, so that consecutive frames differ in length.
        match (self, index * 5 % 12) {
            (Size::Shortest, _) | (Size::Imix, 0..=6) => shortest,
            (Size::Imix, 7..=10) => 590,
            (Size::Full, _) | (Size::Imix, _) => ethernet::ETHERNET + 1500,
        }
    }
}
