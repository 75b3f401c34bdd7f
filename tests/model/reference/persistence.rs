//! Templates: the server of a client's next connection.

use super::scheduling::Choice;
use super::{Reference, Template};
use crate::site;
use crate::step::Packet;
use director::model::{Family, Persistence, PersistenceMask, Protocol, ServiceKey};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const FTP: u16 = 21;
const INVALID_PORT: u16 = 65535;

impl Reference {
    pub(super) fn persist(
        &mut self,
        service: usize,
        packet: &Packet,
        persistence: Persistence,
    ) -> Option<Choice> {
        let key = self.services[service].spec.key;
        let client = masked(packet.source.ip(), persistence.mask);
        let (protocol, virtual_address) = template_end(&key, packet);
        let found = self.templates.iter().position(|template| {
            (template.protocol, template.client, template.virtual_address)
                == (protocol, client, virtual_address)
        });
        let usable = found.filter(|&index| self.is_usable(index));
        if let (Some(index), None) = (found, usable) {
            self.templates[index].virtual_address.set_port(INVALID_PORT);
            self.templates[index].destination_port = INVALID_PORT;
        }
        let index = match usable {
            Some(index) => index,
            None => {
                let destination = self.pick(service, packet)?;
                let port = self.destinations[destination].spec.at.port;
                self.made += 1;
                self.templates.insert(
                    0,
                    Template {
                        number: self.made,
                        protocol,
                        client,
                        virtual_address,
                        destination,
                        destination_port: if virtual_address.port() == 0 { 0 } else { port },
                        assured: false,
                        timeout_ms: u64::from(persistence.timeout_s) * 1000,
                        started: self.now,
                    },
                );
                0
            }
        };
        self.templates[index].started = self.now;
        let destination = self.templates[index].destination;
        let own = self.destinations[destination].spec.at.port;
        let asked = packet.destination.port();
        let port = if asked == key.port() && own != 0 { own } else { asked };
        Some(Choice { destination, port, template: Some(self.templates[index].number) })
    }

    fn is_usable(&self, index: usize) -> bool {
        let destination = self.templates[index].destination;
        let is_quiesced = self.destinations[destination].spec.weight == 0;
        self.is_available(destination)
            && !(is_quiesced && self.sysctls.expire_quiescent_template != 0)
    }

    pub(super) fn assure(&mut self, number: Option<u64>) {
        for template in &mut self.templates {
            if Some(template.number) == number {
                template.assured = true;
            }
        }
    }
}

fn masked(client: IpAddr, mask: PersistenceMask) -> IpAddr {
    match (client, mask) {
        (IpAddr::V4(client), PersistenceMask::Ipv4(mask)) => (client & mask).into(),
        (IpAddr::V6(client), PersistenceMask::Ipv6(length)) => {
            let mask = u128::MAX << (128 - u32::from(length));
            Ipv6Addr::from_bits(client.to_bits() & mask).into()
        }
        _ => panic!("a mask of the service's family"),
    }
}

/// Protocol, virtual address and port of the template.
fn template_end(key: &ServiceKey, packet: &Packet) -> (Option<Protocol>, SocketAddr) {
    let asked = packet.destination;
    match *key {
        ServiceKey::Fwmark { mark, family } => {
            let address = match family {
                Family::Ipv4 => Ipv4Addr::from_bits(mark).into(),
                Family::Ipv6 => Ipv6Addr::from_bits(u128::from(mark) << 96).into(),
            };
            (None, SocketAddr::new(address, 0))
        }
        ServiceKey::Address { protocol, port, .. } => {
            let covers_all = port != asked.port() || port == FTP;
            (Some(protocol), SocketAddr::new(asked.ip(), if covers_all { 0 } else { port }))
        }
    }
}

/// The packet's service, by mark or else by address.
impl Reference {
    pub(super) fn service_for(&self, packet: &Packet) -> Option<usize> {
        let mark = site::mark_of(packet.protocol, packet.destination.port());
        let key = ServiceKey::Fwmark { mark, family: packet.family() };
        let marked = self.services.iter().position(|service| mark != 0 && service.spec.key == key);
        marked.or_else(|| self.address_service_for(packet))
    }

    /// The packet's service by address.
    pub(super) fn address_service_for(&self, packet: &Packet) -> Option<usize> {
        let find = |wanted: ServiceKey| {
            self.services.iter().position(|service| service.spec.key == wanted)
        };
        let asked = packet.destination.port();
        let with_port = |port| {
            let (protocol, address) = (packet.protocol, packet.destination.ip());
            find(ServiceKey::Address { protocol, address, port })
        };
        let is_ftp_data = packet.protocol == Protocol::Tcp && (asked == 20 || asked >= 1024);
        with_port(asked)
            .or_else(|| if is_ftp_data { with_port(FTP) } else { None })
            .or_else(|| with_port(0))
    }
}
