//! `status`: version, uptime, workers, steering, warnings.

use super::{Answer, Column, NoArgs, Query, View, table};
use crate::api::Refusal;
use crate::model::PortId;
use crate::time::Instant;
use crate::worker::Shared;
use crate::worker::upkeep::rss_check::RssCheckResult;
use serde::{Deserialize, Serialize};

pub struct Status;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    pub version: String,
    pub uptime_s: u64,
    /// Epoch of the newest published snapshot.
    pub epoch: u64,
    pub services: u64,
    pub destinations: u64,
    /// The longest turn of the control thread since the start, in microseconds.
    pub longest_turn_us: u64,
    /// Its turns since the start that took longer than this.
    pub turns_over_1ms: u64,
    pub turns_over_10ms: u64,
    /// The task or work that took longest in a turn, and how long, in microseconds.
    pub longest_part: String,
    pub longest_part_us: u64,
    pub workers: Vec<WorkerStatus>,
    /// How each port spreads flows over the workers, and why.
    pub steering: Vec<String>,
    pub warnings: Vec<String>,
    /// `None` before the first reload.
    pub last_reload: Option<ReloadStatus>,
}

/// How the last reading of the configuration file ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadStatus {
    pub seconds_ago: u64,
    pub applied: bool,
    /// Why it was not applied.
    pub fault: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    pub worker: u16,
    /// `None` before the worker is pinned.
    pub core: Option<u32>,
    /// Epoch the worker has acknowledged.
    pub epoch: u64,
    pub connections_ipv4: u64,
    pub connections_ipv6: u64,
    /// Maximum IPv4 connections of the worker.
    pub connections_max: u64,
    /// Maximum IPv6 connections of the worker.
    #[serde(default)]
    pub connections_ipv6_max: u64,
    /// Share of the last second that the worker spent on packets, in percent.
    pub busy_percent: f64,
    /// Packets handed off to the workers that own their connections.
    pub handoff_tx: u64,
    /// Packets received from other workers by hand-off.
    pub handoff_rx: u64,
    /// Connections that the drop_entry defence ended.
    pub entries_dropped: u64,
    /// SYNs whose maximum segment size was lowered (`tcp.mss_clamp`).
    pub mss_clamped: u64,
    /// The longest poll since the start, in microseconds.
    pub longest_poll_us: u64,
    /// Polls since the start that took longer than so many microseconds.
    pub polls_over_20us: u64,
    pub polls_over_100us: u64,
    pub polls_over_1000us: u64,
}

impl Query for Status {
    const NAME: &'static str = "status";
    const ABOUT: &'static str = "Version, uptime, workers, steering, warnings";
    const ONE_ROW: bool = true;
    const COLUMNS: &'static [Column<StatusReport>] = &[];
    type Args = NoArgs;
    type Row = StatusReport;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<StatusReport>, Refusal> {
        let view = &*view;
        let (info, turns) = (view.info(), view.turns());
        Ok(Answer::Now(vec![StatusReport {
            version: info.version.clone(),
            uptime_s: view.now().since(Instant::START).as_secs(),
            epoch: view.publisher().current().epoch,
            services: view.services_len(),
            destinations: view.destinations_len(),
            longest_turn_us: turns.longest.as_micros() as u64,
            turns_over_1ms: turns.over_1ms,
            turns_over_10ms: turns.over_10ms,
            longest_part: turns.longest_part.0.to_owned(),
            longest_part_us: turns.longest_part.1.as_micros() as u64,
            workers: (0..view.shared().counters.len()).map(|worker| status(view, worker)).collect(),
            steering: steering(view),
            warnings: view.warnings(),
            last_reload: view.last_reload().map(|reload| ReloadStatus {
                seconds_ago: view.now().since(reload.at).as_secs(),
                applied: reload.fault.is_none(),
                fault: reload.fault.clone(),
            }),
        }]))
    }

