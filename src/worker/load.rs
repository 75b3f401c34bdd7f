//! How loaded destinations are: this worker's own counts as they are now, the others' as of at most a millisecond ago.

use super::ledger::Ledger;
use crate::model::DestinationId;
use crate::scheduler::{Candidate, Load};
use crate::service::{Destination, Pages, Service};
use crate::time::{Duration, Instant};
use std::sync::Arc;

/// Age at which the other workers' counts are read anew.
const REFRESH: Duration = Duration::from_millis(1);

/// The ledgers of all workers, from the place of one.
pub(super) struct Loads {
    own: Arc<Ledger>,
    others: Vec<Arc<Ledger>>,
    /// By destination: (ActiveConn, InActConn) of all other workers. Empty where there are none.
    elsewhere: Box<[(u32, u32)]>,
    /// By service: when `elsewhere` was read for its destinations.
    refreshed: Box<[Instant]>,
}

impl Loads {
    /// `ledgers`: those of all workers, by number.
    pub(super) fn new(ledgers: &[Arc<Ledger>], worker: usize, services: usize) -> Self {
        let own = Arc::clone(&ledgers[worker]);
        let others: Vec<_> = ledgers
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != worker)
            .map(|(_, ledger)| Arc::clone(ledger))
            .collect();
        let destinations = if others.is_empty() { 0 } else { own.len() };
        Loads {
            own,
            others,
            elsewhere: vec![(0, 0); destinations].into(),
            refreshed: vec![Instant::START; services].into(),
        }
    }

    #[inline]
    pub(super) fn own(&self) -> &Ledger {
        &self.own
    }

    /// Reads the other workers' counts for a service's destinations, if what is known is too old.
    #[inline]
    pub(super) fn refresh(&mut self, service: &Service, now: Instant) {
        if self.others.is_empty() {
            return;
        }
        let Some(refreshed) = self.refreshed.get_mut(service.id.index()) else { return };
        if *refreshed != Instant::START && now.since(*refreshed) < REFRESH {
            return;
        }
        *refreshed = now;
        for candidate in service.scheduler.candidates() {
            if let Some(sum) = self.elsewhere.get_mut(candidate.id.index()) {
                *sum = self.others.iter().filter_map(|ledger| ledger.get(candidate.id)).fold(
                    (0, 0),
                    |(active, inactive): (u32, u32), line| {
                        (active.wrapping_add(line.active()), inactive.wrapping_add(line.inactive()))
                    },
                );
            }
        }
    }

    #[inline]
    fn elsewhere(&self, id: DestinationId) -> (u32, u32) {
        self.elsewhere.get(id.index()).copied().unwrap_or((0, 0))
    }

    #[inline]
    fn active(&self, id: DestinationId) -> u32 {
        self.own.get(id).map_or(0, |line| line.active()).wrapping_add(self.elsewhere(id).0)
    }

    #[inline]
    fn inactive(&self, id: DestinationId) -> u32 {
        self.own.get(id).map_or(0, |line| line.inactive()).wrapping_add(self.elsewhere(id).1)
    }

    /// Applies the connection thresholds; true: the destination takes no new connections.
    #[inline]
    pub(super) fn judge(&self, id: DestinationId, destination: &Destination) -> bool {
        let Some(line) = self.own.get(id) else { return false };
        if destination.upper_threshold == 0 && !line.is_overloaded() {
            return false;
        }
        let total = self.active(id).wrapping_add(self.inactive(id));
        let (upper, lower) = (destination.upper_threshold, destination.lower_threshold);
        line.judge(total, upper, lower, destination.overload_edit)
    }
}

/// What a scheduler asks about the candidates of one service.
pub(super) struct ServiceLoad<'a> {
    pub(super) loads: &'a Loads,
    pub(super) candidates: &'a [Candidate],
    pub(super) destinations: &'a Pages<Destination>,
}

impl Load for ServiceLoad<'_> {
    #[inline]
    fn active(&self, index: usize) -> u32 {
        self.loads.active(self.candidates[index].id)
    }

    #[inline]
    fn inactive(&self, index: usize) -> u32 {
        self.loads.inactive(self.candidates[index].id)
    }

    #[inline]
    fn overloaded(&self, index: usize) -> bool {
        let id = self.candidates[index].id;
        self.destinations
            .get(id.index())
            .is_some_and(|destination| self.loads.judge(id, destination))
    }
}

#[cfg(test)]
impl Loads {
    /// Where the worker writes: first byte and length.
    pub(super) fn written(&self) -> Vec<(&'static str, usize, usize)> {
        vec![
            self.own.written(),
            ("elsewhere", self.elsewhere.as_ptr().addr(), size_of_val(&*self.elsewhere)),
            ("refreshed", self.refreshed.as_ptr().addr(), size_of_val(&*self.refreshed)),
        ]
    }
}
