//! Derives routes, marks, neighbours and interfaces from the configuration.

use crate::config::{NeighbourConfig, PortConfig, RouteConfig, RouteHop};
use crate::host::NextHopKey;
use crate::model::{
    Family, Interface, InterfaceAddress, InterfaceId, MarkRule, PortId, Prefix, Unserved,
};
use crate::route::{Network, Routes};
use crate::snapshot::{Mark, Marks};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Connected networks, gateways and configured routes.
pub fn routes(ports: &[PortConfig], configured: &[RouteConfig]) -> Routes {
    let mut list: Vec<(Network, InterfaceId, Option<IpAddr>, u16)> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let id = InterfaceId(index as u16);
        for address in &port.addresses {
            list.push(((address.address(), address.length()), id, None, 0));
        }
        if port.addresses.iter().any(|address| Family::of(address.address()) == Family::Ipv6) {
            // RFC 4291 section 2.5.6: every link has the link-local network; the first interface with IPv6 gets the route.
            list.insert(
                0,
                (((Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)).into(), 64), id, None, 0),
            );
        }
        if let Some(gateway) = port.gateway {
            list.push(((Ipv4Addr::UNSPECIFIED.into(), 0), id, Some(gateway.into()), 0));
        }
        if let Some(gateway) = port.gateway_ipv6 {
            list.push(((Ipv6Addr::UNSPECIFIED.into(), 0), id, Some(gateway.into()), 0));
        }
    }
    for route in configured {
        let network = (route.destination.address(), route.destination.length());
        let mtu = route.mtu.unwrap_or(0);
        list.push(match route.hop {
            RouteHop::Via { interface, router } => (network, interface, Some(router), mtu),
            RouteHop::OnLink { interface } => (network, interface, None, mtu),
        });
    }
    Routes::build(list)
}

pub fn marks(rules: &[MarkRule]) -> Marks {
    Marks::build(rules.iter().map(Mark::from).collect())
}

pub fn static_neighbours(list: &[NeighbourConfig]) -> BTreeMap<NextHopKey, [u8; 6]> {
    list.iter().map(|entry| ((entry.interface, entry.address), entry.mac.0)).collect()
}

/// The interfaces, one on each port; `macs` are the ports' MAC addresses.
pub fn interfaces(
    ports: &[PortConfig],
    macs: &[[u8; 6]],
    unserved: Option<Unserved>,
) -> Vec<Interface> {
    let is_for_host = matches!(unserved, None | Some(Unserved::Kernel));
    ports
        .iter()
        .zip(macs)
        .enumerate()
        .map(|(index, (port, mac))| Interface {
            id: InterfaceId(index as u16),
            name: port.name.clone(),
            port: PortId(index as u16),
            mac: *mac,
            virtual_macs: Vec::new(),
            has_kernel: is_for_host && port.kernel.is_some(),
            mtu: port.mtu,
            addresses: port
                .addresses
                .iter()
                .map(|address| (address.address(), address.length()))
                .collect(),
        })
        .collect()
}

/// The ports with the addresses that others have given the host's interfaces.
pub fn with_host_addresses<'a>(
    ports: &[PortConfig],
    added: impl IntoIterator<Item = &'a (InterfaceId, IpAddr, u8)>,
) -> Vec<PortConfig> {
    let mut ports = ports.to_vec();
    for (interface, address, length) in added {
        let port = ports.get_mut(interface.index());
        if let (Some(port), Some(own)) = (port, InterfaceAddress::new(*address, *length))
            && port.addresses.iter().all(|other| other.address() != *address)
        {
            port.addresses.push(own);
        }
    }
    ports
}

/// Routes by routers: the gateways of the ports, and configured routes.
pub fn routers(
    ports: &[PortConfig],
    configured: &[RouteConfig],
) -> Vec<(Prefix, InterfaceId, IpAddr)> {
    let gateways = ports.iter().enumerate().flat_map(|(index, port)| {
        let gateways = [port.gateway.map(IpAddr::V4), port.gateway_ipv6.map(IpAddr::V6)];
        gateways.into_iter().flatten().filter_map(move |router| {
            let any = match router {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            Some((Prefix::new(any, 0)?, InterfaceId(index as u16), router))
        })
    });
    let configured = configured.iter().filter_map(|route| match route.hop {
        RouteHop::Via { interface, router } => Some((route.destination, interface, router)),
        RouteHop::OnLink { .. } => None,
    });
    gateways.chain(configured).collect()
}

/// Configured VIPs that are single addresses.
pub fn virtual_addresses(vips: &[Prefix]) -> BTreeSet<IpAddr> {
    vips.iter().filter(|vip| vip.is_host()).map(|vip| vip.address()).collect()
}

/// Configured networks whose addresses are all VIPs.
pub fn virtual_networks(vips: &[Prefix]) -> Vec<Prefix> {
    vips.iter().filter(|vip| !vip.is_host()).copied().collect()
}
