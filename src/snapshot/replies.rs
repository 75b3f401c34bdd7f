//! From a real server's address and port back to the virtual services it serves by NAT: what tells, for a
//! reply, which request it answers and so which worker has the connection.

use super::directory::bits;
use super::shards::Shards;
use crate::limits::ORIGINS;
use crate::model::{DestinationId, Protocol, ServiceKey};
use crate::packet::{Address, Tuple};
use arrayvec::ArrayVec;
use hashbrown::HashMap;
use std::net::IpAddr;

/// The virtual end of the connections that a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Requests went to this address and port; port 0: to the port that the server answers from.
    Virtual { address: IpAddr, port: u16 },
    /// A firewall-mark service: requests may have gone to any address.
    Anywhere,
}

/// The NAT destination of a SIP service that a datagram of a call begun by a server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipCaller {
    pub service: ServiceKey,
    pub destination: DestinationId,
}

/// The origins of one server address and port. Only [`ORIGINS`] are kept one by one: while there are more, a reply may
/// answer a request to any address, so the work of a packet does not grow with the number of services.
#[derive(Clone, Debug, Default)]
struct Origins {
    kept: ArrayVec<Origin, ORIGINS>,
    /// How many more there are, those of firewall-mark services among them.
    more: u32,
}

impl Origins {
    fn insert(&mut self, origin: Origin) {
        if origin == Origin::Anywhere || self.kept.try_push(origin).is_err() {
            self.more += 1;
        }
    }

    /// False if there is nothing to take back.
    fn remove(&mut self, origin: Origin) -> bool {
        let at = self.kept.iter().position(|other| *other == origin);
        match (at, self.more) {
            (Some(at), _) => drop(self.kept.swap_remove(at)),
            (None, 0) => return false,
            (None, _) => self.more -= 1,
        }
        true
    }

    fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.more == 0
    }

    fn iter(&self) -> impl Iterator<Item = Origin> {
        let kept = if self.more == 0 { &self.kept[..] } else { &[] };
        kept.iter().copied().chain((self.more != 0).then_some(Origin::Anywhere))
    }
}

/// A protocol number, address and port.
type End = (u8, IpAddr, u16);

/// NAT destinations by (protocol, address, port).
#[derive(Clone, Debug, Default)]
pub struct Replies {
    shards: Shards<HashMap<End, Origins>>,
    len: usize,
    /// Destinations that new connections may be translated to, with the number of services of each.
    servers: Shards<HashMap<End, u32>>,
    servers_len: usize,
    /// Destinations of SIP services among them, oldest first.
    sip_callers: Shards<HashMap<(IpAddr, u16), Vec<SipCaller>>>,
}

/// Stands for every protocol: the key of firewall-mark services.
const ANY_PROTOCOL: u8 = 0;

impl Replies {
    fn key(service: &ServiceKey, address: IpAddr, port: u16) -> End {
        match service {
            ServiceKey::Address { protocol, .. } => (protocol.number(), address, port),
            ServiceKey::Fwmark { .. } => (ANY_PROTOCOL, address, port),
        }
    }

    fn origin(service: &ServiceKey) -> Origin {
        match *service {
            ServiceKey::Address { address, port, .. } => Origin::Virtual { address, port },
            ServiceKey::Fwmark { .. } => Origin::Anywhere,
        }
    }

    /// A NAT destination of the service at `address` and `port` (0: any port).
    pub fn insert(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let shard = self.shards.of_mut(bits(address));
        shard.entry(Self::key(service, address, port)).or_default().insert(Self::origin(service));
        self.len += 1;
    }

    /// Takes back one [`Self::insert`].
    pub fn remove(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let key = Self::key(service, address, port);
        let shard = self.shards.of_mut(bits(address));
        let Some(origins) = shard.get_mut(&key) else { return };
        self.len -= usize::from(origins.remove(Self::origin(service)));
        if origins.is_empty() {
            shard.remove(&key);
        }
    }

