//! Checks that no address has two owners. A VIP is the director's, so it must not be the address of a real server, router or
//! static neighbour. Neither a VIP nor a real server's address may be the network, broadcast or subnet-router anycast address
//! of a link.

use super::neighbour::NeighbourConfig;
use super::port::PortConfig;
use super::report::Report;
use super::route::{RouteConfig, RouteHop};
use crate::model::{Endpoint, InterfaceAddress, LinkAddress, Prefix};
use std::collections::HashMap;
use std::net::IpAddr;
use toml::Spanned;

const VIPS: &str = "director.vips";
const SERVICE: &str = "service.address";
const SERVER: &str = "service.destination.address";

/// An address or network, and where the file has it.
#[derive(Debug)]
struct Place {
    network: Prefix,
    offset: usize,
    key: &'static str,
}

/// The addresses of VIPs and real servers in the file, without faulty ones, which are reported elsewhere.
#[derive(Debug, Default)]
pub(super) struct Places {
    vips: Vec<Place>,
    servers: Vec<Place>,
}

impl Places {
    /// An element of `director.vips`.
    pub(super) fn add_network(&mut self, text: &Spanned<String>) {
        if let Ok(network) = text.get_ref().parse() {
            self.vips.push(Place { network, offset: text.span().start, key: VIPS });
        }
    }

    /// The address of a service.
    pub(super) fn add_service(&mut self, text: &Spanned<String>) {
        self.vips.extend(place(text, SERVICE));
    }

    /// The address of a real server.
    pub(super) fn add_server(&mut self, text: &Spanned<String>) {
        self.servers.extend(place(text, SERVER));
    }

    /// Only for tables without faults.
    pub(super) fn check(
        &self,
        ports: &[PortConfig],
        routes: &[RouteConfig],
        neighbours: &[NeighbourConfig],
        report: &mut Report<'_>,
    ) {
        let mut hosts = routers(ports, routes);
        hosts.extend(static_neighbours(ports, neighbours));
        let mut own: Vec<IpAddr> = Vec::new();
        own.extend(ports.iter().flat_map(|port| &port.addresses).map(|own| own.address()));
        let mut lines = HashMap::new();
        for vip in &self.vips {
            lines.entry(vip.network).or_insert_with(|| report.line(vip.offset));
            let links = link_addresses(ports).chain(hosts.iter().cloned());
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

fn place(text: &Spanned<String>, key: &'static str) -> Option<Place> {
    let at: Endpoint = text.get_ref().parse().ok()?;
    Some(Place { network: Prefix::host(at.address), offset: text.span().start, key })
}

/// Addresses of the ports' networks that no single host has.
fn link_addresses(ports: &[PortConfig]) -> impl Iterator<Item = (IpAddr, String)> {
    ports.iter().flat_map(|port| {
        port.addresses.iter().flat_map(InterfaceAddress::link_addresses).map(|(address, kind)| {
            let kind = match kind {
                LinkAddress::Network => "network",
                LinkAddress::Broadcast => "broadcast",
                LinkAddress::Anycast => "subnet-router anycast",
            };
            (address, format!("the {kind} address of port {}", port.name))
        })
    })
}

/// The neighbours of the file.
fn static_neighbours(
    ports: &[PortConfig],
    neighbours: &[NeighbourConfig],
) -> impl Iterator<Item = (IpAddr, String)> {
    neighbours.iter().filter_map(|neighbour| {
        let port = ports.get(neighbour.interface.index())?;
        Some((neighbour.address, format!("a static neighbour on port {}", port.name)))
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
