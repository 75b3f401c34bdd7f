//! `directorctl queues`.

use super::table::{Side, Table};
use crate::api::QueueRow;

/// The counters, then whatever was dropped or handed to the host path.
pub fn text(rows: &[QueueRow]) -> String {
    let mut counters = Table::new([
        ("worker", Side::Right),
        ("port", Side::Left),
        ("rx packets", Side::Right),
        ("rx bytes", Side::Right),
        ("rx bursts", Side::Right),
        ("per burst", Side::Right),
        ("tx packets", Side::Right),
        ("tx bytes", Side::Right),
        ("busy", Side::Right),
        ("dropped", Side::Right),
        ("punted", Side::Right),
    ]);
    let mut reasons = Table::new([
        ("worker", Side::Right),
        ("port", Side::Left),
        ("left by", Side::Left),
        ("reason", Side::Left),
        ("packets", Side::Right),
    ]);
    for row in rows {
        let worker = row.worker.to_string();
        counters.row([
            worker.clone(),
            row.port.clone(),
            row.rx_packets.to_string(),
            row.rx_bytes.to_string(),
            row.rx_bursts.to_string(),
            per_burst(row),
            row.tx_packets.to_string(),
            row.tx_bytes.to_string(),
            format!("{:.1} %", row.busy_percent),
            row.drops.values().sum::<u64>().to_string(),
            row.punts.values().sum::<u64>().to_string(),
        ]);
        for (kind, counts) in [("drop", &row.drops), ("punt", &row.punts)] {
            for (reason, packets) in counts {
                reasons.row([
                    worker.clone(),
                    row.port.clone(),
                    kind.to_owned(),
                    reason.clone(),
                    packets.to_string(),
                ]);
            }
        }
    }
    let mut text = counters.text();
    if !reasons.is_empty() {
        text.push('\n');
        text.push_str(&reasons.text());
    }
    text
}

/// Mean packets per burst that brought any.
fn per_burst(row: &QueueRow) -> String {
    match row.rx_bursts {
        0 => "-".to_owned(),
        bursts => format!("{:.1}", row.rx_packets as f64 / bursts as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

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
            "worker  port  left by  reason         packets",
            "     0  wan0  drop     ipv4_checksum        3",
            "     0  wan0  drop     no_route             2",
            "     0  wan0  punt     arp                  5",
        ];
        assert_eq!(text(&[busy, idle.clone()]).lines().collect::<Vec<_>>(), expected);
        assert_eq!(text(&[idle]).lines().count(), 2);
    }
}
