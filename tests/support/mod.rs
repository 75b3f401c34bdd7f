//! The real workers over memory ports, for tests that look at whole packets: `world` is the desired state and makes
//! snapshots of it, `director` runs the workers and moves the clock.

// Two test programs share this room; neither opens every drawer.
#![allow(dead_code, unused_imports)]

pub mod director;
pub mod world;

pub use director::{Director, Outcome, Punted};
pub use world::{LAN, LAN_MAC, ROUTER_MAC, VIP, VIP6, WAN, WAN_MAC, World, server_mac};
