//! Finds the virtual services that a real server serves with NAT. So a worker knows which requests a reply may belong
//! to, and which worker owns the connection.

use super::shards::Shards;
use crate::limits::REQUEST_ADDRESSES;
use crate::model::{DestinationId, Protocol, ServiceKey, TunnelKind};
use crate::packet::{Address, Tuple, bits};
use arrayvec::ArrayVec;
use hashbrown::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// Destination of requests that a server replies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestAddress {
    /// This address and port; port 0: the port that the server replies from.
    Virtual { address: IpAddr, port: u16 },
    /// A service by firewall mark: any address.
    Anywhere,
}

/// The SIP service and NAT destination of a call opened by a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipCaller {
    pub service: ServiceKey,
    pub destination: DestinationId,
}

/// The request addresses of one server address and port, at most [`REQUEST_ADDRESSES`]. With more, a reply may belong to a
/// request to any address, so that the cost of a packet does not grow with the number of services.
#[derive(Clone, Debug, Default)]
struct RequestAddresses {
    kept: ArrayVec<RequestAddress, REQUEST_ADDRESSES>,
    /// Number of them above the limit, including services by firewall mark.
    more: u32,
}

impl RequestAddresses {
    fn insert(&mut self, request: RequestAddress) {
        if request == RequestAddress::Anywhere || self.kept.try_push(request).is_err() {
            self.more += 1;
        }
    }

    /// False if there was nothing to remove.
    fn remove(&mut self, request: RequestAddress) -> bool {
        let at = self.kept.iter().position(|other| *other == request);
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

    fn iter(&self) -> impl Iterator<Item = RequestAddress> {
        let kept = if self.more == 0 { &self.kept[..] } else { &[] };
        kept.iter().copied().chain((self.more != 0).then_some(RequestAddress::Anywhere))
    }
}

/// A protocol number, address and port.
type End = (u8, IpAddr, u16);

/// NAT destinations by protocol, address and port.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    shards: Shards<HashMap<End, RequestAddresses>>,
    len: usize,
    /// Destinations that new connections may be translated to, with the number of their services.
    servers: Shards<HashMap<End, u32>>,
    servers_len: usize,
    /// Those of SIP services, oldest first.
    sip_callers: Shards<HashMap<(IpAddr, u16), Vec<SipCaller>>>,
    /// Ends of tunnels of listed destinations, with the number of destinations of each.
    tunnel_ends: Shards<HashMap<(IpAddr, TunnelKind), u32>>,
}

/// Stands for all protocols: the key of services by firewall mark.
const ANY_PROTOCOL: u8 = 0;

/// Takes back one count of a key; true if there was one.
fn release<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) -> bool {
    let Some(count) = counts.get_mut(key) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
    true
}

impl Replies {
    fn key(service: &ServiceKey, address: IpAddr, port: u16) -> End {
        match service {
            ServiceKey::Address { protocol, .. } => (protocol.number(), address, port),
            ServiceKey::Fwmark { .. } => (ANY_PROTOCOL, address, port),
        }
    }

    fn request_address(service: &ServiceKey) -> RequestAddress {
        match *service {
            ServiceKey::Address { address, port, .. } => RequestAddress::Virtual { address, port },
            ServiceKey::Fwmark { .. } => RequestAddress::Anywhere,
        }
    }

    /// Adds a NAT destination of the service at `address` and `port` (0: any port).
    pub fn insert(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let shard = self.shards.of_mut(bits(address));
        shard
            .entry(Self::key(service, address, port))
            .or_default()
            .insert(Self::request_address(service));
        self.len += 1;
    }

    /// Removes one [`Self::insert`].
    pub fn remove(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let key = Self::key(service, address, port);
        let shard = self.shards.of_mut(bits(address));
        let Some(requests) = shard.get_mut(&key) else { return };
        self.len -= usize::from(requests.remove(Self::request_address(service)));
        if requests.is_empty() {
            shard.remove(&key);
        }
    }

    /// Destinations of the requests that a packet from this source address and port may reply to: at most four times
    /// [`REQUEST_ADDRESSES`], whatever the number of services.
    pub fn request_addresses<A: Address>(
        &self,
        reply: &Tuple<A>,
    ) -> impl Iterator<Item = RequestAddress> {
        let source = reply.source.to_ip();
        let keys = [
            (reply.protocol, source, reply.source_port),
            (reply.protocol, source, 0),
            (ANY_PROTOCOL, source, reply.source_port),
            (ANY_PROTOCOL, source, 0),
        ];
        let shard = self.shards.of(reply.source.bits());
        keys.into_iter().filter_map(|key| shard.get(&key)).flat_map(RequestAddresses::iter)
    }

    /// Adds a listed NAT destination, for `nat_icmp_send`.
    pub fn add_server(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let shard = self.servers.of_mut(bits(address));
        *shard.entry(Self::key(service, address, port)).or_default() += 1;
        self.servers_len += 1;
    }

    /// Removes one [`Self::add_server`].
    pub fn remove_server(&mut self, service: &ServiceKey, address: IpAddr, port: u16) {
        let key = Self::key(service, address, port);
        let shard = self.servers.of_mut(bits(address));
        self.servers_len -= usize::from(release(shard, &key));
    }

    /// True if a listed NAT destination has exactly the packet's source address and port; those with any port (0) do
    /// not count. Destinations of services by firewall mark have all protocols.
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

    /// Adds a NAT destination of a SIP service. Only one with its own port, in a UDP service with a port, can open
    /// calls.
    pub fn add_sip_caller(&mut self, caller: SipCaller, address: IpAddr, port: u16) {
        if let ServiceKey::Address { protocol: Protocol::Udp, port: 1.., .. } = caller.service
            && port != 0
        {
            let callers = self.sip_callers.of_mut(bits(address));
            callers.entry((address, port)).or_default().push(caller);
        }
    }

