//! The cores of the workers: they exist, are isolated, and are whole cores.

use super::{Findings, Machine};
use crate::config::Config;
use std::collections::BTreeSet;

pub(super) fn look(config: &Config, machine: &Machine, findings: &mut Findings) {
    let workers: BTreeSet<u16> = config.dpdk.cores.iter().copied().collect();
    let mut all = workers.iter().copied().chain(config.dpdk.control_core);
    let is_missing = |core: &u16| !machine.has(&format!("sys/devices/system/cpu/cpu{core}"));
    if let Some(core) = all.find(is_missing) {
        findings.error(format!("there is no core {core}"), "lscpu -e lists the cores");
        return;
    }
    let isolated = list(&machine.read("sys/devices/system/cpu/isolated").unwrap_or_default());
    let open: Vec<String> = workers.difference(&isolated).map(u16::to_string).collect();
    if !open.is_empty() {
        let cores: Vec<String> = workers.iter().map(u16::to_string).collect();
        findings.warn(
            format!("the kernel schedules other programs on core {}", open.join(", ")),
            format!("boot with what `director-host-setup cmdline {}` prints", cores.join(",")),
        );
    }
    for core in &workers {
        let path = format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let siblings = list(&machine.read(&path).unwrap_or_default());
        for other in siblings.iter().filter(|other| *other > core && workers.contains(other)) {
            findings.warn(
                format!(
                    "cores {core} and {other} are threads of one core: each worker gets half of it"
                ),
                "give dpdk.cores one thread of each core: lscpu -e",
            );
        }
    }
}

/// A CPU list of the kernel, as `2-5,8`.
fn list(text: &str) -> BTreeSet<u16> {
    let parts = text.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
    });
    parts.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel() {
        assert_eq!(list("2-4,8\n"), BTreeSet::from([2, 3, 4, 8]));
        assert_eq!(list(""), BTreeSet::new());
    }
}
