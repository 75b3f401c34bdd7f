//! The ledgers of all workers, read as one: what listings and statistics are made of.

use crate::model::{Counters, DestinationId};
use crate::worker::ledger::Ledger;
use std::sync::Arc;

/// One ledger per worker, and control's own.
#[derive(Clone, Debug, Default)]
pub struct Ledgers {
    ledgers: Vec<Arc<Ledger>>,
}

/// Connections of one destination over all workers, as of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    pub active: u32,
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
}

impl Ledgers {
    pub fn new(ledgers: Vec<Arc<Ledger>>) -> Self {
        Ledgers { ledgers }
    }

    /// Everything that was ever counted in the slot, by whichever destinations had it.
    pub fn counters(&self, id: DestinationId) -> Counters {
        let lines = self.ledgers.iter().filter_map(|ledger| ledger.get(id));
        lines
            .fold(Counters::default(), |sum, line| sum.zip_with(line.counters(), u64::wrapping_add))
    }

    pub fn connections(&self, id: DestinationId) -> Connections {
        let lines = self.ledgers.iter().filter_map(|ledger| ledger.get(id));
        // One worker may take off what another has put on, so only the sum means something.
        lines.fold(Connections::default(), |sum, line| Connections {
            active: sum.active.wrapping_add(line.active()),
            inactive: sum.inactive.wrapping_add(line.inactive()),
            persistent: sum.persistent.wrapping_add(line.persistent()),
        })
    }

    /// Connections or templates still refer to the slot.
    pub fn is_in_use(&self, id: DestinationId) -> bool {
        self.connections(id) != Connections::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_workers_add_up_and_may_cancel_out() {
        let workers: Vec<_> = (0..2).map(|_| Arc::new(Ledger::new(4))).collect();
        let ledgers = Ledgers::new(workers.clone());
        let id = DestinationId(3);
        let line = |worker: usize| workers[worker].get(id).unwrap();
        line(0).bind_template();
        line(0).bind(true);
        line(1).bind(false);
        line(1).count_in(100);
        line(0).count_in(50);
        let expected = Connections { active: 1, inactive: 1, persistent: 1 };
        assert_eq!(ledgers.connections(id), expected);
        assert_eq!(ledgers.counters(id).in_bytes, 150);
        line(1).unbind_template();
        line(0).unbind(true);
        line(1).unbind(false);
        assert!(!ledgers.is_in_use(id) && !ledgers.is_in_use(DestinationId(9)));
    }
}
