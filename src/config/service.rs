//! `[[service]]`: virtual services, by IPVS's rules.

use super::addresses::Places;
use super::destination::{self, destinations};
use super::document::{Document, Scalar, Section};
use super::known::{Known, PROTOCOLS};
use super::neighbour::NeighbourConfig;
use super::port::ports;
use super::report::{Field, Report};
use super::route::RouteConfig;
use super::table::{ConfigTable, ReloadChange};
use super::tables::Tables;
use crate::api::Command;
use crate::model::{
    DestinationSpec, Endpoint, Family, Persistence, PersistenceMask, Protocol, SchedulerFlags,
    SchedulerKind, ServiceKey, ServiceSpec, Timeouts, is_reserved,
};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use toml::Spanned;

/// A service and its destinations, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    pub spec: ServiceSpec,
    pub destinations: Vec<DestinationSpec>,
}

impl ServiceConfig {
    /// The commands that make it.
    pub fn commands(&self) -> impl Iterator<Item = Command> {
        let service = self.spec.key;
        let destinations = self.destinations.iter();
        std::iter::once(Command::AddService(self.spec.clone())).chain(
            destinations.map(move |&destination| Command::AddDestination { service, destination }),
        )
    }
}

/// What a second reading changes. Services that neither file names, and those that both describe alike, are not touched.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicesUpdate {
    /// Services and destinations that the new file no longer has. They are to be carried out first, so that a full table
    /// has room for others. They may be gone already.
    pub deletions: Vec<Command>,
    /// Services that the new file adds or describes differently, in the file's order.
    pub changes: Vec<ServiceChange>,
}

/// A service that the new file describes differently. The running service may differ from both files;
/// `src/control/desired/merge.rs` decides what happens then.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceChange {
    /// As the old file describes it; `None` if it does not.
    pub old: Option<ServiceConfig>,
    pub new: ServiceConfig,
}

/// `[[service]]`.
pub struct Service;

/// Without its destinations, which are tables of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    protocol: Field<String>,
    address: Field<String>,
    fwmark: Field<i64>,
    family: Field<String>,
    scheduler: Field<String>,
    #[serde(default)]
    scheduler_flags: Vec<Spanned<String>>,
    persistence: Field<i64>,
    netmask: Field<Scalar>,
    one_packet: Field<bool>,
    persistence_engine: Field<String>,
}

impl ConfigTable for Service {
    const NAME: &'static str = "service";
    type Raw = Vec<(Section<Raw>, Vec<Section<destination::Raw>>)>;
    type Checked = Vec<ServiceConfig>;
    type Update = ServicesUpdate;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Self::Raw {
        document.nested(Self::NAME, "destination", report)
    }

    fn check(
        sections: Self::Raw,
        known: &mut Known,
        report: &mut Report<'_>,
    ) -> Vec<ServiceConfig> {
        let mut places: Places = known.take().unwrap_or_default();
        let mut seen = HashMap::new();
        let mut services = Vec::new();
        for (Section { raw, offset }, raw_destinations) in sections {
            raw.address.iter().for_each(|text| places.add_service(text));
            raw_destinations.iter().for_each(|one| places.add_server(&one.raw.address));
            let spec = service(&raw, offset, report);
            if let Some(key) = spec.as_ref().map(|spec| spec.key)
                && let Some(first) = seen.insert(key, report.line(offset))
            {
                let problem = format!("{key} is defined in line {first} already");
                report.fault(offset, "service", problem);
            }
            let destinations = destinations(raw_destinations, spec.as_ref(), known, report);
            services.extend(spec.map(|spec| ServiceConfig { spec, destinations }));
        }
        if let Some(tables) = known.find().filter(|_| known.is_process_sound) {
            fit(&services, tables, report);
        }
        if report.count() == 0 {
            let routes = known.find::<Vec<RouteConfig>>().map_or(&[][..], Vec::as_slice);
            let neighbours = known.find::<Vec<NeighbourConfig>>().map_or(&[][..], Vec::as_slice);
            places.check(ports(known), routes, neighbours, report);
        }
        services
    }

    fn changed(old: &Vec<ServiceConfig>, new: &Vec<ServiceConfig>) -> ReloadChange<ServicesUpdate> {
        if old == new {
            return ReloadChange::None;
        }
        ReloadChange::Live(ServicesUpdate {
            deletions: deletions(old, new),
            changes: changes(old, new),
        })
    }
}

/// Checks that the tables hold what the file defines.
fn fit(services: &[ServiceConfig], tables: &Tables, report: &mut Report) {
    let destinations = services.iter().map(|service| service.destinations.len()).sum();
    for (key, size, count) in [
        ("services", tables.services, services.len()),
        ("destinations", tables.destinations, destinations),
    ] {
        if size < count {
            let problem = format!("{size} is less than the {count} {key} of this file");
            report.fault_of_file(&format!("tables.{key}"), problem);
        }
    }
}

