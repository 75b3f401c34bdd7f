//! Checks ports, neighbours and routes: `[[port]]`, `[[neighbour]]`, `[[route]]`.

use super::director::is_word;
use super::raw;
use super::report::Report;
use super::sections::Section;
use super::settings::{DpdkConfig, NeighbourConfig, PortConfig, RouteConfig, RouteHop};
use crate::limits::PORTS_MAX;
use crate::model::{InterfaceAddress, InterfaceId, MacAddress, PortSide, Prefix};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use toml::Spanned;

/// Smallest link MTU of IPv4 (RFC 791 section 3.1).
const MTU_MIN: u16 = 68;
/// Smallest link MTU of IPv6 (RFC 8200 section 5).
const MTU_MIN_IPV6: u16 = 1280;

const SIDES: [(&str, PortSide); 3] =
    [("both", PortSide::Both), ("clients", PortSide::Clients), ("servers", PortSide::Servers)];
const INTERFACE_FORM: &str = "an address with its prefix length as 10.0.0.1/24";
pub(super) const NETWORK_FORM: &str = "a network as 10.0.0.0/8";
const MAC_FORM: &str = "a unicast address as 02:00:00:00:00:01";

/// The ports that other tables refer to.
pub(super) struct KnownPorts<'p> {
    pub ports: &'p [PortConfig],
    /// They have no faults themselves, so what does not fit them is at fault.
    pub sound: bool,
}

impl KnownPorts<'_> {
    /// The address is the broadcast address of a network on a port's link.
    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        let mut own = self.ports.iter().flat_map(|port| &port.addresses);
        own.any(|own| own.broadcast() == Some(address))
    }
}

/// Every `[[port]]`, in order.
pub(super) fn ports(
    sections: Vec<Section<raw::Port>>,
    dpdk: Option<&DpdkConfig>,
    report: &mut Report,
) -> Vec<PortConfig> {
    let mut ports: Vec<PortConfig> = Vec::new();
    for Section { raw, offset } in sections {
        if ports.len() == PORTS_MAX {
            report.fault(offset, "port", format!("more than {PORTS_MAX} ports"));
            break;
        }
        let port = port(&raw, &ports, report);
        unique(&raw, &port, &ports, report);
        if let Some(dpdk) = dpdk {
            device_exists(&raw.device, dpdk, report);
        }
        ports.push(port);
    }
    ports
}

fn port(raw: &raw::Port, others: &[PortConfig], report: &mut Report) -> PortConfig {
    let before = report.count();
    let addresses = addresses(&raw.addresses, others, report);
    let all_addresses_known = report.count() == before;
    let name =
        report.text_at(
            &raw.name,
            "port.name",
            "1 to 32 of A-Z a-z 0-9 _ . -",
            |name| match is_word(name, "_.-") {
                true => Ok(name.to_owned()),
                false => Err(format!("`{}` cannot name a port", name.escape_debug())),
            },
        );
    if raw.device.get_ref().is_empty() || raw.device.get_ref().contains(['\0', ',', ' ']) {
        let problem = format!("`{}` names no device", raw.device.get_ref().escape_debug());
        let allowed = "a PCI address, or a virtual device's name without its arguments";
        report.fault_allowed(raw.device.span().start, "port.device", problem, allowed);
    }
    let speaks_ipv6 = addresses.iter().any(|own| own.address().is_ipv6());
    let mtu_min = if speaks_ipv6 { MTU_MIN_IPV6 } else { MTU_MIN };
    let mtu = report.number(&raw.mtu, "port.mtu", mtu_min..=u16::MAX);
    let port = PortConfig {
        name: name.unwrap_or_default(),
        device: raw.device.get_ref().clone(),
        addresses,
        gateway: report.text(&raw.gateway, "port.gateway", "an IPv4 address", ipv4),
        gateway_ipv6: report.text(&raw.gateway_ipv6, "port.gateway_ipv6", "an IPv6 address", ipv6),
        mtu: mtu.unwrap_or(PortConfig::MTU_DEFAULT),
        promiscuous: raw.promiscuous.unwrap_or(false),
        side: report.word(&raw.side, "port.side", &SIDES).unwrap_or_default(),
        rx_descriptors: report.number(&raw.rx_descriptors, "port.rx_descriptors", 32..=32_768),
        tx_descriptors: report.number(&raw.tx_descriptors, "port.tx_descriptors", 32..=32_768),
    };
    if all_addresses_known {
        gateways(raw, &port, report);
    }
    port
}

fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("`{text}` is no IPv4 address"))
}

fn ipv6(text: &str) -> Result<Ipv6Addr, String> {
    text.parse().map_err(|_| format!("`{text}` is no IPv6 address"))
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address"))
}

fn addresses(
    raw: &[Spanned<String>],
    others: &[PortConfig],
    report: &mut Report,
) -> Vec<InterfaceAddress> {
    const KEY: &str = "port.addresses";
    let mut addresses: Vec<InterfaceAddress> = Vec::new();
    for text in raw {
        let parse = str::parse::<InterfaceAddress>;
        let Some(own) = report.text_at(text, KEY, INTERFACE_FORM, parse) else { continue };
        let address = own.address();
        let offset = text.span().start;
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            let problem = format!("{address} cannot be an interface's address");
            report.fault_allowed(offset, KEY, problem, INTERFACE_FORM);
        } else if own.broadcast() == Some(address) {
            report.fault(offset, KEY, format!("{address} is the broadcast address of its network"));
        } else if own.broadcast().is_some() && own.network().address() == address {
            report.fault(offset, KEY, format!("{address} is the address of its network itself"));
        } else if addresses.iter().any(|other| other.address() == address) {
            report.fault(offset, KEY, format!("{address} is listed twice"));
        } else if let Some(problem) = clash(own, others) {
            report.fault(offset, KEY, problem);
        }
        addresses.push(own);
    }
    addresses
}

/// What the address has in common with those of other ports that it must not. Each link has a
/// `fe80::/10` of its own.
fn clash(own: InterfaceAddress, others: &[PortConfig]) -> Option<String> {
    if matches!(own.address(), IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return None;
    }
    others.iter().find_map(|port| {
        port.addresses.iter().find_map(|other| {
            if other.address() == own.address() {
                Some(format!("{} is an address of port {} already", own.address(), port.name))
            } else if other.network() == own.network() && !own.network().is_host() {
                Some(format!("{} is the network of port {} already", own.network(), port.name))
            } else {
                None
            }
        })
    })
}

fn gateways(raw: &raw::Port, port: &PortConfig, report: &mut Report) {
    let ipv4 = port.gateway.map(IpAddr::V4);
    let ipv6 = port.gateway_ipv6.map(IpAddr::V6);
    for (field, gateway, key) in
        [(&raw.gateway, ipv4, "port.gateway"), (&raw.gateway_ipv6, ipv6, "port.gateway_ipv6")]
    {
        if let (Some(field), Some(gateway)) = (field, gateway)
            && let Some(problem) = unfit_neighbour(gateway, port)
        {
            report.fault(field.span().start, key, problem);
        }
    }
}

/// Why the address cannot be a neighbour on the port's link.
fn unfit_neighbour(address: IpAddr, port: &PortConfig) -> Option<String> {
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        Some(format!("{address} is not unicast"))
    } else if port.addresses.iter().any(|own| own.address() == address) {
        Some(format!("{address} is the port's own address"))
    } else if port.addresses.iter().any(|own| own.broadcast() == Some(address)) {
        Some(format!("{address} is the broadcast address of its network"))
    } else if port
        .addresses
        .iter()
        .any(|own| own.broadcast().is_some() && own.network().address() == address)
    {
        Some(format!("{address} is the address of its network itself"))
    } else if !port.is_on_link(address) {
        Some(format!("{address} is in no network of port {}", port.name))
    } else {
        None
    }
}

