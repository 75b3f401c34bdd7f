//! Computes the worker that owns a flow, without a shared table: by the Toeplitz hash of the NIC or, without RSS, by a
//! software hash.

use crate::model::PortId;
use crate::packet::rss::{Fields, Input, Rule};
use crate::packet::toeplitz::{SYMMETRIC_KEY, Toeplitz};
use crate::packet::{Address, Tuple};
use crate::snapshot::{Replies, RequestAddress};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How one port distributes its frames over the workers.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// The NIC, by an RSS rule that the director can compute.
    Rss(Arc<Rule>),
    /// Unknown placement: the software hash decides, and workers hand off.
    Software,
}

impl Placement {
    /// True if the device hashes ports of at least one protocol.
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

/// A set of workers as a bit mask.
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
    /// Indexed by port: the device does not follow its RSS rule, so it counts as unsteered.
    distrusted: Box<[AtomicBool]>,
    /// Ports whose placement differs from all earlier ones: only these must be asked for an owner.
    distinct: Vec<PortId>,
}

impl Steering {
    /// `ports` is indexed by [`PortId`].
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

    /// The placement that is in effect.
    #[inline]
    pub fn rule(&self, port: PortId) -> Option<&Arc<Rule>> {
        match self.ports.get(port.index()) {
            Some(Placement::Rss(rule)) if !self.distrusted[port.index()].load(Relaxed) => {
                Some(rule)
            }
            _ => None,
        }
    }

    /// True if the device reports an RSS rule, followed or not.
    pub fn has_rule(&self, port: PortId) -> bool {
        matches!(self.ports.get(port.index()), Some(Placement::Rss(_)))
    }

    /// Treats the port as unsteered from now on.
    pub fn distrust(&self, port: PortId) {
        if let Some(distrusted) = self.distrusted.get(port.index()) {
            distrusted.store(true, Relaxed);
        }
    }

    /// True if the device places every packet of a request on its owner.
    #[inline]
    pub fn is_placed(&self, port: PortId) -> bool {
        self.rule(port).is_some()
    }

    /// The worker that owns a packet with this tuple received on `port`.
    #[inline]
    pub fn owner<A: Address>(&self, port: PortId, tuple: &Tuple<A>) -> u16 {
        match self.rule(port) {
            Some(rule) => rule.queue(rule.hash(tuple)),
            // The upper bits choose, so that any number of workers gets equal shares.
            None => ((u64::from(self.software.hash(tuple)) * u64::from(self.workers)) >> 32) as u16,
        }
    }

    /// A hash for spreading flows over GUE source ports.
    #[inline]
    pub fn spread<A: Address>(&self, tuple: &Tuple<A>) -> u32 {
        self.software.hash(tuple).wrapping_mul(0x9e37_79b9)
    }

    /// The workers that may own a request with this tuple, on any port.
    #[inline]
    pub fn owners<A: Address>(&self, tuple: &Tuple<A>) -> Workers {
        self.distinct
            .iter()
            .fold(Workers::default(), |set, &port| set.with(Workers::only(self.owner(port, tuple))))
    }

    /// The workers that may have the connection of a server's packet. The cost is bounded: it stops when all workers
    /// are in the set, and [`Replies`] limits the request addresses.
    pub fn owners_of_reply<A: Address>(&self, replies: &Replies, reply: &Tuple<A>) -> Workers {
        let all = Workers::all(self.workers);
        let mut set = Workers::default();
        for request in replies.request_addresses(reply) {
            set = set.with(self.owners_of_answer(request, reply));
            if set == all {
                break;
            }
        }
        set
    }

    /// The workers that may have the connection of `request` to which the packet replies.
    fn owners_of_answer<A: Address>(&self, request: RequestAddress, reply: &Tuple<A>) -> Workers {
        let RequestAddress::Virtual { address, port } = request else {
            return Workers::all(self.workers);
        };
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
    use crate::limits::REQUEST_ADDRESSES;
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

    /// Up to the limit of request addresses the set is exact; above it, it contains all workers.
    #[test]
    fn owners_of_replies_with_few_and_many_services() {
        let server = IpAddr::V4(Ipv4Addr::from_bits(0x0a01_000b));
        let steering = Steering::new(64, vec![Placement::Software]);
        for services in [1, 2, 3, REQUEST_ADDRESSES as u32, 100, 10_000] {
            let mut replies = Replies::default();
            (0..services).for_each(|number| replies.insert(&service(number), server, 8080));
            for client in 0..50 {
                let reply = reply(client);
                let exact = (0..services).fold(Workers::default(), |set, number| {
                    let request = RequestAddress::Virtual {
                        address: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)),
                        port: 80,
                    };
                    set.with(steering.owners_of_answer(request, &reply))
                });
                let found = steering.owners_of_reply(&replies, &reply);
                let expected =
                    if services as usize <= REQUEST_ADDRESSES { exact } else { Workers::all(64) };
                assert_eq!(found, expected, "{services} services");
            }
        }
    }
}
