//! What happens to statistics and to the schedulers' memory as time goes by.

use super::Desired;
use crate::model::{DestinationId, SchedulerKind};
use crate::time::Instant;

impl Desired {
    /// Takes the snapshot of the statistics, every two seconds; to be called more often. False: it was not time.
    /// With `run_estimation` at 0 they stay as they are.
    pub fn estimate(&mut self, now: Instant) -> bool {
        if !self.statistics.is_due(now) || self.pieces.settings.sysctls.run_estimation == 0 {
            return false;
        }
        for (slot, row) in self.destinations.iter().enumerate() {
            let Some(row) = row else { continue };
            let id = DestinationId(slot as u32);
            let listed = self.services[row.service.index()].listed.as_ref();
            let same = listed.is_some_and(|service| service.object == row.object);
            self.statistics.collect(id, same.then_some(row.service), self.ledgers.counters(id));
            if row.is_listed {
                self.statistics.estimate_destination(id);
            }
        }
        for &id in self.order.values() {
            self.statistics.estimate_service(id);
        }
        self.statistics.estimate_total();
        true
    }

    /// Garbage collection of the address maps of lblc and lblcr; every second.
    pub fn collect_locality(&self, now: Instant) {
        for service in self.pieces.services.iter() {
            let expiration = match service.scheduler.kind() {
                SchedulerKind::Lblc => self.sysctls().lblc_expiration,
                SchedulerKind::Lblcr => self.sysctls().lblcr_expiration,
                _ => continue,
            };
            service.scheduler.collect(now, u32::try_from(expiration).unwrap_or(0));
        }
    }
}
