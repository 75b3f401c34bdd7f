//! The real workers over memory ports, for tests of whole packets: `testbed` edits the desired state and builds
//! snapshots, `director` runs the workers and moves the clock.

// Two test programs share this module, and neither uses all of it.
#![allow(dead_code, unused_imports)]

pub mod director;
pub mod testbed;

pub use director::{Outcome, Punted, TestDirector};
pub use testbed::{
    LAN, LAN_MAC, ROUTER_MAC, TestSnapshot, VIP, VIP6, WAN, WAN_MAC, on, server_mac,
};
