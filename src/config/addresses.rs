//! Checks that no address has two owners: a VIP is the director's, so it cannot be a real server's, a router's, or the
//! network or broadcast address of a link; neither can a real server's.

use super::endpoint::endpoint;
use super::report::Report;
use super::sections::Sections;
use super::settings::{PortConfig, RouteConfig, RouteHop};
use crate::model::Prefix;
use std::collections::HashMap;
use std::net::IpAddr;
use toml::Spanned;

const VIPS: &str = "director.vips";
const SERVICE: &str = "service.address";
const SERVER: &str = "service.destination.address";

/// An address or network, and where the file has it.
struct Place {
    network: Prefix,
    offset: usize,
    key: &'static str,
}

/// What the file says of VIPs and real servers, read before the tables are used up.
pub(super) struct Places {
    vips: Vec<Place>,
    servers: Vec<Place>,
}

impl Places {
    /// Values that are faulty in themselves are left out: they are reported elsewhere.
    pub fn of(sections: &Sections) -> Self {
        let address_of = |text: &Spanned<String>, key| {
            let at = endpoint(text.get_ref()).ok()?;
            Some(Place { network: Prefix::host(at.address), offset: text.span().start, key })
        };
        let configured = sections.director.vips.iter().filter_map(|text| {
            let network = text.get_ref().parse().ok()?;
            Some(Place { network, offset: text.span().start, key: VIPS })
        });
        let services = sections.services.iter();
        let virtual_addresses = services
            .clone()
            .filter_map(|(service, _)| address_of(service.raw.address.as_ref()?, SERVICE));
        let servers = services.flat_map(|(_, destinations)| destinations);
        Places {
            vips: configured.chain(virtual_addresses).collect(),
            servers: servers.filter_map(|server| address_of(&server.raw.address, SERVER)).collect(),
        }
    }

    /// To be called for tables without faults.
    pub fn check(&self, ports: &[PortConfig], routes: &[RouteConfig], report: &mut Report) {
        let routers = routers(ports, routes);
        let mut own: Vec<IpAddr> = Vec::new();
        own.extend(ports.iter().flat_map(|port| &port.addresses).map(|own| own.address()));
        let mut lines = HashMap::new();
        for vip in &self.vips {
            lines.entry(vip.network).or_insert_with(|| report.line(vip.offset));
            let links = link_addresses(ports).chain(routers.iter().cloned());
            if let Some((address, role)) =
                links.into_iter().find(|(address, _)| vip.network.contains(*address))
            {
                let problem = match vip.network.is_host() {
                    true => format!("{address} is {role}, so it cannot be a VIP"),
                    false => format!("{} holds {address}, which is {role}", vip.network),
                };
                report.fault(vip.offset, vip.key, problem);
            }
        }
        let networks: Vec<_> =
            self.vips.iter().filter(|vip| !vip.network.is_host()).map(|vip| vip.network).collect();
        for server in &self.servers {
            let address = server.network.address();
            if own.contains(&address) {
                continue;
            }
            let holder = lines.get_key_value(&server.network).or_else(|| {
                let network = networks.iter().find(|network| network.contains(address))?;
                lines.get_key_value(network)
            });
            let problem = match holder {
                Some((vip, line)) if vip.is_host() => {
                    format!("{address} is the VIP of line {line}, so no real server can have it")
                }
                Some((vip, line)) => {
                    format!("{address} is in the network {vip} of VIPs of line {line}")
                }
                None => match link_addresses(ports).find(|(at, _)| *at == address) {
                    Some((_, role)) => format!("{address} is {role}"),
                    None => continue,
                },
            };
            report.fault(server.offset, server.key, problem);
        }
    }
}

/// The network and broadcast addresses of the ports' networks: no host has them (RFC 1122 section 3.2.1.3).
fn link_addresses(ports: &[PortConfig]) -> impl Iterator<Item = (IpAddr, String)> {
    ports.iter().flat_map(|port| {
        port.addresses.iter().filter_map(|own| Some((own, own.broadcast()?))).flat_map(
            |(own, broadcast)| {
                let network = own.network().address();
                [
                    (network, format!("the network address of port {}", port.name)),
                    (broadcast, format!("the broadcast address of port {}", port.name)),
                ]
            },
        )
    })
}

fn routers(ports: &[PortConfig], routes: &[RouteConfig]) -> Vec<(IpAddr, String)> {
    let mut routers = Vec::new();
    for port in ports {
        let ipv4 = port.gateway.map(IpAddr::V4);
        let ipv6 = port.gateway_ipv6.map(IpAddr::V6);
        let role = format!("the gateway of port {}", port.name);
        routers.extend(ipv4.into_iter().chain(ipv6).map(|router| (router, role.clone())));
    }
    for route in routes {
        if let RouteHop::Via { router, .. } = route.hop {
            routers.push((router, format!("the router to {}", route.destination)));
        }
    }
    routers
}
