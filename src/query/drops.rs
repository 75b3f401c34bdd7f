//! `drops`: packets dropped or punted, by reason.

use super::{Answer, Column, NoArgs, Query, View};
use crate::api::Refusal;
use crate::reason::{DropReason, PuntReason};
use serde::{Deserialize, Serialize};

pub struct Drops;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRow {
    /// `drop` or `punt`.
    pub kind: String,
    pub reason: String,
    /// Description of the reason.
    pub help: String,
    /// Sum over all workers and ports.
    pub packets: u64,
}

impl Query for Drops {
    const NAME: &'static str = "drops";
    const ABOUT: &'static str = "Packets dropped, or punted to the control thread, by reason";
    const COLUMNS: &'static [Column<DropRow>] = &[
        Column::left("kind", |row| row.kind.clone()),
        Column::left("reason", |row| row.reason.clone()),
        Column::right("packets", |row| row.packets.to_string()),
        Column::left("meaning", |row| row.help.clone()),
    ];
    type Args = NoArgs;
    type Row = DropRow;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<DropRow>, Refusal> {
        let counters = &view.shared().counters;
        let queues = || counters.iter().flat_map(|worker| worker.queues.iter());
        let drops = DropReason::ALL.iter().map(|&reason| DropRow {
            kind: "drop".to_owned(),
            reason: reason.name().to_owned(),
            help: reason.help().to_owned(),
            packets: queues().map(|queue| queue.drop_of(reason).get()).sum::<u64>()
                + view.control_drops(reason),
        });
        let punts = PuntReason::ALL.iter().map(|&reason| DropRow {
            kind: "punt".to_owned(),
            reason: reason.name().to_owned(),
            help: reason.help().to_owned(),
            packets: queues().map(|queue| queue.punt_of(reason).get()).sum(),
        });
        Ok(Answer::Now(drops.chain(punts).collect()))
    }
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
            "kind  reason    packets  meaning",
            "drop  no_route       12  no route to the destination",
        ];
        assert_eq!(Drops::text(&[row]).lines().collect::<Vec<_>>(), expected);
    }
}