fn by_key(services: &[ServiceConfig]) -> HashMap<ServiceKey, &ServiceConfig> {
    services.iter().map(|service| (service.spec.key, service)).collect()
}

/// Services that are no longer in the file, and destinations of those that are.
fn deletions(old: &[ServiceConfig], new: &[ServiceConfig]) -> Vec<Command> {
    let new = by_key(new);
    let mut deletions = Vec::new();
    for service in old {
        let key = service.spec.key;
        let Some(kept) = new.get(&key) else {
            deletions.push(Command::DeleteService(key));
            continue;
        };
        let kept: HashSet<_> = kept.destinations.iter().map(|destination| destination.at).collect();
        let gone =
            service.destinations.iter().filter(|destination| !kept.contains(&destination.at));
        deletions.extend(
            gone.map(|destination| Command::DeleteDestination { service: key, at: destination.at }),
        );
    }
    deletions
}

fn changes(old: &[ServiceConfig], new: &[ServiceConfig]) -> Vec<ServiceChange> {
    let old = by_key(old);
    new.iter()
        .map(|new| (old.get(&new.spec.key).copied(), new))
        .filter(|(old, new)| *old != Some(*new))
        .map(|(old, new)| ServiceChange { old: old.cloned(), new: new.clone() })
        .collect()
}

/// `None` if the service has no identity.
fn service(raw: &Raw, offset: usize, report: &mut Report) -> Option<ServiceSpec> {
    let key = key(raw, offset, report);
    let scheduler = report.text(
        &raw.scheduler,
        "service.scheduler",
        &SchedulerKind::ALL.map(SchedulerKind::name).join(", "),
        |name| name.parse().map_err(|_| format!("unknown scheduler `{}`", name.escape_debug())),
    );
    let scheduler = scheduler.unwrap_or(SchedulerKind::Wlc);
    let scheduler_flags = scheduler_flags(&raw.scheduler_flags, scheduler, report);
    let persistence = persistence(raw, key.map(|key| key.family()), report);
    let engine =
        report.word(&raw.persistence_engine, "service.persistence_engine", &[("sip", "sip")]);
    let spec = ServiceSpec {
        key: key?,
        scheduler,
        scheduler_flags,
        one_packet: raw.one_packet.as_ref().is_some_and(|field| *field.get_ref()),
        persistence,
        persistence_engine: engine.map(str::to_owned),
    };
    together(raw, &spec, report);
    Some(spec)
}

