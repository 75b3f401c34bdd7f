//! `[[route]]`: where packets to a network go.

use super::document::{Document, Section};
use super::known::{Known, MTU_MIN, MTU_MIN_IPV6, NETWORK_FORM, interface_id, ip};
use super::port::{PortConfig, interface_named, ports, unfit_neighbour};
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange};
use crate::model::{InterfaceId, Prefix};
use serde::Deserialize;
use std::net::IpAddr;
use toml::Spanned;

/// Where packets to a network go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    pub destination: Prefix,
    pub hop: RouteHop,
    /// Smaller than the port's; `None`: the port's.
    pub mtu: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteHop {
    /// To this router, through the port whose network it is in.
    Via { interface: InterfaceId, router: IpAddr },
    /// The network is on this port's link.
    OnLink { interface: InterfaceId },
}

/// `[[route]]`.
pub struct Route;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    destination: Spanned<String>,
    via: Field<String>,
    port: Field<String>,
    mtu: Field<i64>,
}

impl ConfigTable for Route {
    const NAME: &'static str = "route";
    type Raw = Vec<Section<Raw>>;
    type Checked = Vec<RouteConfig>;
    type Update = Vec<RouteConfig>;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Self::Raw {
        document.several(Self::NAME, report)
    }

    fn check(sections: Self::Raw, known: &mut Known, report: &mut Report<'_>) -> Vec<RouteConfig> {
        let mut routes: Vec<RouteConfig> = Vec::new();
        for Section { raw, offset } in sections {
            let parse = str::parse::<Prefix>;
            let destination =
                report.text_at(&raw.destination, "route.destination", NETWORK_FORM, parse);
            let hop = hop(&raw, offset, known, report);
            let (Some(destination), Some(hop)) = (destination, hop) else { continue };
            let at = raw.destination.span().start;
            if let Some(problem) = taken(destination, &routes, ports(known)) {
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
            let mtu_max = ports(known)[interface.index()].mtu;
            let mtu = report.number(&raw.mtu, "route.mtu", mtu_min..=mtu_max);
            routes.push(RouteConfig { destination, hop, mtu });
        }
        known.keep(routes.clone());
        routes
    }

    fn changed(old: &Vec<RouteConfig>, new: &Vec<RouteConfig>) -> ReloadChange<Self::Update> {
        ReloadChange::live(old, new)
    }
}

/// A sentence about the route or port that leads to this network already.
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

/// The next hop; `None` if it is at fault.
fn hop(raw: &Raw, offset: usize, known: &Known, report: &mut Report) -> Option<RouteHop> {
    let named = match &raw.port {
        Some(name) => Some(interface_named(known, name, "route.port", report)?),
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
    // With a port, the router is on that port's link. A link-local router needs the port.
    let candidates = ports(known).iter().enumerate().map(|(at, port)| (interface_id(at), port));
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
    if known.are_ports_sound {
        report.fault(via.span().start, "route.via", problem);
    }
    None
}
