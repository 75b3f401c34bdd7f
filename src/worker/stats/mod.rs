//! Counters of a worker: per queue, per destination, and the connection counts for schedulers.

pub(in crate::worker) mod conn_counts;
pub mod counters;
pub(crate) mod destination_stats;