    fn text(rows: &[StatusReport]) -> String {
        let Some(report) = rows.first() else { return String::new() };
        let StatusReport { version, uptime_s, epoch, services, destinations, .. } = report;
        let mut text = format!(
            "directord {version}, up {}\n{services} services, {destinations} destinations, snapshot {epoch}\n",
            duration(*uptime_s)
        );
        text.push_str(&format!(
            "longest turn of the control thread {:.1} ms, {} over 1 ms, {} over 10 ms; longest part: {}, {:.1} ms\n\n",
            report.longest_turn_us as f64 / 1000.0,
            report.turns_over_1ms,
            report.turns_over_10ms,
            report.longest_part,
            report.longest_part_us as f64 / 1000.0
        ));
        text.push_str(&table(WORKERS, &report.workers));
        if !report.steering.is_empty() {
            text.push_str("\nsteering\n");
            report.steering.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        if let Some(reload) = &report.last_reload {
            let ago = duration(reload.seconds_ago);
            match &reload.fault {
                None => text.push_str(&format!("\nlast reload {ago} ago: applied\n")),
                Some(fault) => {
                    text.push_str(&format!("\nlast reload {ago} ago: refused\n"));
                    fault.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
                }
            }
        }
        if !report.warnings.is_empty() {
            text.push('\n');
            report.warnings.iter().for_each(|line| text.push_str(&format!("warning: {line}\n")));
        }
        text
    }
}

const WORKERS: &[Column<WorkerStatus>] = &[
    Column::right("worker", |row| row.worker.to_string()),
    Column::right("core", |row| row.core.map_or_else(|| "-".to_owned(), |core| core.to_string())),
    Column::right("snapshot", |row| row.epoch.to_string()),
    Column::right("IPv4 connections", |row| row.connections_ipv4.to_string()),
    Column::right("IPv4 capacity", |row| row.connections_max.to_string()),
    Column::right("IPv6 connections", |row| row.connections_ipv6.to_string()),
    Column::right("IPv6 capacity", |row| row.connections_ipv6_max.to_string()),
    Column::right("busy", |row| format!("{:.1} %", row.busy_percent)),
    Column::right("handed off", |row| row.handoff_tx.to_string()),
    Column::right("received by hand-off", |row| row.handoff_rx.to_string()),
];

fn status(view: &dyn View, worker: usize) -> WorkerStatus {
    let info = view.info();
    let counters = &view.shared().counters[worker];
    let [polls_over_20us, polls_over_100us, polls_over_1000us] = counters.stalls.over();
    WorkerStatus {
        worker: worker as u16,
        core: info.cores.get(worker).copied().flatten(),
        epoch: view.publisher().acknowledged(worker),
        connections_ipv4: counters.connections_ipv4.get(),
        connections_ipv6: counters.connections_ipv6.get(),
        connections_max: info.connections_max,
        connections_ipv6_max: info.connections_ipv6_max,
        busy_percent: view.busy_percent(worker),
        handoff_tx: counters.handoff_tx.get(),
        handoff_rx: counters.handoff_rx.get(),
        entries_dropped: counters.entries_dropped.get(),
        mss_clamped: counters.mss_clamped.get(),
        longest_poll_us: counters.stalls.longest.get() / 1000,
        polls_over_20us,
        polls_over_100us,
        polls_over_1000us,
    }
}

/// How each port spreads flows, and the result of the check of its first frames.
fn steering(view: &dyn View) -> Vec<String> {
    let line =
        |(port, text): (usize, &String)| match rss_check_result(view.shared(), PortId(port as u16))
        {
            Some(result) => format!("{text}; {result}"),
            None => text.clone(),
        };
    view.info().steering.iter().enumerate().map(line).collect()
}

/// The result of the check of a port's first frames, over all queues; `None` if the port has no rule to check.
pub fn rss_check_result(shared: &Shared, port: PortId) -> Option<RssCheckResult> {
    shared.steering.has_rule(port).then(|| {
        let evidence =
            shared.counters.iter().filter_map(|worker| worker.evidence.get(port.index()));
        RssCheckResult::of(evidence)
    })
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
            connections_ipv6_max: 262_144,
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
            longest_turn_us: 1234,
            turns_over_1ms: 2,
            turns_over_10ms: 0,
            longest_part: "statistics".to_owned(),
            longest_part_us: 987,
            workers: vec![worker.clone(), WorkerStatus { worker: 1, core: None, ..worker }],
            steering: vec!["wan0: RSS by the device".to_owned()],
            warnings: vec!["core 2 is shared".to_owned()],
            last_reload: Some(ReloadStatus {
                seconds_ago: 5,
                applied: false,
                fault: Some("f:1: dance: unknown table".to_owned()),
            }),
        };
        let expected = [
            "directord 0.1.0, up 2d 03:04:05",
            "3 services, 9 destinations, snapshot 17",
            "longest turn of the control thread 1.2 ms, 2 over 1 ms, 0 over 10 ms; longest part: statistics, 1.0 ms",
            "",
            "worker  core  snapshot  IPv4 connections  IPv4 capacity  IPv6 connections  IPv6 capacity    busy  handed off  received by hand-off",
            "     0     2        17              1000        1048576                 0         262144  12.3 %           5                     7",
            "     1     -        17              1000        1048576                 0         262144  12.3 %           5                     7",
            "",
            "steering",
            "  wan0: RSS by the device",
            "",
            "last reload 00:00:05 ago: refused",
            "  f:1: dance: unknown table",
            "",
            "warning: core 2 is shared",
        ];
        assert_eq!(Status::text(&[report]).lines().collect::<Vec<_>>(), expected);
        assert_eq!(duration(59), "00:00:59");
    }
}