    /// Removes one [`Self::add_sip_caller`].
    pub fn remove_sip_caller(&mut self, caller: SipCaller, address: IpAddr, port: u16) {
        let shard = self.sip_callers.of_mut(bits(address));
        let Some(callers) = shard.get_mut(&(address, port)) else { return };
        callers.retain(|other| *other != caller);
        if callers.is_empty() {
            shard.remove(&(address, port));
        }
    }

    /// The SIP destination with exactly this source address and port; the oldest if several services have one.
    pub fn sip_caller<A: Address>(&self, tuple: &Tuple<A>) -> Option<&SipCaller> {
        let callers = self.sip_callers.of(tuple.source.bits());
        callers.get(&(tuple.source.to_ip(), tuple.source_port))?.first()
    }

    /// A listed destination that is reached by a tunnel of this kind now.
    pub fn add_tunnel_end(&mut self, address: IpAddr, kind: TunnelKind) {
        *self.tunnel_ends.of_mut(bits(address)).entry((address, kind)).or_default() += 1;
    }

    /// Takes back one [`Self::add_tunnel_end`].
    pub fn remove_tunnel_end(&mut self, address: IpAddr, kind: TunnelKind) {
        release(self.tunnel_ends.of_mut(bits(address)), &(address, kind));
    }

    /// Some listed destination is reached by a tunnel of this kind to the address: what errors about tunnel packets go by.
    pub fn has_tunnel_end(&self, address: IpAddr, kind: TunnelKind) -> bool {
        self.tunnel_ends.of(bits(address)).contains_key(&(address, kind))
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
    fn a_server_under_several_services_has_a_request_address_for_each() {
        let server: IpAddr = "10.1.0.11".parse().unwrap();
        let mut replies = Replies::default();
        replies.insert(&service(80), server, 8080);
        replies.insert(&service(81), server, 8080);
        assert_eq!(replies.request_addresses(&reply(8080)).count(), 2);
        replies.remove(&service(80), server, 8080);
        let left: Vec<_> = replies.request_addresses(&reply(8080)).collect();
        assert_eq!(
            left,
            [RequestAddress::Virtual { address: "10.0.0.100".parse().unwrap(), port: 81 }]
        );
        assert_eq!(replies.request_addresses(&reply(8081)).count(), 0);
        replies.remove(&service(81), server, 8080);
        assert!(replies.is_empty());
    }

    #[test]
    fn request_addresses_are_bounded_and_exact_below_the_bound() {
        let server: IpAddr = "10.1.0.11".parse().unwrap();
        let mut replies = Replies::default();
        (1..=10_000).for_each(|port| replies.insert(&service(port), server, 8080));
        assert_eq!(
            replies.request_addresses(&reply(8080)).collect::<Vec<_>>(),
            [RequestAddress::Anywhere]
        );
        // In the order of the list, so that those above the limit are removed last.
        for port in 1..=10_000 {
            assert!(replies.request_addresses(&reply(8080)).count() >= 1, "{port}");
            replies.remove(&service(port), server, 8080);
        }
        assert!(replies.is_empty());
        (1..=REQUEST_ADDRESSES as u16 + 1)
            .for_each(|port| replies.insert(&service(port), server, 8080));
        replies.remove(&service(REQUEST_ADDRESSES as u16 + 1), server, 8080);
        assert_eq!(replies.request_addresses(&reply(8080)).count(), REQUEST_ADDRESSES);
        replies.remove(&service(99), server, 8080);
        assert_eq!(
            replies.request_addresses(&reply(8080)).count(),
            REQUEST_ADDRESSES,
            "nothing was removed"
        );
        // Four keys, all full.
        for (port, at) in (1..=REQUEST_ADDRESSES as u16).flat_map(|port| [(port, 8080), (port, 0)])
        {
            replies.insert(&service(port), server, at);
        }
        let mark = ServiceKey::Fwmark { mark: 7, family: crate::model::Family::Ipv4 };
        [8080, 0].into_iter().for_each(|at| replies.insert(&mark, server, at));
        assert!(replies.request_addresses(&reply(8080)).count() <= 4 * REQUEST_ADDRESSES);
    }

    #[test]
    fn sip_callers_are_found_oldest_first() {
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
        assert_eq!(replies.sip_caller(&reply(5060)), Some(&caller(1)), "port 0 cannot open calls");
        assert_eq!(replies.sip_caller(&reply(0)), None);
        replies.remove_sip_caller(caller(1), server, 5060);
        assert_eq!(replies.sip_caller(&reply(5060)), Some(&caller(2)));
        (2..=9).for_each(|port| replies.remove_sip_caller(caller(port), server, 5060));
        assert_eq!(replies.sip_caller(&reply(5060)), None);
    }

    #[test]
    fn listed_servers_are_found_by_exact_port() {
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
    fn services_by_mark_have_every_port_and_protocol() {
        let mark = ServiceKey::Fwmark { mark: 7, family: crate::model::Family::Ipv4 };
        let mut replies = Replies::default();
        replies.insert(&mark, "10.1.0.11".parse().unwrap(), 0);
        replies.add_server(&mark, "10.1.0.11".parse().unwrap(), 0);
        assert_eq!(
            replies.request_addresses(&reply(1234)).collect::<Vec<_>>(),
            [RequestAddress::Anywhere]
        );
        assert!(!replies.has_server(&reply(1234)), "its port differs");
    }
}
