//! The control thread: desired state, ARP and neighbour discovery, ICMP, statistics.
//!
//! * `director`: the thread's loop, which ties the rest together
//! * `desired`: services and destinations as commands made them, kept as the pieces of the next snapshot
//! * `slow_path`: the director as a host: ARP, neighbour discovery, ICMP
//! * `ledgers`, `estimator`, `listing`, `connections`, `reports`: what is counted, and what listings show of it
//! * `defence`: which measures are in force
//! * `world`: from the configuration to routes, marks and interfaces
//! * `server`, `outbox`: the control socket; the way to the wire

mod connections;
pub mod defence;
pub mod desired;
mod director;
pub mod estimator;
pub mod ledgers;
pub mod listing;
mod outbox;
mod reports;
pub mod server;
pub mod slow_path;
pub mod world;

pub use director::{Director, Ports};
pub use reports::Facts;
