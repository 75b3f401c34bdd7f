//! The control thread: desired state, ARP and neighbour discovery, ICMP, statistics.
//!
//! * `control_loop`: the thread's loop, which ties the rest together
//! * `desired`: services and destinations as commands made them, kept as the pieces of the next snapshot
//! * `host`: the director as a host: ARP, neighbour discovery, ICMP
//! * `destination_totals`, `estimator`, `busy`: what is counted
//! * `defence`: which measures are in force
//! * `topology`: turns the configuration into routes, marks and interfaces
//! * `server`, `outbox`: the control socket; the way to the wire

mod busy;
mod control_loop;
pub mod defence;
pub mod desired;
pub mod destination_totals;
pub mod estimator;
mod outbox;
pub mod server;
pub mod topology;

pub use control_loop::{Control, Ports};
