//! Work beside packets, a bounded slice per poll: expiry, the `drop_entry` defence, table jobs, the RSS check.

pub mod drop_entry;
mod expire;
pub mod jobs;
pub mod rss_check;
