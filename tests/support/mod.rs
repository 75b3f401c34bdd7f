//! The real workers over memory ports, for tests that look at whole packets: `snapshot` is the desired state and makes
//! snapshots of it, `director` runs the workers and moves the clock.

// Two test programs share this room; neither opens every drawer.
#![allow(dead_code, unused_imports)]

pub mod director;
pub mod testbed;

pub use director::{Outcome, Punted, TestDirector};
pub use testbed::{
    LAN, LAN_MAC, ROUTER_MAC, TestSnapshot, VIP, VIP6, WAN, WAN_MAC, on, server_mac,
};
