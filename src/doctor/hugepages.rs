//! Memory for packet buffers and tables.

use super::{Findings, Machine};
use crate::config::Config;

const SIZES: [(&str, u64); 2] = [("hugepages-2048kB", 2), ("hugepages-1048576kB", 1024)];

pub(super) fn look(config: &Config, machine: &Machine, findings: &mut Findings) {
    if config.dpdk.no_huge {
        return;
    }
    let free = |(folder, megabytes): (&str, u64)| {
        let path = format!("sys/kernel/mm/hugepages/{folder}/free_hugepages");
        machine.read(&path).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * megabytes
    };
    let free: u64 = SIZES.into_iter().map(free).sum();
    let wanted = config.dpdk.memory_mb.map_or(0, u64::from);
    if free == 0 {
        findings.error(
            "no free hugepages",
            format!(
                "director-host-setup hugepages {}, or dpdk.no_huge = true for a trial",
                wanted.max(2048)
            ),
        );
    } else if free < wanted {
        findings.error(
            format!("{free} MB of hugepages are free, dpdk.memory_mb is {wanted}"),
            format!("director-host-setup hugepages {wanted}"),
        );
    }
}
