//! Rows of services and destinations for listings.

use super::Desired;
use crate::model::{
    DestinationId, DestinationRow, DestinationSpec, ServiceId, ServiceRow, ServiceSpec,
};

impl Desired {
    /// A service with its destinations, newest first. Connection counts are current, counters and rates are from the
    /// last estimate.
    pub fn service_row(&self, id: ServiceId, spec: &ServiceSpec) -> ServiceRow {
        let shown = self.statistics().service(id);
        let destinations = self.destinations(id);
        ServiceRow {
            spec: spec.clone(),
            counters: shown.counters,
            rates: shown.rates,
            destinations: destinations.map(|(id, spec)| self.destination_row(id, spec)).collect(),
        }
    }

    fn destination_row(&self, id: DestinationId, spec: &DestinationSpec) -> DestinationRow {
        let connections = self.destination_stats().connections(id);
        let shown = self.statistics().destination(id);
        DestinationRow {
            spec: *spec,
            weight: self.effective(id).weight,
            origin: self.origin(id),
            overlays: self.overlays(id).collect(),
            active_connections: connections.active,
            inactive_connections: connections.inactive,
            persistent_connections: connections.persistent,
            counters: shown.counters,
            rates: shown.rates,
        }
    }
}
