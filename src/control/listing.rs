//! Listings of services with their destinations, a bounded piece at a time.

use super::desired::Desired;
use crate::api::Reply;
use crate::limits::REPLY_ROWS;
use crate::model::{
    DestinationId, DestinationRow, DestinationSpec, ServiceId, ServiceRow, ServiceSpec,
};

/// A listing under way: newest service first. What changes behind it is not seen, what changes ahead of it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing {
    /// Number of the last service told.
    last: Option<u64>,
}

impl Listing {
    /// The next piece: services with at most [`REPLY_ROWS`] rows of services and destinations together, or a single
    /// longer service. `None`: the listing is complete.
    pub fn next(&mut self, desired: &Desired) -> Option<Reply> {
        let (mut rows, mut pieces) = (0, Vec::new());
        for (number, id, spec) in desired.services_before(self.last) {
            let row = service_row(desired, id, spec);
            rows += 1 + row.destinations.len();
            if rows > REPLY_ROWS && !pieces.is_empty() {
                break;
            }
            pieces.push(row);
            self.last = Some(number);
            if rows >= REPLY_ROWS {
                break;
            }
        }
        (!pieces.is_empty()).then_some(Reply::Services(pieces))
    }
}

/// A service with its destinations, newest first. Connections are as of now, counters and rates of the last
/// estimation.
pub fn service_row(desired: &Desired, id: ServiceId, spec: &ServiceSpec) -> ServiceRow {
    let shown = desired.statistics().service(id);
    let destinations = desired.destinations(id);
    ServiceRow {
        spec: spec.clone(),
        counters: shown.counters,
        rates: shown.rates,
        destinations: destinations.map(|(id, spec)| destination_row(desired, id, spec)).collect(),
    }
}

fn destination_row(desired: &Desired, id: DestinationId, spec: &DestinationSpec) -> DestinationRow {
    let connections = desired.destination_stats().connections(id);
    let shown = desired.statistics().destination(id);
    DestinationRow {
        spec: *spec,
        weight: desired.effective(id).weight,
        origin: desired.origin(id),
        overlays: desired.overlays(id).collect(),
        active_connections: connections.active,
        inactive_connections: connections.inactive,
        persistent_connections: connections.persistent,
        counters: shown.counters,
        rates: shown.rates,
    }
}
