//! The cores of workers and the control thread, and warnings about them.

use director::config::DpdkConfig;
use director::model::cpu_list;
use std::collections::BTreeSet;
use std::fs;

/// The cores of one director.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Indexed by worker.
    pub(crate) workers: Vec<usize>,
    /// For the control thread and its helpers. Empty: all other cores.
    pub(crate) control: Vec<usize>,
    pub(crate) warnings: Vec<String>,
}

impl Cores {
    /// The configured cores, or a choice of the allowed ones: control on the first, workers on the others in order,
    /// shared only if there are too few.
    pub(crate) fn choose(config: &DpdkConfig) -> Self {
        let allowed: Vec<usize> =
            core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
        Self::among(config, &allowed, &isolated())
    }

    fn among(config: &DpdkConfig, allowed: &[usize], isolated: &BTreeSet<usize>) -> Self {
        let control = config.control_core.map(usize::from);
        let workers: Vec<usize> = if config.cores.is_empty() {
            let first = control.or(allowed.first().copied());
            let mut free: Vec<usize> =
                allowed.iter().copied().filter(|core| Some(*core) != first).collect();
            if free.len() < config.workers {
                free = allowed.to_vec();
                // The control thread's core last, because it has other work.
                free.sort_by_key(|core| Some(*core) == first);
            }
            free.iter().copied().cycle().take(config.workers).collect()
        } else {
            config.cores.iter().map(|&core| usize::from(core)).collect()
        };
        let warnings = warnings(&workers, control, isolated);
        Cores { workers, control: control.into_iter().collect(), warnings }
    }

    /// True if nothing else is scheduled on the worker's core, so that it may poll without pause.
    pub(crate) fn is_exclusive(&self, worker: usize) -> bool {
        let core = self.workers[worker];
        isolated().contains(&core)
            && self.workers.iter().filter(|other| **other == core).count() == 1
    }

    /// Warns about workers (core, NUMA node) that poll ports (name, node) of another node. Machines with one node and
    /// devices in memory report none.
    pub(crate) fn warn_of_distance(
        &mut self,
        workers: &[(usize, u32)],
        ports: &[(&str, Option<u32>)],
    ) {
        for (core, node) in workers {
            for (port, socket) in ports {
                if let Some(socket) = socket.filter(|socket| socket != node) {
                    self.warnings.push(format!(
                        "core {core} is on NUMA node {node}, port {port} on node {socket}: every frame crosses between the NUMA nodes"
                    ));
                }
            }
        }
    }
}

fn warnings(workers: &[usize], control: Option<usize>, isolated: &BTreeSet<usize>) -> Vec<String> {
    let mut warnings = Vec::new();
    let distinct: BTreeSet<usize> = workers.iter().copied().collect();
    for &core in &distinct {
        let sharing = workers.iter().filter(|other| **other == core).count();
        if sharing > 1 {
            warnings.push(format!("{sharing} workers share core {core}: each gets a part of it"));
        }
        if control == Some(core) {
            warnings.push(format!("core {core} is a worker's and the control thread's"));
        }
    }
    let open: Vec<String> = distinct.difference(isolated).map(|core| core.to_string()).collect();
    if !open.is_empty() {
        warnings.push(format!(
            "not isolated: core {}; boot with isolcpus={} for steady latency",
            open.join(", "),
            open.join(",")
        ));
    }
    warnings
}

/// Cores that the kernel does not schedule on (`isolcpus`).
fn isolated() -> BTreeSet<usize> {
    fs::read_to_string("/sys/devices/system/cpu/isolated")
        .map(|text| cpu_list(&text))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(workers: usize, cores: &[u16], control_core: Option<u16>) -> DpdkConfig {
        let text = "[[port]]\nname = \"wan\"\ndevice = \"0000:01:00.0\"\n";
        let dpdk = director::config::Config::parse(text, "test").expect("a plain file").dpdk;
        DpdkConfig { workers, cores: cores.to_vec(), control_core, ..dpdk }
    }

    #[test]
    fn workers_leave_the_first_core_to_control_while_there_are_enough() {
        let none = BTreeSet::new();
        for (workers, allowed, expected) in [
            (1, &[0usize, 1][..], &[1usize][..]),
            (2, &[0, 1], &[1, 0]),
            (3, &[0, 1], &[1, 0, 1]),
            (1, &[3], &[3]),
        ] {
            let cores = Cores::among(&config(workers, &[], None), allowed, &none);
            assert_eq!(cores.workers, expected, "{workers} workers on {allowed:?}");
        }
        let cores = Cores::among(&config(2, &[4, 5], Some(0)), &[0, 4, 5], &BTreeSet::from([4, 5]));
        assert_eq!((cores.workers, cores.control), (vec![4, 5], vec![0]));
        assert!(cores.warnings.is_empty());
    }

    #[test]
    fn shared_and_open_cores_are_warned_of() {
        let shared = "2 workers share core 1: each gets a part of it";
        let controls = "core 1 is a worker's and the control thread's";
        let open = "not isolated: core 1; boot with isolcpus=1 for steady latency";
        let open_both = "not isolated: core 1, 2; boot with isolcpus=1,2 for steady latency";
        // (cores of workers, of control, isolated ones, warnings)
        for (workers, control, isolated, expected) in [
            (&[1, 1][..], Some(1), &[][..], &[shared, controls, open][..]),
            (&[1, 1], Some(0), &[1], &[shared]),
            (&[1, 2], Some(1), &[1, 2], &[controls]),
            (&[1, 2], Some(0), &[], &[open_both]),
            (&[1, 2], Some(0), &[2], &[open]),
            (&[1, 2], Some(0), &[1, 2], &[]),
        ] {
            let isolated = isolated.iter().copied().collect();
            let config = config(workers.len(), workers, control);
            let cores = Cores::among(&config, &[0, 1, 2], &isolated);
            assert_eq!(cores.warnings, expected, "{workers:?}, {control:?}, {isolated:?}");
        }
    }

    #[test]
    fn ports_on_another_node_are_warned_of() {
        let mut cores =
            Cores { workers: vec![2, 8], control: Vec::new(), warnings: vec!["first".to_owned()] };
        let ports = [("wan", Some(0)), ("lan", Some(1)), ("ring", None)];
        cores.warn_of_distance(&[(2, 0), (8, 1)], &ports);
        let expected = [
            "first",
            "core 2 is on NUMA node 0, port lan on node 1: every frame crosses between the NUMA nodes",
            "core 8 is on NUMA node 1, port wan on node 0: every frame crosses between the NUMA nodes",
        ];
        assert_eq!(cores.warnings, expected);
    }
}
