//! `directorctl neighbours`.

use super::table::{Side, Table};
use crate::api::NeighbourRow;

pub fn text(rows: &[NeighbourRow]) -> String {
    let mut table = Table::new([
        ("address", Side::Left),
        ("port", Side::Left),
        ("MAC", Side::Left),
        ("state", Side::Left),
        ("waiting", Side::Right),
    ]);
    for row in rows {
        table.row([
            row.address.to_string(),
            row.port.clone(),
            row.mac.clone().unwrap_or_else(|| "-".to_owned()),
            row.state.clone(),
            row.queued.to_string(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_and_not() {
        let resolved = NeighbourRow {
            address: "192.168.10.11".parse().unwrap(),
            port: "lan0".to_owned(),
            mac: Some("02:00:00:00:10:0b".to_owned()),
            state: "reachable".to_owned(),
            queued: 0,
        };
        let waiting = NeighbourRow {
            address: "2001:db8::1".parse().unwrap(),
            mac: None,
            state: "incomplete".to_owned(),
            queued: 3,
            ..resolved.clone()
        };
        let expected = [
            "address        port  MAC                state       waiting",
            "192.168.10.11  lan0  02:00:00:00:10:0b  reachable         0",
            "2001:db8::1    lan0  -                  incomplete        3",
        ];
        assert_eq!(text(&[resolved, waiting]).lines().collect::<Vec<_>>(), expected);
    }
}
