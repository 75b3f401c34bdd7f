//! `queues`: counters of every worker's queue on every port.

use super::{Answer, Column, NoArgs, Query, View, table};
use crate::api::Refusal;
use crate::reason::{DropReason, PuntReason};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub struct Queues;

/// One receive and transmit queue pair of one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueRow {
    pub worker: u16,
    pub port: String,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    /// Bursts with at least one frame.
    pub rx_bursts: u64,
    /// Share of time in the last second that the worker spent on packets, in percent.
    pub busy_percent: f64,
    /// Drops and punts by reason, without those that never occurred.
    pub drops: BTreeMap<String, u64>,
    pub punts: BTreeMap<String, u64>,
}

impl Query for Queues {
    const NAME: &'static str = "queues";
    const ABOUT: &'static str =
        "Packets, bytes, bursts, busy share, drops and punts of every worker's queue on every port";
    const COLUMNS: &'static [Column<QueueRow>] = &[
        Column::right("worker", |row| row.worker.to_string()),
        Column::left("port", |row| row.port.clone()),
        Column::right("rx packets", |row| row.rx_packets.to_string()),
        Column::right("rx bytes", |row| row.rx_bytes.to_string()),
        Column::right("rx bursts", |row| row.rx_bursts.to_string()),
        Column::right("per burst", per_burst),
        Column::right("tx packets", |row| row.tx_packets.to_string()),
        Column::right("tx bytes", |row| row.tx_bytes.to_string()),
        Column::right("busy", |row| format!("{:.1} %", row.busy_percent)),
        Column::right("dropped", |row| row.drops.values().sum::<u64>().to_string()),
        Column::right("punted", |row| row.punts.values().sum::<u64>().to_string()),
    ];
    type Args = NoArgs;
    type Row = QueueRow;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<QueueRow>, Refusal> {
        let mut rows = Vec::new();
        for (worker, counters) in view.shared().counters.iter().enumerate() {
            for (port, queue) in counters.queues.iter().enumerate() {
                let drops = DropReason::ALL
                    .iter()
                    .map(|reason| (reason.name(), queue.drop_of(*reason).get()));
                let punts = PuntReason::ALL
                    .iter()
                    .map(|reason| (reason.name(), queue.punt_of(*reason).get()));
                rows.push(QueueRow {
                    worker: worker as u16,
                    port: view.info().ports.get(port).cloned().unwrap_or_default(),
                    rx_packets: queue.rx_packets.get(),
                    rx_bytes: queue.rx_bytes.get(),
                    tx_packets: queue.tx_packets.get(),
                    tx_bytes: queue.tx_bytes.get(),
                    rx_bursts: queue.rx_bursts.get(),
                    busy_percent: view.busy_percent(worker),
                    drops: occurred(drops),
                    punts: occurred(punts),
                });
            }
        }
        Ok(Answer::Now(rows))
    }

    /// The counters, then drops and punts by reason.
    fn text(rows: &[QueueRow]) -> String {
        let mut text = table(Self::COLUMNS, rows);
        let reasons: Vec<Reason> = rows.iter().flat_map(reasons).collect();
        if !reasons.is_empty() {
            text.push('\n');
            text.push_str(&table(REASONS, &reasons));
        }
        text
    }
}

fn occurred(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)).collect()
}

/// Mean packets per burst, of bursts with packets.
fn per_burst(row: &QueueRow) -> String {
    match row.rx_bursts {
        0 => "-".to_owned(),
        bursts => format!("{:.1}", row.rx_packets as f64 / bursts as f64),
    }
}

/// Packets of one queue that were dropped or punted for one reason.
struct Reason {
    worker: u16,
    port: String,
    kind: &'static str,
    reason: String,
    packets: u64,
}

const REASONS: &[Column<Reason>] = &[
    Column::right("worker", |row| row.worker.to_string()),
    Column::left("port", |row| row.port.clone()),
    Column::left("kind", |row| row.kind.to_owned()),
    Column::left("reason", |row| row.reason.clone()),
    Column::right("packets", |row| row.packets.to_string()),
];

fn reasons(queue: &QueueRow) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (kind, counts) in [("drop", &queue.drops), ("punt", &queue.punts)] {
        for (reason, &packets) in counts {
            let (port, reason) = (queue.port.clone(), reason.clone());
            reasons.push(Reason { worker: queue.worker, port, kind, reason, packets });
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_reasons() {
        let busy = QueueRow {
            worker: 0,
            port: "wan0".to_owned(),
            rx_packets: 1000,
            rx_bytes: 64_000,
            tx_packets: 990,
            tx_bytes: 63_360,
            rx_bursts: 100,
            busy_percent: 55.55,
            drops: BTreeMap::from([("ipv4_checksum".to_owned(), 3), ("no_route".to_owned(), 2)]),
            punts: BTreeMap::from([("arp".to_owned(), 5)]),
        };
        let idle = QueueRow {
            worker: 1,
            port: "lan0".to_owned(),
            rx_packets: 0,
            rx_bytes: 0,
            tx_packets: 0,
            tx_bytes: 0,
            rx_bursts: 0,
            busy_percent: 0.0,
            drops: BTreeMap::new(),
            punts: BTreeMap::new(),
        };
        let expected = [
            "worker  port  rx packets  rx bytes  rx bursts  per burst  tx packets  tx bytes    busy  dropped  punted",
            "     0  wan0        1000     64000        100       10.0         990     63360  55.5 %        5       5",
            "     1  lan0           0         0          0          -           0         0   0.0 %        0       0",
            "",
            "worker  port  kind  reason         packets",
            "     0  wan0  drop  ipv4_checksum        3",
            "     0  wan0  drop  no_route             2",
            "     0  wan0  punt  arp                  5",
        ];
        assert_eq!(Queues::text(&[busy, idle.clone()]).lines().collect::<Vec<_>>(), expected);
        assert_eq!(Queues::text(&[idle]).lines().count(), 2);
    }
}
