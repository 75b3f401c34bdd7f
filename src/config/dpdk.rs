//! `[dpdk]`: workers, cores, memory and devices.

use super::document::Document;
use super::known::{Known, is_word};
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange};
use crate::limits::WORKERS_MAX;
use crate::model::vdev_name;
use serde::Deserialize;
use std::convert::Infallible;
use toml::Spanned;

/// How DPDK is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpdkConfig {
    /// Number of workers, and of queue pairs of each port: 1 to [`WORKERS_MAX`].
    pub workers: usize,
    /// The core of each worker. Empty: the daemon chooses.
    pub cores: Vec<u16>,
    /// The core of the control thread; `None`: the daemon chooses.
    pub control_core: Option<u16>,
    /// Runs without hugepages.
    pub no_huge: bool,
    /// Megabytes that DPDK takes at start. `None`: it takes hugepages when it needs them; never `None` with `no_huge`.
    pub memory_mb: Option<u32>,
    /// Virtual devices, one `--vdev` each.
    pub vdevs: Vec<String>,
    /// Further arguments of DPDK's EAL.
    pub arguments: Vec<String>,
    /// Keeps the files of several directors on one host apart.
    pub file_prefix: String,
    /// Packet buffers per port and NUMA node; `None`: by queues and descriptors.
    pub mbufs: Option<u32>,
}

impl DpdkConfig {
    /// The argument in `vdevs` that makes this device.
    pub fn vdev(&self, device: &str) -> Option<&str> {
        self.vdevs.iter().map(String::as_str).find(|vdev| vdev_name(vdev) == device)
    }

    /// Default of `memory_mb` with `no_huge`.
    pub const NO_HUGE_MEMORY_MB: u32 = 512;
}

/// `[dpdk]`.
pub struct Dpdk;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    workers: Field<i64>,
    cores: Field<Vec<Spanned<i64>>>,
    control_core: Field<i64>,
    no_huge: Option<bool>,
    memory_mb: Field<i64>,
    #[serde(default)]
    vdevs: Vec<Spanned<String>>,
    #[serde(default)]
    arguments: Vec<Spanned<String>>,
    file_prefix: Field<String>,
    mbufs: Field<i64>,
}

impl ConfigTable for Dpdk {
    const NAME: &'static str = "dpdk";
    type Raw = Raw;
    type Checked = DpdkConfig;
    type Update = Infallible;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Raw {
        document.single(Self::NAME, report)
    }

    fn check(raw: Raw, known: &mut Known, report: &mut Report<'_>) -> DpdkConfig {
        let cores = cores(&raw, report);
        let workers = report.number(&raw.workers, "dpdk.workers", 1..=WORKERS_MAX);
        if let (Some(workers), Some(_)) = (&raw.workers, &raw.cores) {
            let problem = "workers and cores exclude each other: each listed core runs one worker";
            report.fault(workers.span().start, "dpdk.workers", problem);
        }
        let no_huge = raw.no_huge.unwrap_or(false);
        let memory_mb = report.number(&raw.memory_mb, "dpdk.memory_mb", 32..=1_048_576);
        let file_prefix = report.text(
            &raw.file_prefix,
            "dpdk.file_prefix",
            "1 to 32 of A-Z a-z 0-9 _ -",
            |prefix| match is_word(prefix, "_-") {
                true => Ok(prefix.to_owned()),
                false => Err(format!("`{}` cannot name files", prefix.escape_debug())),
            },
        );
        let config = DpdkConfig {
            workers: if cores.is_empty() { workers.unwrap_or(1) } else { cores.len() },
            cores,
            control_core: report.number(&raw.control_core, "dpdk.control_core", 0..=CORE_MAX),
            no_huge,
            memory_mb: memory_mb.or(no_huge.then_some(DpdkConfig::NO_HUGE_MEMORY_MB)),
            vdevs: arguments(&raw.vdevs, "dpdk.vdevs", report),
            arguments: arguments(&raw.arguments, "dpdk.arguments", report),
            file_prefix: file_prefix.unwrap_or_else(|| "director".to_owned()),
            mbufs: report.number(&raw.mbufs, "dpdk.mbufs", 1024..=16_777_215),
        };
        known.keep(config.clone());
        config
    }

    fn changed(old: &DpdkConfig, new: &DpdkConfig) -> ReloadChange<Infallible> {
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
        ReloadChange::restart([
            ("dpdk.workers", *workers == new.workers),
            ("dpdk.cores", *cores == new.cores),
            ("dpdk.control_core", *control_core == new.control_core),
            ("dpdk.no_huge", *no_huge == new.no_huge),
            ("dpdk.memory_mb", *memory_mb == new.memory_mb),
            ("dpdk.vdevs", *vdevs == new.vdevs),
            ("dpdk.arguments", *arguments == new.arguments),
            ("dpdk.file_prefix", *file_prefix == new.file_prefix),
            ("dpdk.mbufs", *mbufs == new.mbufs),
        ])
    }
}

/// Highest core number that may be asked for.
const CORE_MAX: u16 = 1023;

fn cores(raw: &Raw, report: &mut Report) -> Vec<u16> {
    const KEY: &str = "dpdk.cores";
    let Some(list) = &raw.cores else { return Vec::new() };
    if list.get_ref().is_empty() || list.get_ref().len() > WORKERS_MAX {
        let problem = format!("{} cores are listed", list.get_ref().len());
        report.fault_allowed(list.span().start, KEY, problem, format!("1 to {WORKERS_MAX} cores"));
    }
    let control = raw.control_core.as_ref().map(|core| *core.get_ref());
    let mut cores = Vec::new();
    for core in list.get_ref() {
        let Some(number) = report.number_at(core, KEY, 0..=CORE_MAX) else { continue };
        if cores.contains(&number) {
            report.fault(core.span().start, KEY, format!("core {number} is listed twice"));
        } else if control == Some(i64::from(number)) {
            let problem =
                format!("core {number} is dpdk.control_core; workers poll and never yield");
            report.fault(core.span().start, KEY, problem);
        }
        cores.push(number);
    }
    cores
}

/// Texts that become arguments of the EAL: none may be empty or hold a NUL.
fn arguments(raw: &[Spanned<String>], key: &str, report: &mut Report) -> Vec<String> {
    for text in raw {
        if text.get_ref().is_empty() || text.get_ref().contains('\0') {
            let problem = format!("`{}` cannot be an argument", text.get_ref().escape_debug());
            report.fault(text.span().start, key, problem);
        }
    }
    raw.iter().map(|text| text.get_ref().clone()).collect()
}