/// Names, devices and default routes belong to one port each.
fn unique(raw: &raw::Port, port: &PortConfig, others: &[PortConfig], report: &mut Report) {
    if let Some(other) = others.iter().find(|other| other.name == port.name) {
        let problem = format!("a second port `{}`", other.name);
        report.fault(raw.name.span().start, "port.name", problem);
    }
    if let Some(other) = others.iter().find(|other| other.device == port.device) {
        let problem = format!("{} is the device of port {} already", port.device, other.name);
        report.fault(raw.device.span().start, "port.device", problem);
    }
    let first_ipv4 = others.iter().find(|other| other.gateway.is_some());
    let first_ipv6 = others.iter().find(|other| other.gateway_ipv6.is_some());
    for (field, first, key) in [
        (&raw.gateway, first_ipv4, "port.gateway"),
        (&raw.gateway_ipv6, first_ipv6, "port.gateway_ipv6"),
    ] {
        if let (Some(field), Some(first)) = (field, first) {
            let problem = format!("port {} has the default route already", first.name);
            report.fault(field.span().start, key, problem);
        }
    }
}

/// A `net_...` device is one that `dpdk.vdevs` makes; it may also come from `dpdk.arguments`.
fn device_exists(device: &Spanned<String>, dpdk: &DpdkConfig, report: &mut Report) {
    let name = device.get_ref();
    let made = dpdk.vdevs.iter().any(|vdev| vdev.split(',').next() == Some(name));
    let argued = dpdk.arguments.iter().any(|argument| argument.contains(name.as_str()));
    if name.starts_with("net_") && !made && !argued {
        let problem = format!("no virtual device `{name}` in dpdk.vdevs");
        let names: Vec<_> = dpdk.vdevs.iter().filter_map(|vdev| vdev.split(',').next()).collect();
        let allowed = match names.is_empty() {
            true => "a PCI address, or a device listed in dpdk.vdevs".to_owned(),
            false => format!("a PCI address, {}", names.join(", ")),
        };
        report.fault_allowed(device.span().start, "port.device", problem, allowed);
    }
}

/// The interface of the port with that name, or `None` after listing the names.
pub(super) fn interface_named(
    name: &Spanned<String>,
    key: &str,
    known: &KnownPorts,
    report: &mut Report,
) -> Option<InterfaceId> {
    let position = known.ports.iter().position(|port| port.name == *name.get_ref());
    if position.is_none() && known.sound {
        let names: Vec<_> = known.ports.iter().map(|port| port.name.as_str()).collect();
        let problem = format!("no port `{}`", name.get_ref().escape_debug());
        report.fault_allowed(name.span().start, key, problem, names.join(", "));
    }
    position.map(interface_id)
}

/// There are at most [`PORTS_MAX`] ports, each with one interface.
fn interface_id(position: usize) -> InterfaceId {
    InterfaceId(position as u16)
}

/// Every `[[neighbour]]`, in order.
pub(super) fn neighbours(
    sections: Vec<Section<raw::Neighbour>>,
    known: &KnownPorts,
    report: &mut Report,
) -> Vec<NeighbourConfig> {
    let mut neighbours: Vec<NeighbourConfig> = Vec::new();
    for Section { raw, .. } in sections {
        let interface = interface_named(&raw.port, "neighbour.port", known, report);
        let address = report.text_at(&raw.address, "neighbour.address", "an address", ip);
        let mac = report.text_at(&raw.mac, "neighbour.mac", MAC_FORM, |text| {
            match text.parse::<MacAddress>() {
                Ok(mac) if mac.is_unicast() => Ok(mac),
                Ok(mac) => Err(format!("{mac} is not unicast")),
                Err(_) => Err(format!("`{}` is no Ethernet address", text.escape_debug())),
            }
        });
        let (Some(interface), Some(address), Some(mac)) = (interface, address, mac) else {
            continue;
        };
        let offset = raw.address.span().start;
        let unfit = unfit_neighbour(address, &known.ports[interface.index()]);
        if let Some(problem) = unfit.filter(|_| known.sound) {
            report.fault(offset, "neighbour.address", problem);
        } else if neighbours
            .iter()
            .any(|other| (other.interface, other.address) == (interface, address))
        {
            report.fault(offset, "neighbour.address", format!("a second neighbour {address}"));
        }
        neighbours.push(NeighbourConfig { interface, address, mac });
    }
    neighbours
}

