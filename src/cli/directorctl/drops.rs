//! `directorctl drops`.

use super::table::{Side, Table};
use crate::api::DropRow;

pub fn text(rows: &[DropRow]) -> String {
    let mut table = Table::new([
        ("left by", Side::Left),
        ("reason", Side::Left),
        ("packets", Side::Right),
        ("meaning", Side::Left),
    ]);
    for row in rows {
        let DropRow { kind, reason, help, packets } = row.clone();
        table.row([kind, reason, packets.to_string(), help]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_with_their_meaning() {
        let row = DropRow {
            kind: "drop".to_owned(),
            reason: "no_route".to_owned(),
            help: "no route to the destination".to_owned(),
            packets: 12,
        };
        let expected = [
            "left by  reason    packets  meaning",
            "drop     no_route       12  no route to the destination",
        ];
        assert_eq!(text(&[row]).lines().collect::<Vec<_>>(), expected);
    }
}