/// What identifies the service: protocol and address, or a firewall mark.
fn key(raw: &Raw, offset: usize, report: &mut Report) -> Option<ServiceKey> {
    let protocol = report.word(&raw.protocol, "service.protocol", &PROTOCOLS);
    let families = [("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)];
    let family = report.word(&raw.family, "service.family", &families);
    match (&raw.address, &raw.fwmark) {
        (Some(address), None) => {
            if let Some(family) = &raw.family {
                let problem = "it belongs to fwmark only; an address shows its family";
                report.fault(family.span().start, "service.family", problem);
            }
            if raw.protocol.is_none() {
                let problem = "protocol is missing";
                report.fault_allowed(offset, "service", problem, "tcp, udp, sctp");
            }
            virtual_address(address, protocol?, report)
        }
        (None, Some(mark)) => {
            if let Some(protocol) = &raw.protocol {
                let problem = "it goes with address only; a mark takes every protocol";
                report.fault(protocol.span().start, "service.protocol", problem);
            }
            let mark = report.number_at(mark, "service.fwmark", 1..=u32::MAX)?;
            Some(ServiceKey::Fwmark { mark, family: family.unwrap_or(Family::Ipv4) })
        }
        (Some(_), Some(mark)) => {
            let problem = "address and fwmark exclude each other";
            report.fault(mark.span().start, "service.fwmark", problem);
            None
        }
        (None, None) => {
            let allowed = "protocol with address = \"VIP:PORT\", or fwmark = NUMBER";
            report.fault_allowed(offset, "service", "neither address nor fwmark is given", allowed);
            None
        }
    }
}

fn virtual_address(
    text: &Spanned<String>,
    protocol: Protocol,
    report: &mut Report,
) -> Option<ServiceKey> {
    const FORM: &str = "VIP:PORT as 10.0.0.100:80 or [fd00::100]:80";
    let key = "service.address";
    let at = report.text_at(text, key, FORM, str::parse::<Endpoint>)?;
    let address = at.address;
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        report.fault_allowed(text.span().start, key, format!("{address} is not unicast"), FORM);
    } else if is_reserved(address) {
        report.fault_allowed(text.span().start, key, format!("{address} is reserved"), FORM);
    }
    let Some(port) = at.port else {
        report.fault_allowed(text.span().start, key, "the port is missing", FORM);
        return None;
    };
    Some(ServiceKey::Address { protocol, address, port })
}

fn scheduler_flags(
    raw: &[Spanned<String>],
    scheduler: SchedulerKind,
    report: &mut Report,
) -> SchedulerFlags {
    const KEY: &str = "service.scheduler_flags";
    const WORDS: [(&str, (SchedulerFlags, Option<SchedulerKind>)); 7] = [
        ("flag-1", (SchedulerFlags::FLAG_1, None)),
        ("flag-2", (SchedulerFlags::FLAG_2, None)),
        ("flag-3", (SchedulerFlags::FLAG_3, None)),
        ("sh-fallback", (SchedulerFlags::FLAG_1, Some(SchedulerKind::Sh))),
        ("sh-port", (SchedulerFlags::FLAG_2, Some(SchedulerKind::Sh))),
        ("mh-fallback", (SchedulerFlags::FLAG_1, Some(SchedulerKind::Mh))),
        ("mh-port", (SchedulerFlags::FLAG_2, Some(SchedulerKind::Mh))),
    ];
    let mut flags = SchedulerFlags::empty();
    for text in raw {
        let Some((flag, only)) = report.word_at(text, KEY, &WORDS) else { continue };
        if only.is_some_and(|only| only != scheduler) {
            let problem = format!("`{}` is not a flag of scheduler {scheduler}", text.get_ref());
            report.fault(text.span().start, KEY, problem);
        }
        flags |= flag;
    }
    flags
}

fn persistence(raw: &Raw, family: Option<Family>, report: &mut Report) -> Option<Persistence> {
    const KEY: &str = "service.netmask";
    let timeout_s = report.number(&raw.persistence, "service.persistence", 1..=Timeouts::MAX_S);
    if let (Some(netmask), None) = (&raw.netmask, &raw.persistence) {
        report.fault(netmask.span().start, KEY, "it needs persistence");
    }
    let family = family?;
    let mask = raw.netmask.as_ref().and_then(|netmask| {
        let offset = netmask.span().start;
        let problem = format!("`{}` is not a netmask", netmask.get_ref());
        match (family, netmask.get_ref()) {
            (Family::Ipv4, Scalar::Text(text)) => match text.parse() {
                Ok(mask) => return Some(PersistenceMask::Ipv4(mask)),
                Err(_) => report.fault_allowed(offset, KEY, problem, "a mask as \"255.255.255.0\""),
            },
            (Family::Ipv4, Scalar::Integer(_)) => {
                report.fault_allowed(offset, KEY, problem, "a mask as \"255.255.255.0\"");
            }
            (Family::Ipv6, Scalar::Integer(length)) => match u8::try_from(*length) {
                Ok(length @ 1..=128) => return Some(PersistenceMask::Ipv6(length)),
                _ => report.fault_allowed(offset, KEY, problem, "a prefix length, 1 to 128"),
            },
            (Family::Ipv6, Scalar::Text(_)) => {
                report.fault_allowed(offset, KEY, problem, "a prefix length, 1 to 128");
            }
        }
        None
    });
    let mask = mask.unwrap_or(PersistenceMask::full(family));
    timeout_s.map(|timeout_s| Persistence { timeout_s, mask })
}

/// Rules between the keys of one service.
fn together(raw: &Raw, spec: &ServiceSpec, report: &mut Report) {
    let protocol = match spec.key {
        ServiceKey::Address { protocol, .. } => Some(protocol),
        ServiceKey::Fwmark { .. } => None,
    };
    let is_udp = protocol.is_none_or(|protocol| protocol == Protocol::Udp);
    if let (ServiceKey::Address { port: 0, .. }, None) = (spec.key, &raw.persistence) {
        let offset = raw.address.as_ref().map_or(0, |field| field.span().start);
        let problem = "port 0, all ports, is for persistent services only";
        report.fault_allowed(offset, "service.address", problem, "1 to 65535, or persistence");
    }
    if let (Some(one_packet), true, false) = (&raw.one_packet, spec.one_packet, is_udp) {
        let problem = "one-packet scheduling is for UDP and firewall marks only";
        report.fault(one_packet.span().start, "service.one_packet", problem);
    }
    if let Some(engine) = &raw.persistence_engine {
        let offset = engine.span().start;
        if raw.persistence.is_none() {
            report.fault(offset, "service.persistence_engine", "it needs persistence");
        }
        if !is_udp {
            let problem = "the sip engine handles UDP only";
            report.fault(offset, "service.persistence_engine", problem);
        }
    }
}
