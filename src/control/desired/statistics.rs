//! What happens to statistics and to the schedulers' memory as time goes by.

use super::Desired;
use crate::model::{DestinationId, SchedulerKind, ServiceId};
use crate::time::Instant;
use std::ops::Range;

/// Destinations and services estimated at once, so that no command has to wait for all of them.
const AT_ONCE: usize = 2048;

/// The slots from which an estimation under way goes on. Services come after their destinations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    destinations: usize,
    services: usize,
}

impl Desired {
    /// Takes the snapshot of the statistics, every two seconds, a piece at each call; to be called often. True: it is
    /// complete with this call. With `run_estimation` at 0 they stay as they are.
    pub fn estimate(&mut self, now: Instant) -> bool {
        if self.estimating.is_none()
            && self.statistics.is_due(now)
            && self.next.settings.sysctls.run_estimation != 0
        {
            self.estimating = Some(Progress::default());
        }
        let Some(Progress { destinations, services }) = self.estimating else { return false };
        let end = (destinations + AT_ONCE).min(self.destinations.len());
        for slot in destinations..end {
            self.estimate_destination(DestinationId(slot as u32));
        }
        if end < self.destinations.len() {
            self.estimating = Some(Progress { destinations: end, services });
            return false;
        }
        let last = (services + AT_ONCE).min(self.services.len());
        for slot in services..last {
            self.statistics.estimate_service(ServiceId(slot as u32));
        }
        if last < self.services.len() {
            self.estimating = Some(Progress { destinations: end, services: last });
            return false;
        }
        self.estimating = None;
        self.statistics.estimate_total();
        true
    }

    fn estimate_destination(&mut self, id: DestinationId) {
        let Some(row) = &self.destinations[id.index()] else { return };
        let listed = self.services[row.service.index()].listed.as_ref();
        let same = listed.is_some_and(|service| service.incarnation == row.incarnation);
        self.statistics.collect(
            id,
            same.then_some(row.service),
            self.destination_stats.counters(id),
        );
        if row.is_listed {
            self.statistics.estimate_destination(id);
        }
    }

    /// When [`Self::estimate`] has work again; `None` before the first service.
    pub fn next_estimation(&self, now: Instant) -> Option<Instant> {
        match self.estimating {
            Some(_) => Some(now),
            None => self.statistics.next(),
        }
    }

    /// Garbage collection of the address maps of lblc and lblcr, for the services at these places; all of them every second.
    /// True: there are no services after them.
    pub fn collect_locality(&self, places: Range<usize>, now: Instant) -> bool {
        let mut services = self.next.services.iter().skip(places.start);
        for service in services.by_ref().take(places.len()) {
            let expiration = match service.scheduler.kind() {
                SchedulerKind::Lblc => self.sysctls().lblc_expiration,
                SchedulerKind::Lblcr => self.sysctls().lblcr_expiration,
                _ => continue,
            };
            service.scheduler.collect(now, u32::try_from(expiration).unwrap_or(0));
        }
        services.next().is_none()
    }
}
