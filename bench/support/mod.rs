//! What the benches share: a world to forward in, frames to forward, queues that are no device, a clock and a report.

#![allow(dead_code, reason = "each bench uses a part")]

pub mod clock;
pub mod meter;
pub mod report;
pub mod stand;
pub mod stock;
pub mod traffic;
pub mod wire;
pub mod world;
