//! From a real server's address and port back to the virtual services it serves by NAT: what tells, for a
//! reply, which request it answers and so which worker has the connection.

use super::directory::bits;
use super::shards::Shards;
use crate::model::ServiceKey;
use crate::packet::{Address, Tuple};
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

/// NAT destinations by (protocol, address, port).
#[derive(Clone, Debug, Default)]
pub struct Replies {
    shards: Shards<HashMap<(u8, IpAddr, u16), Vec<Origin>>>,
    len: usize,
    /// Those that new connections may be translated to, with how many services each has.
    servers: Shards<HashMap<(u8, IpAddr, u16), u32>>,
    servers_len: usize,
}

/// Stands for every protocol: the key of firewall-mark services.
const ANY_PROTOCOL: u8 = 0;

impl Replies {
    fn key(service: &ServiceKey, address: IpAddr, port: u16) -> (u8, IpAddr, u16) {
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
        shard.entry(Self::key(service, address, port)).or_default().push(Self::origin(service));
        self.len += 1;
    }

    /// Takes back one [`Self::insert`].
    pub fn remove(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let key = Self::key(service, address, port);
        let origin = Self::origin(service);
        let shard = self.shards.of_mut(bits(address));
        let Some(origins) = shard.get_mut(&key) else { return };
        if let Some(at) = origins.iter().position(|other| *other == origin) {
            origins.swap_remove(at);
            self.len -= 1;
        }
        if origins.is_empty() {
            shard.remove(&key);
        }
    }

    /// Where the requests that a packet from (source, source port) may answer had gone to.
    pub fn origins<A: Address>(&self, reply: &Tuple<A>) -> impl Iterator<Item = Origin> {
        let source = reply.source.to_ip();
        let keys = [
            (reply.protocol, source, reply.source_port),
            (reply.protocol, source, 0),
            (ANY_PROTOCOL, source, reply.source_port),
            (ANY_PROTOCOL, source, 0),
        ];
        let shard = self.shards.of(reply.source.bits());
        keys.into_iter().filter_map(|key| shard.get(&key)).flatten().copied()
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
