//! `[[service.destination]]`: a service's destinations, by IPVS's rules.

use super::document::Section;
use super::known::Known;
use super::port::is_broadcast;
use super::report::{Field, Report};
use crate::model::{
    DestinationAddress, DestinationSpec, Endpoint, Family, ForwardMethod, ServiceSpec, Tunnel,
    TunnelChecksum,
};
use serde::Deserialize;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub address: Spanned<String>,
    method: Field<String>,
    weight: Field<i64>,
    upper_threshold: Field<i64>,
    lower_threshold: Field<i64>,
    tunnel: Field<RawTunnel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTunnel {
    #[serde(rename = "type")]
    kind: Field<String>,
    port: Field<i64>,
    checksum: Field<String>,
}

const ADDRESS_FORM: &str = "RIP:PORT as 192.168.10.11:80 or [fd00::11]:80, or RIP alone";

/// The kernel keeps weights in a signed number.
const WEIGHT_MAX: u32 = i32::MAX as u32;

/// The destinations of one service, in order. If the service is faulty, each destination is checked alone.
pub(super) fn destinations(
    sections: Vec<Section<Raw>>,
    service: Option<&ServiceSpec>,
    known: &Known,
    report: &mut Report,
) -> Vec<DestinationSpec> {
    let mut destinations = Vec::new();
    let mut seen = HashSet::new();
    for Section { raw, .. } in sections {
        let Some(destination) = destination(&raw, service, known, report) else { continue };
        if !seen.insert(destination.at) {
            let problem = format!("a second destination {}", destination.at);
            report.fault(raw.address.span().start, "service.destination.address", problem);
        }
        destinations.push(destination);
    }
    destinations
}

/// `None` if the destination has no identity.
fn destination(
    raw: &Raw,
    service: Option<&ServiceSpec>,
    known: &Known,
    report: &mut Report,
) -> Option<DestinationSpec> {
    let methods = [
        ("route", ForwardMethod::Route),
        ("masq", ForwardMethod::Masq),
        ("tunnel", ForwardMethod::Tunnel),
    ];
    let method = report.word(&raw.method, "service.destination.method", &methods);
    let known_method = method.is_some() || raw.method.is_none();
    let method = method.unwrap_or(ForwardMethod::Route);
    let weight = report.number(&raw.weight, "service.destination.weight", 0..=WEIGHT_MAX);
    let (upper_threshold, lower_threshold) = thresholds(raw, report);
    let tunnel = match &raw.tunnel {
        Some(field) if !method.encapsulates() && known_method => {
            let problem = "it goes with method = \"tunnel\" only";
            report.fault(field.span().start, "service.destination.tunnel", problem);
            Tunnel::default()
        }
        Some(field) => tunnel(field, report),
        None => Tunnel::default(),
    };
    let key = "service.destination.address";
    let at = report.text_at(&raw.address, key, ADDRESS_FORM, str::parse::<Endpoint>)?;
    let offset = raw.address.span().start;
    if !is_unicast(at.address) || is_broadcast(known, at.address) {
        let problem = format!("{} is not a unicast address of a server", at.address);
        report.fault(offset, key, problem);
    }
    let service_port = service.map_or(0, |service| service.key.port());
    if let (Some(service), true) = (service, known_method)
        && let Some(problem) = misfit(service, method, at.address, at.port)
    {
        report.fault(offset, key, problem);
    }
    Some(DestinationSpec {
        at: DestinationAddress { address: at.address, port: at.port.unwrap_or(service_port) },
        method,
        weight: weight.unwrap_or(1),
        upper_threshold,
        lower_threshold,
        tunnel,
    })
}

/// Why the destination cannot belong to the service.
fn misfit(
    service: &ServiceSpec,
    method: ForwardMethod,
    address: IpAddr,
    port: Option<u16>,
) -> Option<String> {
    let family = service.key.family();
    if Family::of(address) != family && !method.encapsulates() {
        return Some(
            "a family other than the service's is for method = \"tunnel\" only".to_owned(),
        );
    }
    let service_port = service.key.port();
    if !method.maps_ports() && port.is_some_and(|port| port != service_port) {
        return Some(format!(
            "only masq changes the port; leave it out, or write the service's, {service_port}"
        ));
    }
    None
}

/// An address that a server can have: not zero, multicast, broadcast, and in IPv6 not link-local.
fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && v4 != Ipv4Addr::BROADCAST,
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unicast_link_local(),
    }
}

/// Upper and lower connection threshold.
fn thresholds(raw: &Raw, report: &mut Report) -> (u32, u32) {
    const LOWER: &str = "service.destination.lower_threshold";
    let any = 0..=u32::MAX;
    let upper =
        report.number(&raw.upper_threshold, "service.destination.upper_threshold", any.clone());
    let lower = report.number(&raw.lower_threshold, LOWER, any);
    let upper_known = upper.is_some() || raw.upper_threshold.is_none();
    let (upper, lower) = (upper.unwrap_or(0), lower.unwrap_or(0));
    if let (Some(field), true, true) = (&raw.lower_threshold, lower > upper, upper_known) {
        let problem = format!("{lower} is above upper_threshold, {upper}");
        report.fault(field.span().start, LOWER, problem);
    }
    (upper, lower)
}

fn tunnel(field: &Spanned<RawTunnel>, report: &mut Report) -> Tunnel {
    const CHECKSUM: &str = "service.destination.tunnel.checksum";
    const PORT: &str = "service.destination.tunnel.port";
    const TYPE: &str = "service.destination.tunnel.type";
    let raw = field.get_ref();
    let checksums = [
        ("none", TunnelChecksum::None),
        ("full", TunnelChecksum::Full),
        ("remote", TunnelChecksum::Remote),
    ];
    let checksum = report.word(&raw.checksum, CHECKSUM, &checksums).unwrap_or_default();
    let checksum_at = raw.checksum.as_ref().map_or(0, |field| field.span().start);
    let gue = Tunnel::Gue { port: 0, checksum };
    let types = [("ipip", Tunnel::Ipip), ("gue", gue), ("gre", Tunnel::Gre { checksum })];
    let Some(kind) = &raw.kind else {
        let allowed = "type = \"ipip\", \"gue\" or \"gre\"";
        report.fault_allowed(field.span().start, TYPE, "it is missing", allowed);
        return Tunnel::default();
    };
    let Some(kind) = report.word_at(kind, TYPE, &types) else { return Tunnel::default() };
    if let (Some(port), Tunnel::Ipip | Tunnel::Gre { .. }) = (&raw.port, kind) {
        report.fault(port.span().start, PORT, "it goes with type = \"gue\" only");
    }
    match kind {
        Tunnel::Ipip if checksum != TunnelChecksum::None => {
            report.fault(checksum_at, CHECKSUM, "an ipip tunnel has no checksum");
        }
        Tunnel::Gre { checksum: TunnelChecksum::Remote } => {
            report.fault_allowed(checksum_at, CHECKSUM, "remote is for gue only", "none, full");
        }
        Tunnel::Gue { .. } => {
            if raw.port.is_none() {
                let problem = "a gue tunnel needs a port";
                report.fault_allowed(field.span().start, PORT, problem, "1 to 65535");
            }
            let port = report.number(&raw.port, PORT, 1..=u16::MAX).unwrap_or_default();
            return Tunnel::Gue { port, checksum };
        }
        Tunnel::Ipip | Tunnel::Gre { .. } => {}
    }
    kind
}
