//! Connection counts of destinations: this worker's own current ones, and those of other workers, at most a millisecond
//! old.

use crate::model::DestinationId;
use crate::scheduler::{Candidate, Load};
use crate::snapshot::{Destination, Pages, Service};
use crate::time::{Duration, Instant};
use crate::worker::stats::destination_stats::DestinationStatsTable;
use std::sync::Arc;

/// Age at which the other workers' counts are read again.
const REFRESH: Duration = Duration::from_millis(1);

/// The counts of all workers, as one worker sees them.
pub(in crate::worker) struct ConnCounts {
    own: Arc<DestinationStatsTable>,
    others: Vec<Arc<DestinationStatsTable>>,
    /// Indexed by destination: (ActiveConn, InActConn) of all other workers. Empty with a single worker.
    remote: Box<[(u32, u32)]>,
    /// Indexed by service: when `remote` was read for its destinations.
    refreshed: Box<[Instant]>,
}

impl ConnCounts {
    /// `destination_stats`: those of all workers, indexed by worker.
    pub(in crate::worker) fn new(
        destination_stats: &[Arc<DestinationStatsTable>],
        worker: usize,
        services: usize,
    ) -> Self {
        let own = Arc::clone(&destination_stats[worker]);
        let others: Vec<_> = destination_stats
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != worker)
            .map(|(_, stats_table)| Arc::clone(stats_table))
            .collect();
        let destinations = if others.is_empty() { 0 } else { own.len() };
        ConnCounts {
            own,
            others,
            remote: vec![(0, 0); destinations].into(),
            refreshed: vec![Instant::START; services].into(),
        }
    }

    #[inline]
    pub(in crate::worker) fn own(&self) -> &DestinationStatsTable {
        &self.own
    }

    /// Reads the other workers' counts of a service's destinations, if the known ones are too old.
    #[inline]
    pub(in crate::worker) fn refresh(&mut self, service: &Service, now: Instant) {
        if self.others.is_empty() {
            return;
        }
        let Some(refreshed) = self.refreshed.get_mut(service.id.index()) else { return };
        if *refreshed != Instant::START && now.since(*refreshed) < REFRESH {
            return;
        }
        *refreshed = now;
        for candidate in service.scheduler.candidates() {
            if let Some(sum) = self.remote.get_mut(candidate.id.index()) {
                *sum = self
                    .others
                    .iter()
                    .filter_map(|stats_table| stats_table.get(candidate.id))
                    .fold((0, 0), |(active, inactive): (u32, u32), stats| {
                        (
                            active.wrapping_add(stats.active()),
                            inactive.wrapping_add(stats.inactive()),
                        )
                    });
            }
        }
    }

    #[inline]
    fn remote(&self, id: DestinationId) -> (u32, u32) {
        self.remote.get(id.index()).copied().unwrap_or((0, 0))
    }

    #[inline]
    fn active(&self, id: DestinationId) -> u32 {
        self.own.get(id).map_or(0, |stats| stats.active()).wrapping_add(self.remote(id).0)
    }

    #[inline]
    fn inactive(&self, id: DestinationId) -> u32 {
        self.own.get(id).map_or(0, |stats| stats.inactive()).wrapping_add(self.remote(id).1)
    }

    /// Applies the connection thresholds; true if the destination takes no new connections.
    #[inline]
    pub(in crate::worker) fn update_overload(
        &self,
        id: DestinationId,
        destination: &Destination,
    ) -> bool {
        let Some(stats) = self.own.get(id) else { return false };
        if destination.upper_threshold == 0 && !stats.is_overloaded() {
            return false;
        }
        let total = self.active(id).wrapping_add(self.inactive(id));
        let (upper, lower) = (destination.upper_threshold, destination.lower_threshold);
        stats.update_overload(total, upper, lower, destination.overload_edit)
    }
}

/// The load of one service's candidates, for its scheduler.
pub(in crate::worker) struct ServiceLoad<'a> {
    pub(in crate::worker) conn_counts: &'a ConnCounts,
    pub(in crate::worker) candidates: &'a [Candidate],
    pub(in crate::worker) destinations: &'a Pages<Destination>,
}

impl Load for ServiceLoad<'_> {
    #[inline]
    fn active(&self, index: usize) -> u32 {
        self.conn_counts.active(self.candidates[index].id)
    }

    #[inline]
    fn inactive(&self, index: usize) -> u32 {
        self.conn_counts.inactive(self.candidates[index].id)
    }

    #[inline]
    fn overloaded(&self, index: usize) -> bool {
        let id = self.candidates[index].id;
        self.destinations
            .get(id.index())
            .is_some_and(|destination| self.conn_counts.update_overload(id, destination))
    }
}

#[cfg(test)]
impl ConnCounts {
    /// Address and length of the memory that the worker writes.
    pub(in crate::worker) fn written(&self) -> Vec<(&'static str, usize, usize)> {
        vec![
            self.own.written(),
            ("remote", self.remote.as_ptr().addr(), size_of_val(&*self.remote)),
            ("refreshed", self.refreshed.as_ptr().addr(), size_of_val(&*self.refreshed)),
        ]
    }
}
