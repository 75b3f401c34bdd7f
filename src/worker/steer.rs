//! Which worker a flow lives on. Arithmetic, never a shared table: the same Toeplitz hash that the NIC computes, or, where
//! the device has none, the software hash as the rule.

use crate::model::{PortId, Protocol};
use crate::packet::toeplitz::{SYMMETRIC_KEY, Toeplitz};
use crate::packet::{Address, Tuple};
use crate::service::{Origin, Replies};

/// How one port spreads its frames over the workers.
#[derive(Clone, Debug)]
pub enum Placement {
    /// The NIC: hash key, redirection table (entry by the low bits of the hash) and whether ports are hashed for UDP.
    Rss { key: Vec<u8>, toeplitz: Box<Toeplitz>, reta: Vec<u16> },
    /// The device places frames as it likes; the software hash decides and workers hand over.
    Software,
}

/// A set of workers, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workers(pub u64);

impl Workers {
    #[inline]
    pub const fn only(worker: u16) -> Self {
        Workers(1 << worker)
    }

    #[inline]
    pub const fn all(count: u16) -> Self {
        Workers(if count >= 64 { u64::MAX } else { (1 << count) - 1 })
    }

    #[inline]
    pub const fn with(self, other: Workers) -> Self {
        Workers(self.0 | other.0)
    }

    #[inline]
    pub const fn without(self, worker: u16) -> Self {
        Workers(self.0 & !(1 << worker))
    }

    #[inline]
    pub const fn first(self) -> Option<u16> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() as u16) }
    }
}

/// The placement of all ports.
#[derive(Clone, Debug)]
pub struct Steering {
    workers: u16,
    software: Box<Toeplitz>,
    ports: Vec<Placement>,
    /// Ports whose placement differs from an earlier one's: those that must be asked for a home.
    distinct: Vec<PortId>,
}

impl Steering {
    /// `ports` by [`PortId`].
    pub fn new(workers: u16, ports: Vec<Placement>) -> Self {
        let software = Box::new(Toeplitz::new(&SYMMETRIC_KEY));
        let mut distinct: Vec<PortId> = Vec::new();
        for (index, placement) in ports.iter().enumerate() {
            if !distinct.iter().any(|port| ports[port.index()].is_same(placement)) {
                distinct.push(PortId(index as u16));
            }
        }
        Steering { workers, software, ports, distinct }
    }

    #[inline]
    pub fn workers(&self) -> u16 {
        self.workers
    }

    /// The device puts every packet of a request on its home worker by itself.
    #[inline]
    pub fn is_placed(&self, port: PortId) -> bool {
        matches!(self.ports.get(port.index()), Some(Placement::Rss { .. }))
    }

    /// The worker that a packet with this tuple belongs to when it comes in by `port`.
    #[inline]
    pub fn home<A: Address>(&self, port: PortId, tuple: &Tuple<A>) -> u16 {
        match self.ports.get(port.index()) {
            Some(Placement::Rss { toeplitz, reta, .. }) if !reta.is_empty() => {
                let hash = if has_ports(tuple.protocol) {
                    toeplitz.hash(tuple)
                } else {
                    toeplitz.hash_addresses(tuple.source, tuple.destination)
                };
                reta[hash as usize % reta.len()]
            }
            // The upper bits choose, so that any number of workers gets an even share.
            _ => ((u64::from(self.software.hash(tuple)) * u64::from(self.workers)) >> 32) as u16,
        }
    }

    /// Spreads flows that have no worker to choose: GUE source ports.
    #[inline]
    pub fn spread<A: Address>(&self, tuple: &Tuple<A>) -> u32 {
        self.software.hash(tuple).wrapping_mul(0x9e37_79b9)
    }

    /// The workers that a request with this tuple may live on, whichever port it came in by.
    #[inline]
    pub fn homes<A: Address>(&self, tuple: &Tuple<A>) -> Workers {
        self.distinct
            .iter()
            .fold(Workers::default(), |set, &port| set.with(Workers::only(self.home(port, tuple))))
    }

    /// The workers that may have the connection a server's packet answers.
    pub fn homes_of_reply<A: Address>(&self, replies: &Replies, reply: &Tuple<A>) -> Workers {
        replies.origins(reply).fold(Workers::default(), |set, origin| match origin {
            Origin::Anywhere => Workers::all(self.workers),
            Origin::Virtual { address, port } => match A::from_ip(address) {
                None => set,
                Some(address) => {
                    let port = if port == 0 { reply.source_port } else { port };
                    let request = Tuple {
                        source: reply.destination,
                        destination: address,
                        source_port: reply.destination_port,
                        destination_port: port,
                        protocol: reply.protocol,
                    };
                    set.with(self.homes(&request))
                }
            },
        })
    }
}

fn has_ports(protocol: u8) -> bool {
    matches!(Protocol::from_number(protocol), Some(Protocol::Tcp | Protocol::Udp))
}

impl Placement {
    /// The device hashes with `key` and looks the queue up in `reta`.
    pub fn rss(key: Vec<u8>, reta: Vec<u16>) -> Self {
        let toeplitz = Box::new(Toeplitz::new(&key));
        Placement::Rss { key, toeplitz, reta }
    }

    fn is_same(&self, other: &Placement) -> bool {
        match (self, other) {
            (Placement::Software, Placement::Software) => true,
            (
                Placement::Rss { key, reta, .. },
                Placement::Rss { key: other_key, reta: other_reta, .. },
            ) => reta == other_reta && key == other_key,
            _ => false,
        }
    }
}