    /// Where the requests that a packet from (source, source port) may answer had gone to: at most four times
    /// [`ORIGINS`], however many services the server has.
    pub fn origins<A: Address>(&self, reply: &Tuple<A>) -> impl Iterator<Item = Origin> {
        let source = reply.source.to_ip();
        let keys = [
            (reply.protocol, source, reply.source_port),
            (reply.protocol, source, 0),
            (ANY_PROTOCOL, source, reply.source_port),
            (ANY_PROTOCOL, source, 0),
        ];
        let shard = self.shards.of(reply.source.bits());
        keys.into_iter().filter_map(|key| shard.get(&key)).flat_map(Origins::iter)
    }

    /// A listed destination that is reached by NAT now: what `nat_icmp_send` goes by.
    pub fn add_server(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let shard = self.servers.of_mut(bits(address));
        *shard.entry(Self::key(service, address, port)).or_default() += 1;
        self.servers_len += 1;
    }

    /// Takes back one [`Self::add_server`].
    pub fn remove_server(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let key = Self::key(service, address, port);
        let shard = self.servers.of_mut(bits(address));
        let Some(count) = shard.get_mut(&key) else { return };
        *count -= 1;
        if *count == 0 {
            shard.remove(&key);
        }
        self.servers_len -= 1;
    }

    /// The packet's source is the address and port, to the letter, of a listed destination that is reached by NAT
    /// now: a destination of any port (0) is not meant. Those of firewall-mark services speak every protocol.
    pub fn has_server<A: Address>(&self, reply: &Tuple<A>) -> bool {
        if self.servers_len == 0 {
            return false;
        }
        let source = reply.source.to_ip();
        let servers = self.servers.of(reply.source.bits());
        [reply.protocol, ANY_PROTOCOL]
            .iter()
            .any(|protocol| servers.contains_key(&(*protocol, source, reply.source_port)))
    }

    /// A listed NAT destination of a SIP service now. Only one with a port of its own, of a UDP service with a port,
    /// can begin calls.
    pub fn add_sip_caller(&mut self, caller: SipCaller, address: IpAddr, port: u16) {
        if let ServiceKey::Address { protocol: Protocol::Udp, port: 1.., .. } = caller.service
            && port != 0
        {
            let callers = self.sip_callers.of_mut(bits(address));
            callers.entry((address, port)).or_default().push(caller);
        }
    }

    /// Takes back one [`Self::add_sip_caller`].
    pub fn remove_sip_caller(&mut self, caller: SipCaller, address: IpAddr, port: u16) {
        let shard = self.sip_callers.of_mut(bits(address));
        let Some(callers) = shard.get_mut(&(address, port)) else { return };
        callers.retain(|other| *other != caller);
        if callers.is_empty() {
            shard.remove(&(address, port));
        }
    }

    /// The SIP destination with exactly this source address and port; the oldest if several services have it.
    pub fn sip_caller<A: Address>(&self, tuple: &Tuple<A>) -> Option<&SipCaller> {
        let callers = self.sip_callers.of(tuple.source.bits());
        callers.get(&(tuple.source.to_ip(), tuple.source_port))?.first()
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;
    use std::net::Ipv4Addr;

    fn service(port: u16) -> ServiceKey {
        ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: "10.0.0.100".parse().unwrap(),
            port,
        }
    }

    fn reply(port: u16) -> Tuple<u32> {
        Tuple {
            source: Ipv4Addr::new(10, 1, 0, 11).to_bits(),
            destination: Ipv4Addr::new(10, 0, 0, 2).to_bits(),
            source_port: port,
            destination_port: 3000,
            protocol: 6,
        }
    }

    #[test]
    fn a_server_under_several_services_has_an_origin_for_each() {
        let server: IpAddr = "10.1.0.11".parse().unwrap();
        let mut replies = Replies::default();
        replies.insert(&service(80), server, 8080);
        replies.insert(&service(81), server, 8080);
        assert_eq!(replies.origins(&reply(8080)).count(), 2);
        replies.remove(&service(80), server, 8080);
        let left: Vec<_> = replies.origins(&reply(8080)).collect();
        assert_eq!(left, [Origin::Virtual { address: "10.0.0.100".parse().unwrap(), port: 81 }]);
        assert_eq!(replies.origins(&reply(8081)).count(), 0);
        replies.remove(&service(81), server, 8080);
        assert!(replies.is_empty());
    }

