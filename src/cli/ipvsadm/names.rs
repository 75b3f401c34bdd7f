//! Host and service names: from the command line to numbers, and from numbers to listings.

use super::service_database::ServiceDatabase;
use crate::model::Protocol;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// Name resolution.
pub trait Names {
    /// The host's first IPv4 address.
    fn address_of(&self, host: &str) -> Option<Ipv4Addr>;
    /// The host name of an address.
    fn host_of(&self, address: IpAddr) -> Option<String>;
    fn port_of(&self, service: &str, protocol: Protocol) -> Option<u16>;
    fn service_of(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// The system's resolver and services database. Answers are cached, because a listing asks for the same hosts
/// repeatedly.
#[derive(Debug, Default)]
pub struct SystemNames {
    services: OnceCell<ServiceDatabase>,
    hosts: RefCell<HashMap<IpAddr, Option<String>>>,
}

impl SystemNames {
    fn services(&self) -> &ServiceDatabase {
        self.services.get_or_init(ServiceDatabase::of_system)
    }
}

impl Names for SystemNames {
    fn address_of(&self, host: &str) -> Option<Ipv4Addr> {
        (host, 0).to_socket_addrs().ok()?.find_map(|socket| match socket {
            SocketAddr::V4(socket) => Some(*socket.ip()),
            SocketAddr::V6(_) => None,
        })
    }

    fn host_of(&self, address: IpAddr) -> Option<String> {
        let resolve = || {
            let socket = SocketAddr::new(address, 0);
            dns_lookup::getnameinfo(&socket, libc::NI_NAMEREQD).ok().map(|(host, _)| host)
        };
        self.hosts.borrow_mut().entry(address).or_insert_with(resolve).clone()
    }

    fn port_of(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.services().port_of(service, protocol)
    }

    fn service_of(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.services().service_of(port, protocol).map(str::to_owned)
    }
}

/// Names for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct FixedNames {
    pub hosts: Vec<(String, IpAddr)>,
    pub services: Vec<(String, u16, Protocol)>,
}

#[cfg(test)]
impl Names for FixedNames {
    fn address_of(&self, host: &str) -> Option<Ipv4Addr> {
        self.hosts.iter().find_map(|(name, address)| match address {
            IpAddr::V4(address) if name == host => Some(*address),
            _ => None,
        })
    }

    fn host_of(&self, address: IpAddr) -> Option<String> {
        self.hosts.iter().find(|(_, known)| *known == address).map(|(name, _)| name.clone())
    }

    fn port_of(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.services
            .iter()
            .find(|(name, _, of)| name == service && *of == protocol)
            .map(|(_, port, _)| *port)
    }

    fn service_of(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.services
            .iter()
            .find(|(_, known, of)| *known == port && *of == protocol)
            .map(|(name, ..)| name.clone())
    }
}
