//! The control thread: desired state, ARP and neighbour discovery, ICMP, statistics.
//!
//! * `control_loop`: punts, messages, timers, events, publishing; it sleeps in between
//! * `tasks`: each duty, one file each; `task` is their contract, `timers` their deadlines, `event` what they hear
//! * `slice`, `turns`: what one turn may do, and how long turns take
//! * `state`: what the tasks share; it holds `batch` (commands under way), `reread` (a reload) and `listings`
//! * `mailbox`, `answers`, `commands`, `reload`, `pieces`, `view`: what other threads ask, and how it is answered
//! * `desired`: services and destinations as commands made them, kept as the pieces of the next snapshot
//! * `destination_totals`, `estimator`, `busy`: what is counted
//! * `defence`: which measures are in force
//! * `topology`: turns the configuration into routes, marks and interfaces
//! * `server`, `outbox`, `notify`: the control socket; the way to the wire; the service manager

mod answers;
mod batch;
mod busy;
mod commands;
mod control_loop;
pub mod defence;
pub mod desired;
pub mod destination_totals;
pub mod estimator;
mod event;
mod listings;
mod mailbox;
mod notify;
mod outbox;
mod pieces;
mod reload;
mod reread;
pub mod server;
mod slice;
mod state;
mod task;
mod tasks;
mod timers;
pub mod topology;
mod turns;
mod view;

use crate::config::PortConfig;
use crate::model::PortId;
use crate::query::PortRows;

pub use control_loop::Control;
pub use mailbox::Rereads;
pub use notify::Notifier;
pub use reread::{Reloader, Reread};

/// What the control thread asks of the ports as devices.
pub trait Ports<F> {
    /// An empty frame that `port` can send.
    fn allocate(&mut self, port: PortId) -> Option<F>;
    /// How to get the rows of all ports, on another thread.
    fn rows(&self) -> PortRows;
    /// The configured addresses may have changed; rows show them.
    fn set_addresses(&mut self, ports: &[PortConfig]);
}
