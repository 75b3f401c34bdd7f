//! Periodic work, in a bounded slice per poll: expiry, the `drop_entry` defence, table jobs, the RSS check.

mod drop_entry;
mod expire;
pub(crate) mod jobs;
pub mod rss_check;

use super::egress::Egress;
use super::engine::Engine;
use super::tables::Tables;
use crate::io::Queue;
use crate::snapshot::Snapshot;
use jobs::JobQueue;

/// Entries that a table job visits per poll: a few microseconds even if all miss the cache.
const JOB_BUDGET: usize = 64;

/// Does a slice of all work except the RSS check, which runs with bursts, and updates the gauges for control.
pub(super) fn run<Q: Queue>(
    engine: &mut Engine<Q::Frame>,
    snapshot: &Snapshot,
    egress: &Egress<Q>,
    jobs: &mut JobQueue,
) {
    expire::expire(engine, snapshot, egress);
    jobs.run(engine, snapshot);
    let Tables { ipv4, ipv6 } = &engine.tables;
    engine.accounts.counters.connections_ipv4.set(ipv4.len() as u64);
    engine.accounts.counters.connections_ipv6.set(ipv6.len() as u64);
}
