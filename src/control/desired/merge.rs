//! Changes of a reload, and differences between the configuration file and the running table.
//!
//! A reload compares attribute by attribute. Where the file has changed, the running table gets the new value; other
//! attributes keep their running values, even if these differ from the file. Overlays are not attributes, so a reload
//! does not change them.

use super::Desired;
use crate::api::Command;
use crate::config::{ServiceChange, ServiceConfig};
use crate::model::{DestinationAddress, DestinationSpec, ServiceSpec, Sysctls, Timeouts};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The new value if the file changed it, otherwise the running one.
fn pick<T: Clone + PartialEq>(old: Option<&T>, new: &T, running: &T) -> T {
    if old == Some(new) { running.clone() } else { new.clone() }
}

fn merged_service(
    old: Option<&ServiceSpec>,
    new: &ServiceSpec,
    running: &ServiceSpec,
) -> ServiceSpec {
    // Flags belong to a scheduler.
    let scheduling = |spec: &ServiceSpec| (spec.scheduler, spec.scheduler_flags);
    let (scheduler, scheduler_flags) =
        pick(old.map(scheduling).as_ref(), &scheduling(new), &scheduling(running));
    ServiceSpec {
        key: new.key,
        scheduler,
        scheduler_flags,
        one_packet: pick(old.map(|old| &old.one_packet), &new.one_packet, &running.one_packet),
        persistence: pick(old.map(|old| &old.persistence), &new.persistence, &running.persistence),
        persistence_engine: pick(
            old.map(|old| &old.persistence_engine),
            &new.persistence_engine,
            &running.persistence_engine,
        ),
    }
}

fn merged_destination(
    old: Option<&DestinationSpec>,
    new: &DestinationSpec,
    running: &DestinationSpec,
) -> DestinationSpec {
    let thresholds = |spec: &DestinationSpec| (spec.upper_threshold, spec.lower_threshold);
    let (upper_threshold, lower_threshold) =
        pick(old.map(thresholds).as_ref(), &thresholds(new), &thresholds(running));
    let forwarding = |spec: &DestinationSpec| (spec.method, spec.tunnel);
    let (method, tunnel) =
        pick(old.map(forwarding).as_ref(), &forwarding(new), &forwarding(running));
    DestinationSpec {
        at: new.at,
        method,
        weight: pick(old.map(|old| &old.weight), &new.weight, &running.weight),
        upper_threshold,
        lower_threshold,
        tunnel,
    }
}

impl Desired {
    /// The commands for the running table after a change of the file. A service that no longer exists is added again as
    /// a whole, and so is a destination.
    pub fn follow(&self, change: &ServiceChange) -> Vec<Command> {
        let ServiceChange { old, new } = change;
        let key = new.spec.key;
        let Some((id, running)) = self.service(&key) else { return new.commands().collect() };
        let mut commands = Vec::new();
        let merged = merged_service(old.as_ref().map(|old| &old.spec), &new.spec, running);
        if merged != *running {
            commands.push(Command::EditService(merged));
        }
        let before: HashMap<DestinationAddress, &DestinationSpec> =
            old.iter().flat_map(|old| &old.destinations).map(|spec| (spec.at, spec)).collect();
        let running: HashMap<DestinationAddress, &DestinationSpec> =
            self.destinations(id).map(|(_, spec)| (spec.at, spec)).collect();
        for &destination in &new.destinations {
            let before = before.get(&destination.at).copied();
            if before == Some(&destination) {
                continue;
            }
            match running.get(&destination.at) {
                None => commands.push(Command::AddDestination { service: key, destination }),
                Some(running) => {
                    let merged = merged_destination(before, &destination, running);
                    if merged != **running {
                        let destination = merged;
                        commands.push(Command::EditDestination { service: key, destination });
                    }
                }
            }
        }
        commands
    }

