//! `directorctl status`.

use super::table::{Side, Table};
use crate::api::{StatusReport, WorkerStatus};

pub fn text(report: &StatusReport) -> String {
    let StatusReport { version, uptime_s, epoch, services, destinations, .. } = report;
    let mut text = format!(
        "directord {version}, up {}\n{services} services, {destinations} destinations, snapshot {epoch}\n\n",
        duration(*uptime_s)
    );
    text.push_str(&workers(report));
    if !report.steering.is_empty() {
        text.push_str("\nsteering\n");
        report.steering.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    if !report.warnings.is_empty() {
        text.push('\n');
        report.warnings.iter().for_each(|line| text.push_str(&format!("warning: {line}\n")));
    }
    text
}

fn workers(report: &StatusReport) -> String {
    let mut table = Table::new([
        ("worker", Side::Right),
        ("core", Side::Right),
        ("snapshot", Side::Right),
        ("IPv4 connections", Side::Right),
        ("IPv6 connections", Side::Right),
        ("room for each", Side::Right),
        ("busy", Side::Right),
        ("handed off", Side::Right),
        ("taken over", Side::Right),
    ]);
    for worker in &report.workers {
        let WorkerStatus { connections_ipv4, connections_ipv6, connections_max, .. } = worker;
        table.row([
            worker.worker.to_string(),
            worker.core.map_or_else(|| "-".to_owned(), |core| core.to_string()),
            worker.epoch.to_string(),
            connections_ipv4.to_string(),
            connections_ipv6.to_string(),
            connections_max.to_string(),
            format!("{:.1} %", worker.busy_percent),
            worker.handoff_tx.to_string(),
            worker.handoff_rx.to_string(),
        ]);
    }
    table.text()
}

/// `2d 03:04:05`, without the days if there are none.
fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days}d {clock}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report() {
        let worker = WorkerStatus {
            worker: 0,
            core: Some(2),
            epoch: 17,
            connections_ipv4: 1000,
            connections_ipv6: 0,
            connections_max: 1_048_576,
            busy_percent: 12.34,
            handoff_tx: 5,
            handoff_rx: 7,
            entries_dropped: 0,
            mss_clamped: 0,
            longest_poll_us: 12,
            polls_over_20us: 0,
            polls_over_100us: 0,
            polls_over_1000us: 0,
        };
        let report = StatusReport {
            version: "0.1.0".to_owned(),
            uptime_s: 2 * 86_400 + 3 * 3600 + 4 * 60 + 5,
            epoch: 17,
            services: 3,
            destinations: 9,
            workers: vec![worker.clone(), WorkerStatus { worker: 1, core: None, ..worker }],
            steering: vec!["wan0: RSS by the device".to_owned()],
            warnings: vec!["core 2 is shared".to_owned()],
        };
        let expected = [
            "directord 0.1.0, up 2d 03:04:05",
            "3 services, 9 destinations, snapshot 17",
            "",
            "worker  core  snapshot  IPv4 connections  IPv6 connections  room for each    busy  handed off  taken over",
            "     0     2        17              1000                 0        1048576  12.3 %           5           7",
            "     1     -        17              1000                 0        1048576  12.3 %           5           7",
            "",
            "steering",
            "  wan0: RSS by the device",
            "",
            "warning: core 2 is shared",
        ];
        assert_eq!(text(&report).lines().collect::<Vec<_>>(), expected);
        assert_eq!(duration(59), "00:00:59");
    }
}
