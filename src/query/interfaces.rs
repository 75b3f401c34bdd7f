//! `interfaces`: addresses, and the host's own stack on them.

use super::view::{InterfaceRow, View};
use super::{Answer, Column, NoArgs, Query, table};
use crate::api::Refusal;

pub struct Interfaces;

impl Query for Interfaces {
    const NAME: &'static str = "interfaces";
    const ABOUT: &'static str = "Interfaces with their addresses, and their kernel interfaces";
    const COLUMNS: &'static [Column<InterfaceRow>] = &[
        Column::left("interface", |row| row.name.clone()),
        Column::left("MAC", |row| row.mac.clone()),
        Column::right("MTU", |row| row.mtu.to_string()),
        Column::left("kernel", |row| match &row.kernel {
            Some(kernel) => kernel.name.clone(),
            None => "-".to_owned(),
        }),
        Column::left("state", |row| match &row.kernel {
            Some(kernel) => kernel.state.clone(),
            None => "-".to_owned(),
        }),
        Column::right("to host", |row| count(row, |kernel| kernel.to_host_packets)),
        Column::right("dropped", |row| count(row, |kernel| kernel.to_host_dropped)),
        Column::right("from host", |row| count(row, |kernel| kernel.from_host_packets)),
        Column::right("dropped", |row| count(row, |kernel| kernel.from_host_dropped)),
    ];
    type Args = NoArgs;
    type Row = InterfaceRow;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<InterfaceRow>, Refusal> {
        Ok(Answer::Now(view.interfaces()))
    }

    /// The interfaces, then the addresses of each.
    fn text(rows: &[InterfaceRow]) -> String {
        let mut text = table(Self::COLUMNS, rows);
        for row in rows.iter().filter(|row| !row.addresses.is_empty()) {
            text.push_str(&format!("\n{}\n", row.name));
            for address in &row.addresses {
                text.push_str(&format!("  address {address}\n"));
            }
        }
        text
    }
}

fn count(row: &InterfaceRow, of: fn(&super::view::KernelInterfaceRow) -> u64) -> String {
    row.kernel.as_ref().map_or("-".to_owned(), |kernel| of(kernel).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::view::KernelInterfaceRow;
    use super::*;

    #[test]
    fn interfaces_and_their_kernel_interfaces() {
        let wan = InterfaceRow {
            name: "wan0".to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            mtu: 1500,
            addresses: vec!["10.0.0.1/24".to_owned()],
            kernel: Some(KernelInterfaceRow {
                name: "wan0".to_owned(),
                state: "up".to_owned(),
                to_host_packets: 120,
                to_host_bytes: 9000,
                to_host_dropped: 1,
                from_host_packets: 80,
                from_host_bytes: 7000,
                from_host_dropped: 0,
            }),
        };
        let lan = InterfaceRow {
            name: "lan0".to_owned(),
            addresses: vec![],
            kernel: None,
            ..wan.clone()
        };
        let expected = [
            "interface  MAC                 MTU  kernel  state  to host  dropped  from host  dropped",
            "wan0       02:00:00:00:00:01  1500  wan0    up         120        1         80        0",
            "lan0       02:00:00:00:00:01  1500  -       -            -        -          -        -",
            "",
            "wan0",
            "  address 10.0.0.1/24",
        ];
        assert_eq!(Interfaces::text(&[wan, lan]).lines().collect::<Vec<_>>(), expected);
    }
}
