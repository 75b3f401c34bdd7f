//! Counting of connections and packets: in destination statistics, persistence templates, and the worker's own
//! counters.

use crate::conn::template::{Template, TemplateId, Templates};
use crate::conn::{Connection, NO_TEMPLATE};
use crate::model::DestinationId;
use crate::packet::Address;
use crate::snapshot::Snapshot;
use crate::time::Instant;
use crate::worker::stats::conn_counts::ConnCounts;
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::stats::destination_stats::DestinationStats;
use std::sync::Arc;

/// Everything that a worker counts.
pub(super) struct Accounts {
    pub(super) conn_counts: ConnCounts,
    pub(super) templates: Arc<Templates>,
    pub(super) counters: Arc<WorkerCounters>,
}

impl Accounts {
    /// This worker's statistics of a destination.
    #[inline]
    pub(super) fn stats_of(&self, destination: u32) -> Option<&DestinationStats> {
        self.conn_counts.own().get(DestinationId(destination))
    }

    /// Counts a packet to a client. Packets of a removed destination are not counted.
    #[inline(always)]
    pub(super) fn count_reply(&self, snapshot: &Snapshot, destination: u32, length: u16) {
        let available =
            snapshot.destinations.get(destination as usize).is_some_and(|to| to.available);
        if available && let Some(stats) = self.stats_of(destination) {
            stats.count_out(length);
        }
    }

    /// Counts a new connection to a destination.
    pub(super) fn conn_added(&self, snapshot: &Snapshot, destination: u32) {
        if let Some(stats) = self.stats_of(destination) {
            stats.count_connection();
            stats.conn_added(false);
        }
        self.update_overload(snapshot, destination);
    }

    /// Removes a connection that has left the table from the counts of its destination and template.
    pub(super) fn conn_removed<A: Address>(
        &self,
        snapshot: &Snapshot,
        connection: &Connection<A>,
        now: Instant,
    ) {
        if connection.template != NO_TEMPLATE {
            self.templates.release(TemplateId(connection.template), now);
        }
        if let Some(stats) = self.stats_of(connection.destination) {
            stats.conn_removed(connection.is_active());
            self.update_overload(snapshot, connection.destination);
        }
    }

    /// Applies the connection thresholds of a destination after its number of connections has changed.
    pub(super) fn update_overload(&self, snapshot: &Snapshot, destination: u32) {
        if let Some(limits) = snapshot.destinations.get(destination as usize) {
            self.conn_counts.update_overload(DestinationId(destination), limits);
        }
    }

    /// Removes a persistence template without connections, if `unwanted` agrees.
    pub(super) fn end_template(&self, template: u32, unwanted: impl FnOnce(&Template) -> bool) {
        if template != NO_TEMPLATE
            && let Some(template) = self.templates.remove_if(TemplateId(template), unwanted)
            && let Some(stats) = self.stats_of(template.destination)
        {
            stats.template_removed();
        }
    }
}
