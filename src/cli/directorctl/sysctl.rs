//! `directorctl sysctl`.

use super::table::{Side, Table};
use crate::api::SysctlRow;

pub fn text(rows: &[SysctlRow]) -> String {
    let mut table =
        Table::new([("setting", Side::Left), ("value", Side::Left), ("meaning", Side::Left)]);
    for row in rows {
        let SysctlRow { name, value, help } = row.clone();
        table.row([name, value, help]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_with_their_meaning() {
        let row = SysctlRow {
            name: "sync_threshold".to_owned(),
            value: "3 50".to_owned(),
            help: "when connections are synchronised".to_owned(),
        };
        let expected = [
            "setting         value  meaning",
            "sync_threshold  3 50   when connections are synchronised",
        ];
        assert_eq!(text(&[row]).lines().collect::<Vec<_>>(), expected);
    }
}
