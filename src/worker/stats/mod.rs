//! What a worker counts: per queue, per destination, and the connection counts that schedulers compare.

pub(in crate::worker) mod conn_counts;
pub mod counters;
pub(crate) mod destination_stats;
