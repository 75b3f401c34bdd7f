//! Which cores workers and the control thread get, and what is wrong with that choice.

use director::config::DpdkConfig;
use std::collections::BTreeSet;
use std::fs;

/// The cores of one director.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// By worker.
    pub(crate) workers: Vec<usize>,
    /// The control thread's and its helpers'. Empty: whatever is left.
    pub(crate) control: Vec<usize>,
    pub(crate) warnings: Vec<String>,
}

impl Cores {
    /// The configured cores, or a choice among the allowed ones: control on the first, workers on the others in
    /// order, sharing only when there are too few.
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
                // The control thread's core last, as it has work of its own.
                free.sort_by_key(|core| Some(*core) == first);
            }
            free.iter().copied().cycle().take(config.workers).collect()
        } else {
            config.cores.iter().map(|&core| usize::from(core)).collect()
        };
        let warnings = warnings(&workers, control, isolated);
        Cores { workers, control: control.into_iter().collect(), warnings }
    }

    /// The worker has a core that nothing else is scheduled on, and may spin on it without a thought.
    pub(crate) fn is_exclusive(&self, worker: usize) -> bool {
        let core = self.workers[worker];
        isolated().contains(&core)
            && self.workers.iter().filter(|other| **other == core).count() == 1
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

/// Cores the kernel schedules nothing on by itself (`isolcpus`).
fn isolated() -> BTreeSet<usize> {
    fs::read_to_string("/sys/devices/system/cpu/isolated")
        .map(|text| parse(&text))
        .unwrap_or_default()
}

/// A CPU list as the kernel writes it: `2-5,8`.
fn parse(list: &str) -> BTreeSet<usize> {
    list.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
        })
        .flatten()
        .collect()
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
        let cores = Cores::among(&config(2, &[1, 1], Some(1)), &[0, 1], &BTreeSet::new());
        assert_eq!(cores.warnings.len(), 3, "{:?}", cores.warnings);
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(parse("2-4,8\n"), BTreeSet::from([2, 3, 4, 8]));
        assert_eq!(parse("\n"), BTreeSet::new());
    }
}
