//! What is visible of a director from outside, in types that director and reference share.

use director::model::{Counters, DestinationAddress, PortId, ServiceKey};
use director::reason::PuntReason;
use std::net::{IpAddr, SocketAddr};

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Sent(Sent),
    /// A forwarded ICMP error: the error as a packet without ports, and source and destination of the packet it quotes.
    SentError(Sent, SocketAddr, SocketAddr),
    /// Delivered to the host, with its answer if it sent one.
    Host {
        because: PuntReason,
        answer: Option<Answer>,
    },
    Dropped(Why),
}

impl Outcome {
    /// Name of the kind.
    pub fn kind(&self) -> String {
        match self {
            Outcome::Sent(Sent { outer: Some(_), .. }) => "Tunnelled".to_owned(),
            Outcome::Sent(_) => "Sent".to_owned(),
            Outcome::SentError(..) => "SentError".to_owned(),
            Outcome::Host { because, .. } => format!("{because:?}"),
            Outcome::Dropped(why) => format!("{why:?}"),
        }
    }
}

/// A packet that was forwarded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    pub by: PortId,
    pub next_hop: IpAddr,
    /// Source, destination and TTL of the outer header.
    pub outer: Option<(IpAddr, IpAddr, u8)>,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub ttl: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    pub kind: AnswerKind,
    pub from: IpAddr,
    pub to: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnswerKind {
    Reset,
    PortUnreachable,
    TimeExceeded,
    TooBig(u16),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    DestinationUnavailable,
    DropPacket,
    Martian,
    Other,
}

/// The listings of services and connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Newest first.
    pub services: Vec<ServiceView>,
    /// Sorted.
    pub connections: Vec<ConnectionView>,
    pub total: Counters,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    pub key: ServiceKey,
    pub counters: Counters,
    /// Newest first.
    pub destinations: Vec<DestinationView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DestinationView {
    pub at: DestinationAddress,
    pub weight: u32,
    pub active: u32,
    pub inactive: u32,
    pub persistent: u32,
    pub counters: Counters,
}

/// A connection or a template.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct ConnectionView {
    pub protocol: String,
    pub client: SocketAddr,
    pub virtual_address: SocketAddr,
    pub destination: SocketAddr,
    pub state: String,
    pub remaining_ms: u64,
}