/// Every `[[route]]`, in order.
pub(super) fn routes(
    sections: Vec<Section<raw::Route>>,
    known: &KnownPorts,
    report: &mut Report,
) -> Vec<RouteConfig> {
    let mut routes: Vec<RouteConfig> = Vec::new();
    for Section { raw, offset } in sections {
        let parse = str::parse::<Prefix>;
        let destination =
            report.text_at(&raw.destination, "route.destination", NETWORK_FORM, parse);
        let hop = hop(&raw, offset, known, report);
        let (Some(destination), Some(hop)) = (destination, hop) else { continue };
        let at = raw.destination.span().start;
        if let Some(problem) = taken(destination, &routes, known.ports) {
            report.fault(at, "route.destination", problem);
        }
        if let RouteHop::Via { router, .. } = hop
            && router.is_ipv4() != destination.address().is_ipv4()
        {
            let problem = format!("{router} and {destination} are of different families");
            report.fault(at, "route.destination", problem);
        }
        let (RouteHop::Via { interface, .. } | RouteHop::OnLink { interface }) = hop;
        let mtu_min = if destination.address().is_ipv6() { MTU_MIN_IPV6 } else { MTU_MIN };
        let mtu_max = known.ports[interface.index()].mtu;
        let mtu = report.number(&raw.mtu, "route.mtu", mtu_min..=mtu_max);
        routes.push(RouteConfig { destination, hop, mtu });
    }
    routes
}

/// Why there is a route to this network already.
fn taken(destination: Prefix, routes: &[RouteConfig], ports: &[PortConfig]) -> Option<String> {
    if routes.iter().any(|other| other.destination == destination) {
        return Some(format!("a second route to {destination}"));
    }
    ports.iter().find_map(|port| {
        let gateway = match destination.address() {
            IpAddr::V4(_) => port.gateway.is_some(),
            IpAddr::V6(_) => port.gateway_ipv6.is_some(),
        };
        if gateway && destination.length() == 0 {
            Some(format!("port {} has the default route already", port.name))
        } else if port.addresses.iter().any(|own| own.network() == destination) {
            Some(format!("{destination} is the network of port {} already", port.name))
        } else {
            None
        }
    })
}

/// The next hop; `None` if it cannot be told.
fn hop(
    raw: &raw::Route,
    offset: usize,
    known: &KnownPorts,
    report: &mut Report,
) -> Option<RouteHop> {
    let named = match &raw.port {
        Some(name) => Some(interface_named(name, "route.port", known, report)?),
        None => None,
    };
    let Some(via) = &raw.via else {
        if named.is_none() {
            let allowed = "via = \"ROUTER\", or port = \"NAME\" for a network on the link";
            report.fault_allowed(offset, "route", "neither via nor port is given", allowed);
        }
        return named.map(|interface| RouteHop::OnLink { interface });
    };
    let router = report.text_at(via, "route.via", "an address", ip)?;
    // A port given beside the router chooses among links, which link-local routers need.
    let candidates = known.ports.iter().enumerate().map(|(at, port)| (interface_id(at), port));
    let on_link: Vec<_> = candidates
        .filter(|(id, port)| named.is_none_or(|named| named == *id) && port.is_on_link(router))
        .collect();
    let problem = match on_link.as_slice() {
        [] => format!("{router} is in no network of a port"),
        [(interface, config)] => match unfit_neighbour(router, config) {
            Some(problem) => problem,
            None => return Some(RouteHop::Via { interface: *interface, router }),
        },
        _ => format!("{router} is on the links of several ports; name one with port"),
    };
    if known.sound {
        report.fault(via.span().start, "route.via", problem);
    }
    None
}
