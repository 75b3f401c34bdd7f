//! Which worker a flow lives on. Arithmetic, never a shared table: the same Toeplitz hash that the NIC computes, or, where
//! the device has none, the software hash as the rule.

use crate::model::PortId;
use crate::packet::rss::{Fields, Input, Rule};
use crate::packet::toeplitz::{SYMMETRIC_KEY, Toeplitz};
use crate::packet::{Address, Tuple};
use crate::snapshot::{Origin, Replies};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How one port spreads its frames over the workers.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// The NIC, by a rule that the director can compute too.
    Rss(Arc<Rule>),
    /// The device places frames as it likes; the software hash decides and workers hand over.
    Software,
}

impl Placement {
    /// A device that hashes by ports wherever there are any.
    pub fn rss(key: Vec<u8>, reta: Vec<u16>) -> Self {
        let fields = Fields {
            tcp: Input::AddressesAndPorts,
            udp: Input::AddressesAndPorts,
            sctp: Input::AddressesAndPorts,
            other: Input::Addresses,
            fragment: Input::Addresses,
        };
        Placement::Rss(Arc::new(Rule::new(key, reta, fields, fields)))
    }
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
#[derive(Debug)]
pub struct Steering {
    workers: u16,
    software: Box<Toeplitz>,
    ports: Vec<Placement>,
    /// By port: the device was seen not to keep to its rule, and counts as one without.
    distrusted: Box<[AtomicBool]>,
    /// Ports whose placement differs from an earlier one's: those that must be asked for a owner.
    distinct: Vec<PortId>,
}

impl Steering {
    /// `ports` by [`PortId`].
    pub fn new(workers: u16, ports: Vec<Placement>) -> Self {
        let software = Box::new(Toeplitz::new(&SYMMETRIC_KEY));
        let mut distinct: Vec<PortId> = Vec::new();
        for (index, placement) in ports.iter().enumerate() {
            if !distinct.iter().any(|port| ports[port.index()] == *placement) {
                distinct.push(PortId(index as u16));
            }
        }
        let distrusted = ports.iter().map(|_| AtomicBool::new(false)).collect();
        Steering { workers, software, ports, distrusted, distinct }
    }

    #[inline]
    pub fn workers(&self) -> u16 {
        self.workers
    }

    /// What the port's device keeps to, as far as is known.
    #[inline]
    pub fn rule(&self, port: PortId) -> Option<&Arc<Rule>> {
        match self.ports.get(port.index()) {
            Some(Placement::Rss(rule)) if !self.distrusted[port.index()].load(Relaxed) => {
                Some(rule)
            }
            _ => None,
        }
    }

    /// The device told a rule, whether it keeps to it or not.
    pub fn has_rule(&self, port: PortId) -> bool {
        matches!(self.ports.get(port.index()), Some(Placement::Rss(_)))
    }

    /// From now on the port counts as one whose device places frames as it likes.
    pub fn distrust(&self, port: PortId) {
        if let Some(distrusted) = self.distrusted.get(port.index()) {
            distrusted.store(true, Relaxed);
        }
    }

    /// The device puts every packet of a request on its owner worker by itself.
    #[inline]
    pub fn is_placed(&self, port: PortId) -> bool {
        self.rule(port).is_some()
    }

    /// The worker that a packet with this tuple belongs to when it comes in by `port`.
    #[inline]
    pub fn owner<A: Address>(&self, port: PortId, tuple: &Tuple<A>) -> u16 {
        match self.rule(port) {
            Some(rule) => rule.queue(rule.hash(tuple)),
            // The upper bits choose, so that any number of workers gets an even share.
            None => ((u64::from(self.software.hash(tuple)) * u64::from(self.workers)) >> 32) as u16,
        }
    }

    /// Spreads flows that have no worker to choose: GUE source ports.
    #[inline]
    pub fn spread<A: Address>(&self, tuple: &Tuple<A>) -> u32 {
        self.software.hash(tuple).wrapping_mul(0x9e37_79b9)
    }

    /// The workers that a request with this tuple may live on, whichever port it came in by.
    #[inline]
    pub fn owners<A: Address>(&self, tuple: &Tuple<A>) -> Workers {
        self.distinct
            .iter()
            .fold(Workers::default(), |set, &port| set.with(Workers::only(self.owner(port, tuple))))
    }

    /// The workers that may have the connection a server's packet answers. Bounded work: no further origin is looked at
    /// once all workers are among them, and [`Replies`] bounds the origins.
    pub fn owners_of_reply<A: Address>(&self, replies: &Replies, reply: &Tuple<A>) -> Workers {
        let all = Workers::all(self.workers);
        let mut set = Workers::default();
        for origin in replies.origins(reply) {
            set = set.with(self.owners_of_answer(origin, reply));
            if set == all {
                break;
            }
        }
        set
    }

    /// The workers that may have a connection of `origin` that the packet answers.
    fn owners_of_answer<A: Address>(&self, origin: Origin, reply: &Tuple<A>) -> Workers {
        let Origin::Virtual { address, port } = origin else { return Workers::all(self.workers) };
        let Some(address) = A::from_ip(address) else { return Workers::default() };
        self.owners(&Tuple {
            source: reply.destination,
            destination: address,
            source_port: reply.destination_port,
            destination_port: if port == 0 { reply.source_port } else { port },
            protocol: reply.protocol,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ORIGINS;
    use crate::model::{Protocol, ServiceKey};
    use std::net::{IpAddr, Ipv4Addr};

    fn service(number: u32) -> ServiceKey {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number));
        ServiceKey::Address { protocol: Protocol::Udp, address, port: 80 }
    }

    fn reply(client: u32) -> Tuple<u32> {
        Tuple {
            source: 0x0a01_000b,
            destination: 0x4d00_0000 + client,
            source_port: 8080,
            destination_port: 3000,
            protocol: 17,
        }
    }

    /// Up to the bound the set is exact; beyond it, it holds every worker.
    #[test]
    fn owners_of_replies_of_a_server_with_few_and_many_services() {
        let server = IpAddr::V4(Ipv4Addr::from_bits(0x0a01_000b));
        let steering = Steering::new(64, vec![Placement::Software]);
        for services in [1, 2, 3, ORIGINS as u32, 100, 10_000] {
            let mut replies = Replies::default();
            (0..services).for_each(|number| replies.insert(&service(number), server, 8080));
            for client in 0..50 {
                let reply = reply(client);
                let exact = (0..services).fold(Workers::default(), |set, number| {
                    let origin = Origin::Virtual {
                        address: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)),
                        port: 80,
                    };
                    set.with(steering.owners_of_answer(origin, &reply))
                });
                let found = steering.owners_of_reply(&replies, &reply);
                let expected = if services as usize <= ORIGINS { exact } else { Workers::all(64) };
                assert_eq!(found, expected, "{services} services");
            }
        }
    }
}
