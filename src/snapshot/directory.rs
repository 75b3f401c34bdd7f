//! The virtual services, and the lookup of a packet's service.

use super::shards::Shards;
use crate::model::{Family, Persistence, Protocol, ServiceId, ServiceKey, ServiceSpec};
use crate::packet::{Address, Tuple, bits};
use crate::scheduler::Scheduler;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// First unprivileged port; passive FTP data connections use this port or a higher one.
const UNPRIVILEGED_PORT: u16 = 1024;
const FTP_PORT: u16 = 21;
const FTP_DATA_PORT: u16 = 20;

/// A virtual service as workers use it.
#[derive(Debug)]
pub struct Service {
    pub id: ServiceId,
    pub key: ServiceKey,
    pub one_packet: bool,
    pub persistence: Option<Persistence>,
    /// The SIP persistence engine distinguishes clients also by Call-ID.
    pub by_call_id: bool,
    pub scheduler: Scheduler,
}

impl Service {
    pub fn new(id: ServiceId, spec: &ServiceSpec, scheduler: Scheduler) -> Self {
        Service {
            id,
            key: spec.key,
            one_packet: spec.one_packet,
            persistence: spec.persistence,
            by_call_id: spec.persistence_engine.is_some(),
            scheduler,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    address: u128,
    port: u16,
    protocol: u8,
    family: Family,
}

/// All services, by their key.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    by_address: Shards<HashMap<Key, Arc<Service>>>,
    by_mark: HashMap<(Family, u32), Arc<Service>>,
    /// Number of services with port 21: data connections may belong to them.
    ftp: usize,
    /// Number of services with port 0: they take all other ports.
    any_port: usize,
    /// Number of services with the SIP persistence engine.
    by_call_id: usize,
    ipv4: usize,
    ipv6: usize,
}

impl Directory {
    /// True if there is a service of this family; otherwise IPVS ignores its packets.
    #[inline]
    pub fn serves(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4 != 0,
            Family::Ipv6 => self.ipv6 != 0,
        }
    }

    /// The service of a packet: by firewall mark, by exact address and port, as FTP data, then by port 0.
    #[inline]
    pub fn find<A: Address>(&self, tuple: &Tuple<A>, mark: u32) -> Option<&Arc<Service>> {
        if mark != 0
            && let Some(service) = self.by_mark.get(&(A::FAMILY, mark))
        {
            return Some(service);
        }
        let address = tuple.destination.bits();
        let there = self.by_address.of(address);
        let exact =
            |port| there.get(&Key { address, port, protocol: tuple.protocol, family: A::FAMILY });
        let port = tuple.destination_port;
        let is_ftp_data = || {
            self.ftp != 0
                && tuple.protocol == Protocol::Tcp.number()
                && (port == FTP_DATA_PORT || port >= UNPRIVILEGED_PORT)
        };
        exact(port)
            .or_else(|| if is_ftp_data() { exact(FTP_PORT) } else { None })
            .or_else(|| if self.any_port != 0 { exact(0) } else { None })
    }

    /// True if a service of the family has this firewall mark.
    #[inline]
    pub fn serves_mark(&self, family: Family, mark: u32) -> bool {
        mark != 0 && self.by_mark.contains_key(&(family, mark))
    }

    /// True if a service has the SIP persistence engine.
    #[inline]
    pub fn has_sip_services(&self) -> bool {
        self.by_call_id != 0
    }

    pub fn get(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        match *key {
            ServiceKey::Address { protocol, address, port } => {
                self.by_address.of(bits(address)).get(&Self::key(protocol, address, port))
            }
            ServiceKey::Fwmark { mark, family } => self.by_mark.get(&(family, mark)),
        }
    }

    /// Adds a service, or replaces the one with the same key.
    pub fn insert(&mut self, service: Arc<Service>) {
        let family = service.key.family();
        self.by_call_id += usize::from(service.by_call_id);
        let old = match service.key {
            ServiceKey::Address { protocol, address, port } => {
                let there = self.by_address.of_mut(bits(address));
                there.insert(Self::key(protocol, address, port), Arc::clone(&service))
            }
            ServiceKey::Fwmark { mark, .. } => {
                self.by_mark.insert((family, mark), Arc::clone(&service))
            }
        };
        match old {
            Some(old) => self.by_call_id -= usize::from(old.by_call_id),
            None => self.count(&service.key, 1),
        }
    }

    pub fn remove(&mut self, key: &ServiceKey) {
        let old = match *key {
            ServiceKey::Address { protocol, address, port } => {
                self.by_address.of_mut(bits(address)).remove(&Self::key(protocol, address, port))
            }
            ServiceKey::Fwmark { mark, family } => self.by_mark.remove(&(family, mark)),
        };
        if let Some(old) = old {
            self.by_call_id -= usize::from(old.by_call_id);
            self.count(key, usize::MAX);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.by_address.iter().flat_map(HashMap::values).chain(self.by_mark.values())
    }

    pub fn len(&self) -> usize {
        self.ipv4 + self.ipv6
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn key(protocol: Protocol, address: IpAddr, port: u16) -> Key {
        Key {
            address: bits(address),
            port,
            protocol: protocol.number(),
            family: Family::of(address),
        }
    }

    /// `by`: 1 to add, `usize::MAX` to subtract one.
    fn count(&mut self, key: &ServiceKey, by: usize) {
        let family = match key.family() {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        };
        *family = family.wrapping_add(by);
        if let ServiceKey::Address { port, .. } = key {
            match port {
                0 => self.any_port = self.any_port.wrapping_add(by),
                &FTP_PORT => self.ftp = self.ftp.wrapping_add(by),
                _ => {}
            }
        }
    }
}
