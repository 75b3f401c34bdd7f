//! Sums of all workers' destination statistics, for listings and rates.

use crate::model::{Counters, DestinationId};
use crate::worker::stats::destination_stats::DestinationStatsTable;
use std::sync::Arc;

/// The statistics of each worker, and those of control.
#[derive(Clone, Debug, Default)]
pub struct DestinationTotals {
    destination_stats: Vec<Arc<DestinationStatsTable>>,
}

/// Current connections of one destination over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    pub active: u32,
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
}

impl DestinationTotals {
    pub fn new(destination_stats: Vec<Arc<DestinationStatsTable>>) -> Self {
        DestinationTotals { destination_stats }
    }

    /// Everything ever counted in the slot, for all destinations that had it.
    pub fn counters(&self, id: DestinationId) -> Counters {
        let lines = self.destination_stats.iter().filter_map(|stats_table| stats_table.get(id));
        lines.fold(Counters::default(), |sum, stats| {
            sum.zip_with(stats.counters(), u64::wrapping_add)
        })
    }

    pub fn connections(&self, id: DestinationId) -> Connections {
        let lines = self.destination_stats.iter().filter_map(|stats_table| stats_table.get(id));
        // One worker may subtract what another has added, so only the sum is meaningful.
        lines.fold(Connections::default(), |sum, stats| Connections {
            active: sum.active.wrapping_add(stats.active()),
            inactive: sum.inactive.wrapping_add(stats.inactive()),
            persistent: sum.persistent.wrapping_add(stats.persistent()),
        })
    }

    /// True if connections or templates still refer to the slot.
    pub fn is_in_use(&self, id: DestinationId) -> bool {
        self.connections(id) != Connections::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_workers_add_up_and_may_cancel_out() {
        let workers: Vec<_> = (0..2).map(|_| Arc::new(DestinationStatsTable::new(4))).collect();
        let destination_stats = DestinationTotals::new(workers.clone());
        let id = DestinationId(3);
        let stats = |worker: usize| workers[worker].get(id).unwrap();
        stats(0).template_added();
        stats(0).conn_added(true);
        stats(1).conn_added(false);
        stats(1).count_in(100);
        stats(0).count_in(50);
        let expected = Connections { active: 1, inactive: 1, persistent: 1 };
        assert_eq!(destination_stats.connections(id), expected);
        assert_eq!(destination_stats.counters(id).in_bytes, 150);
        stats(1).template_removed();
        stats(0).conn_removed(true);
        stats(1).conn_removed(false);
        assert!(!destination_stats.is_in_use(id) && !destination_stats.is_in_use(DestinationId(9)));
    }
}
