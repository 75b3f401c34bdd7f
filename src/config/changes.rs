//! What a second reading of the file changes while the director runs.

use super::fault::{Fault, Faults};
use super::settings::{NeighbourConfig, PortConfig, RouteConfig, ServiceConfig};
use super::{Config, DpdkConfig, Tables};
use crate::api::Command;
use crate::model::Unserved;
use crate::model::{MarkRule, MssClamp, Prefix, ServiceKey, Sysctls, Timeouts};
use log::LevelFilter;
use std::collections::{HashMap, HashSet};

/// The difference between two files, ready to be applied. `None`: the file says what it said, so
/// what was set meanwhile by ipvsadm or directorctl stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reload {
    /// Services and destinations that the new file no longer has. To be carried out first, so that
    /// a full table has room for others. They may be gone already.
    pub deletions: Vec<Command>,
    /// Services that the new file adds, or says something else of, in the file's order. Services that neither file
    /// names, and those that both describe alike, are not touched.
    pub services: Vec<ServiceChange>,
    /// Addresses and gateways changed; nothing else of a port can.
    pub ports: Option<Vec<PortConfig>>,
    pub vips: Option<Vec<Prefix>>,
    pub neighbours: Option<Vec<NeighbourConfig>>,
    pub routes: Option<Vec<RouteConfig>>,
    pub marks: Option<Vec<MarkRule>>,
    /// Those that changed; the others are 0, which keeps the running ones.
    pub timeouts: Option<Timeouts>,
    pub mss_clamp: Option<MssClamp>,
    /// Settings for [`Sysctls::set`] whose value in the file changed. One that the new file leaves
    /// out gets its default.
    pub sysctls: Vec<(&'static str, String)>,
    pub unserved: Option<Unserved>,
    pub log: Option<LevelFilter>,
}

/// A service that the file describes anew. What became of the running service since the first
/// reading is not known here: see `Desired::follow`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceChange {
    /// As the file described it before; `None`: it did not.
    pub old: Option<ServiceConfig>,
    pub new: ServiceConfig,
}

impl Reload {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Reload::default()
    }
}

impl Config {
    /// What to change in a director that runs `self` so that it runs `new`.
    ///
    /// # Errors
    /// The keys that changed but are read at start only; then nothing may be applied.
    pub fn changes(&self, new: &Config) -> Result<Reload, Faults> {
        let keys = fixed_keys(self, new);
        let problem = "it changed, and is read at start only; restart directord or undo the change";
        let faults = keys.into_iter().map(|key| Fault {
            file: new.file.clone(),
            line: None,
            key,
            problem: problem.to_owned(),
            allowed: None,
        });
        if let Some(faults) = Faults::of(faults.collect()) {
            return Err(faults);
        }
        Ok(Reload {
            deletions: deletions(&self.services, &new.services),
            services: changed_services(&self.services, &new.services),
            ports: changed(&self.ports, &new.ports),
            vips: changed(&self.vips, &new.vips),
            neighbours: changed(&self.neighbours, &new.neighbours),
            routes: changed(&self.routes, &new.routes),
            marks: changed(&self.marks, &new.marks),
            timeouts: changed_timeouts(&self.timeouts, &new.timeouts),
            mss_clamp: changed(&self.mss_clamp, &new.mss_clamp),
            sysctls: changed_sysctls(&self.sysctls, &new.sysctls),
            unserved: changed(&self.unserved, &new.unserved),
            log: changed(&self.log, &new.log),
        })
    }
}

fn changed<T: PartialEq + Clone>(old: &T, new: &T) -> Option<T> {
    (old != new).then(|| new.clone())
}

fn changed_sysctls(old: &Sysctls, new: &Sysctls) -> Vec<(&'static str, String)> {
    let pairs = old.iter().zip(new.iter());
    pairs
        .filter(|(old, new)| old.value != new.value)
        .map(|(_, new)| (new.name, new.value))
        .collect()
}

/// The keys that differ and cannot change while the director runs.
fn fixed_keys(old: &Config, new: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    let mut compare = |key: &str, same: bool| {
        if !same {
            keys.push(key.to_owned());
        }
    };
    compare("director.socket", old.socket == new.socket);
    compare_dpdk(&old.dpdk, &new.dpdk, &mut compare);
    compare_tables(&old.tables, &new.tables, &mut compare);
    let names = |config: &Config| -> Vec<String> {
        config.ports.iter().map(|port| port.name.clone()).collect()
    };
    if names(old) != names(new) {
        compare("port.name", false);
        return keys;
    }
    for (old, new) in old.ports.iter().zip(&new.ports) {
        let of_port = |key: &str| format!("port.{key} of {}", new.name);
        compare(&of_port("device"), old.device == new.device);
        compare(&of_port("mtu"), old.mtu == new.mtu);
        compare(&of_port("promiscuous"), old.promiscuous == new.promiscuous);
        compare(&of_port("side"), old.side == new.side);
        compare(&of_port("rx_descriptors"), old.rx_descriptors == new.rx_descriptors);
        compare(&of_port("tx_descriptors"), old.tx_descriptors == new.tx_descriptors);
    }
    keys
}

/// Field by field, without `..`, so that a new field is not forgotten here.
fn compare_dpdk(old: &DpdkConfig, new: &DpdkConfig, compare: &mut impl FnMut(&str, bool)) {
    let DpdkConfig {
        workers,
        cores,
        control_core,
        no_huge,
        memory_mb,
        vdevs,
        arguments,
        file_prefix,
        mbufs,
    } = old;
    compare("dpdk.workers", *workers == new.workers);
    compare("dpdk.cores", *cores == new.cores);
    compare("dpdk.control_core", *control_core == new.control_core);
    compare("dpdk.no_huge", *no_huge == new.no_huge);
    compare("dpdk.memory_mb", *memory_mb == new.memory_mb);
    compare("dpdk.vdevs", *vdevs == new.vdevs);
    compare("dpdk.arguments", *arguments == new.arguments);
    compare("dpdk.file_prefix", *file_prefix == new.file_prefix);
    compare("dpdk.mbufs", *mbufs == new.mbufs);
}

fn compare_tables(old: &Tables, new: &Tables, compare: &mut impl FnMut(&str, bool)) {
    let Tables { connections, connections_ipv6, services, destinations, templates } = *old;
    compare("tables.connections", connections == new.connections);
    compare("tables.connections_ipv6", connections_ipv6 == new.connections_ipv6);
    compare("tables.services", services == new.services);
    compare("tables.destinations", destinations == new.destinations);
    compare("tables.templates", templates == new.templates);
}

fn changed_timeouts(old: &Timeouts, new: &Timeouts) -> Option<Timeouts> {
    let changed = |old: u32, new: u32| if old == new { 0 } else { new };
    (old != new).then(|| Timeouts {
        tcp: changed(old.tcp, new.tcp),
        tcp_fin: changed(old.tcp_fin, new.tcp_fin),
        udp: changed(old.udp, new.udp),
    })
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

fn changed_services(old: &[ServiceConfig], new: &[ServiceConfig]) -> Vec<ServiceChange> {
    let old = by_key(old);
    new.iter()
        .map(|new| (old.get(&new.spec.key).copied(), new))
        .filter(|(old, new)| *old != Some(*new))
        .map(|(old, new)| ServiceChange { old: old.cloned(), new: new.clone() })
        .collect()
}

/// The commands that make these services.
pub(super) fn additions(services: &[ServiceConfig]) -> Vec<Command> {
    let commands = services.iter().flat_map(ServiceConfig::commands);
    commands.collect()
}