    /// Differences between the running service and the file, one line each.
    pub fn drift(&self, file: &ServiceConfig) -> Vec<String> {
        let key = file.spec.key;
        let Some((id, running)) = self.service(&key) else {
            return vec![format!("{key}: the file has this service, the running table does not")];
        };
        let mut lines = Vec::new();
        push_differences(&mut lines, &key, attributes(running), attributes(&file.spec));
        let named: HashMap<_, _> = file.destinations.iter().map(|spec| (spec.at, spec)).collect();
        let mut found = HashSet::new();
        for (_, running) in self.destinations(id) {
            found.insert(running.at);
            let at = format!("{} of {key}", running.at);
            let Some(file) = named.get(&running.at) else {
                lines.push(format!("{at}: the running table has it, the file does not"));
                continue;
            };
            let (running, file) = (destination_attributes(running), destination_attributes(file));
            push_differences(&mut lines, &at, running, file);
        }
        for missing in file.destinations.iter().filter(|spec| !found.contains(&spec.at)) {
            let at = missing.at;
            lines.push(format!("{at} of {key}: the file has it, the running table does not"));
        }
        lines
    }

    /// Differences between the running timeouts and settings and the file's, one line each. A table of the file that has
    /// only defaults leaves its values to ipvsadm and directorctl.
    pub fn drift_of_settings(&self, timeouts: &Timeouts, sysctls: &Sysctls) -> Vec<String> {
        let mut lines = Vec::new();
        if *timeouts != Timeouts::default() {
            let (running, file) =
                (timeout_attributes(&self.timeouts()), timeout_attributes(timeouts));
            push_differences(&mut lines, &"timeouts", running, file);
        }
        if *sysctls != Sysctls::default() {
            let (running, file) = (without_measures(*self.sysctls()), without_measures(*sysctls));
            let differing =
                running.iter().zip(file.iter()).filter(|(one, other)| one.value != other.value);
            lines.extend(differing.map(|(running, file)| {
                let name = running.name;
                let [running, file] =
                    [running.value, file.value].map(|text| text.replace('\t', " "));
                format!("sysctl: {name} is {running}, the file says {file}")
            }));
        }
        lines
    }
}

/// The modes 1 and 2 of the defence are one setting: the director changes between them.
fn without_measures(mut sysctls: Sysctls) -> Sysctls {
    for mode in [&mut sysctls.drop_entry, &mut sysctls.drop_packet, &mut sysctls.secure_tcp] {
        if *mode == 2 {
            *mode = 1;
        }
    }
    sysctls
}

fn timeout_attributes(timeouts: &Timeouts) -> [Attribute; 3] {
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    [("tcp", tcp), ("tcpfin", tcp_fin), ("udp", udp)]
        .map(|(name, value)| (name, format!("{value} s")))
}

type Attribute = (&'static str, String);

fn push_differences<const COUNT: usize>(
    lines: &mut Vec<String>,
    what: &dyn fmt::Display,
    running: [Attribute; COUNT],
    file: [Attribute; COUNT],
) {
    for ((name, running), (_, file)) in running.into_iter().zip(file) {
        if running != file {
            lines.push(format!("{what}: {name} is {running}, the file says {file}"));
        }
    }
}

/// The attributes of a service by name, as text.
fn attributes(spec: &ServiceSpec) -> [Attribute; 5] {
    let persistence = match &spec.persistence {
        Some(persistence) => format!("{} s, {:?}", persistence.timeout_s, persistence.mask),
        None => "off".to_owned(),
    };
    let engine = spec.persistence_engine.clone().unwrap_or_else(|| "off".to_owned());
    [
        ("scheduler", spec.scheduler.to_string()),
        ("flags", format!("{:#x}", spec.scheduler_flags.bits())),
        ("one-packet scheduling", on(spec.one_packet)),
        ("persistence", persistence),
        ("persistence engine", engine),
    ]
}

fn destination_attributes(spec: &DestinationSpec) -> [Attribute; 5] {
    [
        ("forwarding method", spec.method.name().to_owned()),
        ("weight", spec.weight.to_string()),
        ("upper threshold", spec.upper_threshold.to_string()),
        ("lower threshold", spec.lower_threshold.to_string()),
        ("tunnel", format!("{:?}", spec.tunnel)),
    ]
}

fn on(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}
