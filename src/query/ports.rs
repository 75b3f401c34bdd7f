//! `ports`: devices, links, addresses and the devices' own statistics.

use super::view::{PortRow, View};
use super::{Answer, Column, NoArgs, Query, table};
use crate::api::Refusal;

pub struct Ports;

impl Query for Ports {
    const NAME: &'static str = "ports";
    const ABOUT: &'static str = "Devices, links, addresses and the devices' own statistics";
    const COLUMNS: &'static [Column<PortRow>] = &[
        Column::left("port", |row| row.name.clone()),
        Column::left("device", |row| row.device.clone()),
        Column::left("driver", |row| row.driver.clone()),
        Column::left("MAC", |row| row.mac.clone()),
        Column::right("MTU", |row| row.mtu.to_string()),
        Column::left("link", link),
        Column::right("queues", |row| row.queues.to_string()),
    ];
    type Args = NoArgs;
    type Row = PortRow;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<PortRow>, Refusal> {
        Ok(Answer::Elsewhere(view.ports()))
    }

    /// The ports, then the addresses and statistics of each that has any.
    fn text(rows: &[PortRow]) -> String {
        let mut text = table(Self::COLUMNS, rows);
        for row in rows.iter().filter(|row| !row.addresses.is_empty() || !row.xstats.is_empty()) {
            text.push_str(&format!("\n{}\n", row.name));
            for address in &row.addresses {
                text.push_str(&format!("  address {address}\n"));
            }
            let width = row.xstats.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in &row.xstats {
                text.push_str(&format!("  {name:<width$}  {value}\n"));
            }
        }
        text
    }
}

fn link(row: &PortRow) -> String {
    match (row.link_up, row.link_speed) {
        (false, _) => "down".to_owned(),
        (true, 0) => "up".to_owned(),
        (true, speed) => format!("up, {speed} Mbit/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn ports_and_their_statistics() {
        let wan = PortRow {
            name: "wan0".to_owned(),
            device: "0000:01:00.0".to_owned(),
            driver: "net_ice".to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            mtu: 1500,
            link_up: true,
            link_speed: 25_000,
            queues: 2,
            addresses: vec!["10.0.0.1/24".to_owned()],
            xstats: BTreeMap::from([
                ("rx_good_packets".to_owned(), 7),
                ("rx_errors".to_owned(), 1),
            ]),
        };
        let tap = PortRow {
            name: "lan0".to_owned(),
            link_up: false,
            addresses: vec![],
            xstats: BTreeMap::new(),
            ..wan.clone()
        };
        let expected = [
            "port  device        driver   MAC                 MTU  link              queues",
            "wan0  0000:01:00.0  net_ice  02:00:00:00:00:01  1500  up, 25000 Mbit/s       2",
            "lan0  0000:01:00.0  net_ice  02:00:00:00:00:01  1500  down                   2",
            "",
            "wan0",
            "  address 10.0.0.1/24",
            "  rx_errors        1",
            "  rx_good_packets  7",
        ];
        assert_eq!(Ports::text(&[wan.clone(), tap]).lines().collect::<Vec<_>>(), expected);
        assert_eq!(link(&PortRow { link_speed: 0, ..wan }), "up");
    }
}
