//! The cores of the workers: they exist, are isolated, and are whole cores.

use super::{Findings, Machine};
use crate::config::Config;
use crate::model::cpu_list;
use std::collections::BTreeSet;

pub(super) fn look(config: &Config, machine: &Machine, findings: &mut Findings) {
    let workers: BTreeSet<usize> =
        config.dpdk.cores.iter().map(|core| usize::from(*core)).collect();
    let mut all = workers.iter().copied().chain(config.dpdk.control_core.map(usize::from));
    let is_missing = |core: &usize| !machine.has(&format!("sys/devices/system/cpu/cpu{core}"));
    if let Some(core) = all.find(is_missing) {
        findings.error(format!("there is no core {core}"), "lscpu -e lists the cores");
        return;
    }
    let isolated = cpu_list(&machine.read("sys/devices/system/cpu/isolated").unwrap_or_default());
    let open: Vec<String> = workers.difference(&isolated).map(usize::to_string).collect();
    if !open.is_empty() {
        let cores: Vec<String> = workers.iter().map(usize::to_string).collect();
        findings.warn(
            format!("the kernel schedules other programs on core {}", open.join(", ")),
            format!("boot with what `director-host-setup cmdline {}` prints", cores.join(",")),
        );
    }
    for core in &workers {
        let path = format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let siblings = cpu_list(&machine.read(&path).unwrap_or_default());
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