    #[test]
    fn the_origins_of_a_packet_are_bounded_and_known_again_below_the_bound() {
        let server: IpAddr = "10.1.0.11".parse().unwrap();
        let mut replies = Replies::default();
        (1..=10_000).for_each(|port| replies.insert(&service(port), server, 8080));
        assert_eq!(replies.origins(&reply(8080)).collect::<Vec<_>>(), [Origin::Anywhere]);
        // In the order of the list, so that the ones beyond the bound are the last to go.
        for port in 1..=10_000 {
            assert!(replies.origins(&reply(8080)).count() >= 1, "{port}");
            replies.remove(&service(port), server, 8080);
        }
        assert!(replies.is_empty());
        (1..=ORIGINS as u16 + 1).for_each(|port| replies.insert(&service(port), server, 8080));
        replies.remove(&service(ORIGINS as u16 + 1), server, 8080);
        assert_eq!(replies.origins(&reply(8080)).count(), ORIGINS);
        replies.remove(&service(99), server, 8080);
        assert_eq!(replies.origins(&reply(8080)).count(), ORIGINS, "it was not there");
        // Four keys, each full.
        for (port, at) in (1..=ORIGINS as u16).flat_map(|port| [(port, 8080), (port, 0)]) {
            replies.insert(&service(port), server, at);
        }
        let mark = ServiceKey::Fwmark { mark: 7, family: crate::model::Family::Ipv4 };
        [8080, 0].into_iter().for_each(|at| replies.insert(&mark, server, at));
        assert!(replies.origins(&reply(8080)).count() <= 4 * ORIGINS);
    }

    #[test]
    fn sip_callers_are_found_at_once_the_oldest_first() {
        let server: IpAddr = "10.1.0.11".parse().unwrap();
        let sip = |port| ServiceKey::Address {
            protocol: Protocol::Udp,
            address: "10.0.0.100".parse().unwrap(),
            port,
        };
        let caller =
            |port| SipCaller { service: sip(port), destination: DestinationId(port.into()) };
        let mut replies = Replies::default();
        (0..=9).for_each(|port| replies.add_sip_caller(caller(port), server, 5060));
        replies.add_sip_caller(caller(1), server, 0);
        assert_eq!(
            replies.sip_caller(&reply(5060)),
            Some(&caller(1)),
            "0 has no port to call from"
        );
        assert_eq!(replies.sip_caller(&reply(0)), None);
        replies.remove_sip_caller(caller(1), server, 5060);
        assert_eq!(replies.sip_caller(&reply(5060)), Some(&caller(2)));
        (2..=9).for_each(|port| replies.remove_sip_caller(caller(port), server, 5060));
        assert_eq!(replies.sip_caller(&reply(5060)), None);
    }

    #[test]
    fn listed_servers_are_known_by_their_very_port() {
        let server: IpAddr = "10.1.0.11".parse().unwrap();
        let mut replies = Replies::default();
        replies.add_server(&service(80), server, 8080);
        replies.add_server(&service(81), server, 8080);
        replies.add_server(&service(0), server, 0);
        replies.remove_server(&service(80), server, 8080);
        assert!(replies.has_server(&reply(8080)) && !replies.has_server(&reply(8081)));
        replies.remove_server(&service(81), server, 8080);
        assert!(!replies.has_server(&reply(8080)));
    }

    #[test]
    fn firewall_mark_services_answer_for_every_port_and_protocol() {
        let mark = ServiceKey::Fwmark { mark: 7, family: crate::model::Family::Ipv4 };
        let mut replies = Replies::default();
        replies.insert(&mark, "10.1.0.11".parse().unwrap(), 0);
        replies.add_server(&mark, "10.1.0.11".parse().unwrap(), 0);
        assert_eq!(replies.origins(&reply(1234)).collect::<Vec<_>>(), [Origin::Anywhere]);
        assert!(!replies.has_server(&reply(1234)), "its port is not known");
    }
}
