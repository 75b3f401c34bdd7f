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
    /// Services and destinations: deletions, then edits, then additions. Services that neither
    /// file names are not touched. A command may be refused if ipvsadm has been there first; the
    /// others still hold.
    pub commands: Vec<Command>,
    /// Addresses and gateways changed; nothing else of a port can.
    pub ports: Option<Vec<PortConfig>>,
    pub vips: Option<Vec<Prefix>>,
    pub neighbours: Option<Vec<NeighbourConfig>>,
    pub routes: Option<Vec<RouteConfig>>,
    pub marks: Option<Vec<MarkRule>>,
    pub timeouts: Option<Timeouts>,
    pub mss_clamp: Option<MssClamp>,
    /// Settings for [`Sysctls::set`] whose value in the file changed. One that the new file leaves
    /// out gets its default.
    pub sysctls: Vec<(&'static str, String)>,
    pub unserved: Option<Unserved>,
    pub log: Option<LevelFilter>,
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
            commands: commands(&self.services, &new.services),
            ports: changed(&self.ports, &new.ports),
            vips: changed(&self.vips, &new.vips),
            neighbours: changed(&self.neighbours, &new.neighbours),
            routes: changed(&self.routes, &new.routes),
            marks: changed(&self.marks, &new.marks),
            timeouts: changed(&self.timeouts, &new.timeouts),
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

/// The commands that lead from the old services to the new ones, deletions first so that a full
/// table has room for what comes, each kind in the file's order.
pub(super) fn commands(old: &[ServiceConfig], new: &[ServiceConfig]) -> Vec<Command> {
    let old_by_key: HashMap<ServiceKey, &ServiceConfig> =
        old.iter().map(|service| (service.spec.key, service)).collect();
    let new_keys: HashSet<ServiceKey> = new.iter().map(|service| service.spec.key).collect();
    let mut deletions = Vec::new();
    let mut edits = Vec::new();
    let mut additions = Vec::new();
    for service in old.iter().filter(|service| !new_keys.contains(&service.spec.key)) {
        deletions.push(Command::DeleteService(service.spec.key));
    }
    for service in new {
        let key = service.spec.key;
        let before = match old_by_key.get(&key) {
            Some(before) => {
                if before.spec != service.spec {
                    edits.push(Command::EditService(service.spec.clone()));
                }
                before.destinations.as_slice()
            }
            None => {
                additions.push(Command::AddService(service.spec.clone()));
                &[]
            }
        };
        let kept: HashSet<_> =
            service.destinations.iter().map(|destination| destination.at).collect();
        for gone in before.iter().filter(|destination| !kept.contains(&destination.at)) {
            deletions.push(Command::DeleteDestination { service: key, at: gone.at });
        }
        let before: HashMap<_, _> = before.iter().map(|known| (known.at, known)).collect();
        for &destination in &service.destinations {
            match before.get(&destination.at) {
                None => additions.push(Command::AddDestination { service: key, destination }),
                Some(known) if **known != destination => {
                    edits.push(Command::EditDestination { service: key, destination });
                }
                Some(_) => {}
            }
        }
    }
    deletions.append(&mut edits);
    deletions.append(&mut additions);
    deletions
}
