//! Shared by the benches: snapshots, frames, queues without devices, a clock and a report.

#![allow(dead_code, reason = "each bench uses a part")]

pub mod bench_setup;
pub mod clock;
pub mod meter;
pub mod report;
pub mod stock;
pub mod testbed;
pub mod traffic;
pub mod wire;
