//! Frames described by a few choices, so that random ones reach services, connections and each other.

use bolero::TypeGenerator;
use director::packet::Address;
use director::testing::{AddressText, FrameBuilder, PacketBuilder, frame};

/// Source or destination of a packet.
#[derive(Clone, Copy, Debug, TypeGenerator)]
pub enum Host {
    Client(#[generator(0..4u8)] u8),
    Virtual(#[generator(0..2u8)] u8),
    Server(#[generator(0..4u8)] u8),
    Own,
    Group,
    Elsewhere(u8),
}

impl Host {
    fn ipv4(self) -> [u8; 4] {
        match self {
            Host::Client(number) => [77, 0, 0, number],
            Host::Virtual(number) => [10, 0, 0, 100 + number],
            Host::Server(number) => [10, 1, 0, 11 + number],
            Host::Own => [10, 0, 0, 1],
            Host::Group => [224, 0, 0, 5],
            Host::Elsewhere(number) => [10, 9, 9, number],
        }
    }

    fn ipv6(self) -> u128 {
        let (network, host) = match self {
            Host::Client(number) => (0x2001_0db8, u128::from(number)),
            Host::Virtual(number) => (0xfd00_000a, 0x100 + u128::from(number)),
            Host::Server(number) => (0xfd00_000b, 0x11 + u128::from(number)),
            Host::Own => (0xfd00_000a, 1),
            Host::Group => (0xff02_0000, 1),
            Host::Elsewhere(number) => (0xfd00_0099, u128::from(number)),
        };
        network << 96 | host
    }
}

/// Transport header and payload.
#[derive(Clone, Copy, Debug, TypeGenerator)]
pub enum Upper {
    Tcp {
        flags: u8,
    },
    Udp {
        checksum: bool,
    },
    Sctp {
        #[generator(0..16u8)]
        chunk: u8,
    },
    Echo,
    /// An ICMP error that quotes a TCP, UDP or SCTP packet.
    Error {
        kind: u8,
        code: u8,
        rest: u32,
        quoted: Quoted,
    },
    Raw {
        protocol: u8,
    },
}

/// A quoted packet: its protocol, and if it travelled in the other direction.
#[derive(Clone, Copy, Debug, TypeGenerator)]
pub struct Quoted {
    #[generator(0..3u8)]
    protocol: u8,
    turned: bool,
    #[generator(0..100u8)]
    length: u8,
}

/// Direction of a packet.
#[derive(Clone, Copy, Debug, TypeGenerator)]
pub enum Course {
    Request {
        #[generator(0..4u8)]
        client: u8,
    },
    Reply {
        #[generator(0..4u8)]
        server: u8,
        #[generator(0..4u8)]
        client: u8,
    },
    Any {
        from_lan: bool,
        source: Host,
        destination: Host,
    },
}

/// One frame.
#[derive(Clone, Debug, TypeGenerator)]
pub struct Recipe {
    pub is_ipv6: bool,
    pub course: Course,
    #[generator(0..4u8)]
    pub source_port: u8,
    #[generator(0..16u8)]
    pub destination_port: u8,
    pub ttl: u8,
    pub tos: u8,
    #[generator(0..4u8)]
    pub identification: u8,
    pub dont_fragment: bool,
    pub options: bool,
    pub upper: Upper,
    #[generator(0..1300u16)]
    pub payload: u16,
    /// Fragment offset in units of 8 bytes, and "more fragments".
    pub fragment: Option<(u8, bool)>,
    pub padded: bool,
    /// Position and value of a byte overwritten in the finished frame.
    pub damage: Option<(u8, u8)>,
    /// Length to which the finished frame is cut.
    pub cut: Option<u8>,
}

/// First service port.
pub const PORTS: u16 = 80;
/// First client port.
const CLIENT_PORTS: u16 = 4000;
/// A NAT destination's port is the service's port plus this.
pub const MAPPED: u16 = 8000;

fn port(host: Host, number: u8) -> u16 {
    match host {
        Host::Client(_) => CLIENT_PORTS + u16::from(number),
        Host::Server(_) => MAPPED + PORTS + u16::from(number),
        _ => PORTS + u16::from(number),
    }
}

impl Recipe {
    fn ends(&self) -> (Host, Host) {
        match self.course {
            Course::Request { client } => (Host::Client(client), Host::Virtual(0)),
            Course::Reply { server, client } => (Host::Server(server), Host::Client(client)),
            Course::Any { source, destination, .. } => (source, destination),
        }
    }

    /// Arrives on the LAN.
    pub fn is_from_lan(&self) -> bool {
        match self.course {
            Course::Request { .. } => false,
            Course::Reply { .. } => true,
            Course::Any { from_lan, .. } => from_lan,
        }
    }

    /// Nothing was changed after the checksums were computed.
    pub fn is_intact(&self) -> bool {
        self.damage.is_none() && self.cut.is_none()
    }

    /// Builds the frame.
    pub fn frame(&self) -> Vec<u8> {
        let to = if self.is_from_lan() { crate::support::LAN_MAC } else { crate::support::WAN_MAC };
        let start = frame().macs(to, crate::support::ROUTER_MAC);
        let mut bytes = match self.is_ipv6 {
            false => self.ipv4(start).build(),
            true => self.ipv6(start).build(),
        };
        if let Some((at, value)) = self.damage
            && let Some(byte) = bytes.get_mut(usize::from(at))
        {
            *byte = value;
        }
        if let Some(length) = self.cut {
            bytes.truncate(usize::from(length));
        }
        bytes
    }

    fn ipv4(&self, start: FrameBuilder) -> PacketBuilder<u32> {
        let (source, destination) = self.ends();
        let (source, destination) = (source.ipv4(), destination.ipv4());
        let mut packet = start.ipv4(source, destination);
        if self.dont_fragment && self.fragment.is_none() {
            packet = packet.df();
        }
        if self.options {
            packet = packet.options(&[1, 7, 3, 4]);
        }
        let quoted = |protocol, turned| {
            let packet = match turned {
                false => frame().ipv4(source, destination),
                true => frame().ipv4(destination, source),
            };
            self.quoted(packet, protocol, turned)
        };
        self.finish(packet, 1, [3, 4, 11, 5, 12], quoted)
    }

    fn ipv6(&self, start: FrameBuilder) -> PacketBuilder<u128> {
        let (source, destination) = self.ends();
        let (source, destination) = (source.ipv6(), destination.ipv6());
        let mut packet = start.ipv6(source, destination).flow_label(0x12345);
        if self.options {
            packet = packet.hop_by_hop().destination_options();
        }
        let quoted = |protocol, turned| {
            let packet = match turned {
                false => frame().ipv6(source, destination),
                true => frame().ipv6(destination, source),
            };
            self.quoted(packet, protocol, turned)
        };
        self.finish(packet, 58, [1, 2, 3, 4, 1], quoted)
    }

    fn quoted<A: Address>(&self, packet: PacketBuilder<A>, protocol: u8, turned: bool) -> Vec<u8>
    where
        [u8; 4]: AddressText<u32>,
    {
        let (source, destination) = self.ports();
        let (source, destination) =
            if turned { (destination, source) } else { (source, destination) };
        match protocol {
            0 => packet.tcp(source, destination),
            1 => packet.udp(source, destination),
            _ => packet.sctp(source, destination, 1),
        }
        .payload([0x5a; 64])
        .packet()
    }

    fn ports(&self) -> (u16, u16) {
        let (source, destination) = self.ends();
        let reply = matches!(self.course, Course::Reply { .. });
        // A small choice for the client's port, a large one for the service's, in both directions.
        let (near, far) = match reply {
            true => (self.destination_port, self.source_port),
            false => (self.source_port, self.destination_port),
        };
        (port(source, near), port(destination, far))
    }

    fn finish<A: Address>(
        &self,
        packet: PacketBuilder<A>,
        icmp: u8,
        errors: [u8; 5],
        quoted: impl Fn(u8, bool) -> Vec<u8>,
    ) -> PacketBuilder<A> {
        let (source, destination) = self.ports();
        let mut packet = packet
            .ttl(self.ttl)
            .tos(self.tos)
            .identification(u32::from(self.identification))
            .payload(vec![0xa5; usize::from(self.payload)]);
        packet = match self.upper {
            Upper::Tcp { flags } => packet.tcp(source, destination).flags(flags),
            Upper::Udp { checksum: true } => packet.udp(source, destination),
            Upper::Udp { checksum: false } => packet.udp(source, destination).without_checksum(),
            Upper::Sctp { chunk } => packet.sctp(source, destination, chunk),
            Upper::Echo => packet.icmp(if icmp == 1 { 8 } else { 128 }, 0, 0x0001_0001),
            Upper::Error { kind, code, rest, quoted: Quoted { protocol, turned, length } } => {
                let mut quotation = quoted(protocol, turned);
                quotation.truncate(usize::from(length));
                packet.icmp_error(errors[usize::from(kind) % 5], code, rest, &quotation)
            }
            Upper::Raw { protocol } => packet.protocol(protocol),
        };
        if let Some((offset, more)) = self.fragment {
            packet = packet.fragment(u16::from(offset % 32) * 8, more);
        }
        if self.padded { packet.padded() } else { packet }
    }
}

impl Recipe {
    /// A frame of the control thread.
    pub fn arp() -> Vec<u8> {
        use director::packet::arp::Arp;
        let mut bytes = [0; 60];
        let length =
            Arp::announcement(crate::support::WAN_MAC, 0x0a00_0001).write(&mut bytes, [0xff; 6]);
        bytes[..length].to_vec()
    }
}

impl Recipe {
    /// A datagram that a worker has rewritten and not sent yet.
    pub fn datagram(server: &str) -> Vec<u8> {
        frame().macs([0; 6], [0; 6]).ipv4("77.0.0.1", server).udp(4000, 80).payload("x").build()
    }
}
