//! Checks what concerns the process: `[director]`, `[dpdk]`, `[tables]`, `[timeouts]`, `[tcp]`, `[sysctl]`.

use super::raw;
use super::report::Report;
use super::settings::{DpdkConfig, Tables};
use crate::api::DEFAULT_SOCKET;
use crate::limits::WORKERS_MAX;
use crate::model::Unserved;
use crate::model::{MssClamp, Prefix, SysctlError, Sysctls, Timeouts};
use log::LevelFilter;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use toml::{Spanned, Value};

/// Longest path of a Unix socket: `sun_path` less its terminator.
const SOCKET_PATH_MAX: usize = 107;

const PREFIX_FORM: &str = "a network as 10.0.0.0/24 or an address as 10.0.0.1";

/// `[director]`.
pub(super) struct DirectorSection {
    pub socket: PathBuf,
    pub vips: Vec<Prefix>,
    pub unserved: Unserved,
    pub log: LevelFilter,
}

pub(super) fn director(raw: raw::DirectorTable, report: &mut Report) -> DirectorSection {
    let socket = report.text(
        &raw.socket,
        "director.socket",
        &format!("an absolute path of at most {SOCKET_PATH_MAX} bytes"),
        |path| match path.starts_with('/') && path.len() <= SOCKET_PATH_MAX && !path.contains('\0')
        {
            true => Ok(PathBuf::from(path)),
            false => Err(format!("`{}` cannot be a socket", path.escape_debug())),
        },
    );
    let unserved = [("reject", Unserved::Reject), ("drop", Unserved::Drop)];
    let levels = [
        ("error", LevelFilter::Error),
        ("warn", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
    ];
    DirectorSection {
        socket: socket.unwrap_or_else(|| DEFAULT_SOCKET.into()),
        vips: vips(&raw.vips, report),
        unserved: report.word(&raw.unserved, "director.unserved", &unserved).unwrap_or_default(),
        log: report.word(&raw.log, "director.log", &levels).unwrap_or(LevelFilter::Info),
    }
}

fn vips(raw: &[Spanned<String>], report: &mut Report) -> Vec<Prefix> {
    const KEY: &str = "director.vips";
    let mut vips = Vec::new();
    for text in raw {
        let Some(vip) = report.text_at(text, KEY, PREFIX_FORM, str::parse::<Prefix>) else {
            continue;
        };
        let address = vip.address();
        if address.is_unspecified() || address.is_multicast() {
            report.fault_allowed(
                text.span().start,
                KEY,
                format!("{vip} is not unicast"),
                PREFIX_FORM,
            );
        } else if vips.contains(&vip) {
            report.fault(text.span().start, KEY, format!("{vip} is listed twice"));
        } else {
            vips.push(vip);
        }
    }
    vips
}

pub(super) fn dpdk(raw: raw::Dpdk, report: &mut Report) -> DpdkConfig {
    let cores = cores(&raw, report);
    let workers = report.number(&raw.workers, "dpdk.workers", 1..=WORKERS_MAX);
    if let (Some(workers), Some(_)) = (&raw.workers, &raw.cores) {
        let problem = "workers and cores exclude each other: each listed core runs one worker";
        report.fault(workers.span().start, "dpdk.workers", problem);
    }
    let no_huge = raw.no_huge.unwrap_or(false);
    let memory_mb = report.number(&raw.memory_mb, "dpdk.memory_mb", 32..=1_048_576);
    let file_prefix =
        report.text(&raw.file_prefix, "dpdk.file_prefix", "1 to 32 of A-Z a-z 0-9 _ -", |prefix| {
            match is_word(prefix, "_-") {
                true => Ok(prefix.to_owned()),
                false => Err(format!("`{}` cannot name files", prefix.escape_debug())),
            }
        });
    DpdkConfig {
        workers: if cores.is_empty() { workers.unwrap_or(1) } else { cores.len() },
        cores,
        control_core: report.number(&raw.control_core, "dpdk.control_core", 0..=CORE_MAX),
        no_huge,
        memory_mb: memory_mb.or(no_huge.then_some(DpdkConfig::NO_HUGE_MEMORY_MB)),
        vdevs: arguments(&raw.vdevs, "dpdk.vdevs", report),
        arguments: arguments(&raw.arguments, "dpdk.arguments", report),
        file_prefix: file_prefix.unwrap_or_else(|| "director".to_owned()),
        mbufs: report.number(&raw.mbufs, "dpdk.mbufs", 1024..=16_777_215),
    }
}

/// Highest core number that may be asked for.
const CORE_MAX: u16 = 1023;

fn cores(raw: &raw::Dpdk, report: &mut Report) -> Vec<u16> {
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

/// 1 to 32 letters, digits and characters of `more`.
pub(super) fn is_word(text: &str, more: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || more.contains(letter);
    (1..=32).contains(&text.len()) && text.chars().all(fits)
}

pub(super) fn tables(raw: raw::Tables, report: &mut Report) -> Tables {
    /// Entries are numbered with 32 bits, two of which mark the table and the end of a chain.
    const ENTRIES: RangeInclusive<usize> = 16..=1 << 30;
    let default = Tables::default();
    let mut size =
        |field, key: &str, range, default| report.number(field, key, range).unwrap_or(default);
    Tables {
        connections: size(&raw.connections, "tables.connections", ENTRIES, default.connections),
        connections_ipv6: size(
            &raw.connections_ipv6,
            "tables.connections_ipv6",
            ENTRIES,
            default.connections_ipv6,
        ),
        services: size(&raw.services, "tables.services", 1..=1 << 20, default.services),
        destinations: size(
            &raw.destinations,
            "tables.destinations",
            1..=1 << 24,
            default.destinations,
        ),
        templates: size(&raw.templates, "tables.templates", ENTRIES, default.templates),
    }
}

pub(super) fn timeouts(raw: raw::Timeouts, report: &mut Report) -> Timeouts {
    let default = Timeouts::default();
    let mut seconds = |field, key: &str, default| {
        report.number(field, key, 1..=Timeouts::MAX_S).unwrap_or(default)
    };
    Timeouts {
        tcp: seconds(&raw.tcp, "timeouts.tcp", default.tcp),
        tcp_fin: seconds(&raw.tcp_fin, "timeouts.tcp_fin", default.tcp_fin),
        udp: seconds(&raw.udp, "timeouts.udp", default.udp),
    }
}

/// `[tcp]`: its `mss_clamp`.
pub(super) fn tcp(raw: raw::Tcp, report: &mut Report) -> MssClamp {
    const BYTES: RangeInclusive<u16> = MssClamp::LEAST..=MssClamp::MOST;
    let Some(value) = raw.mss_clamp else { return MssClamp::Off };
    let clamp = match value.get_ref() {
        Value::String(word) if word == "off" => Some(MssClamp::Off),
        Value::String(word) if word == "pmtu" => Some(MssClamp::PathMtu),
        Value::Integer(bytes) => {
            u16::try_from(*bytes).ok().filter(|bytes| BYTES.contains(bytes)).map(MssClamp::Bytes)
        }
        _ => None,
    };
    clamp.unwrap_or_else(|| {
        let problem = format!("{} is no value for it", value.get_ref());
        let allowed = format!(r#""off", "pmtu", {} to {}"#, BYTES.start(), BYTES.end());
        report.fault_allowed(value.span().start, "tcp.mss_clamp", problem, allowed);
        MssClamp::Off
    })
}

pub(super) fn sysctl(raw: raw::Sysctl, report: &mut Report) -> Sysctls {
    let mut all = Sysctls::default();
    let mut seen = HashSet::new();
    for (name, value) in raw.0 {
        let key = format!("sysctl.{}", name.get_ref());
        let offset = name.span().start;
        match all.set(name.get_ref(), &value.get_ref().to_string()) {
            Ok(()) if !seen.insert(Sysctls::short_name(name.get_ref()).to_owned()) => {
                report.fault(offset, &key, "it is set twice, with and without its prefix");
            }
            Ok(()) => {}
            Err(SysctlError::Invalid { value: text, allowed, .. }) => {
                let problem = format!("`{text}` is no value for it");
                report.fault_allowed(value.span().start, &key, problem, allowed);
            }
            Err(SysctlError::Refused { reason, .. }) => {
                report.fault(offset, &key, format!("it does not exist here: {reason}"));
            }
            Err(SysctlError::Unknown(_)) => {
                let names: Vec<_> = Sysctls::names().collect();
                report.fault_allowed(offset, &key, "unknown setting", names.join(", "));
            }
        }
    }
    all
}
