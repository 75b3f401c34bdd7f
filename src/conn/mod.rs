//! One worker's connections: where they are kept, when they end, what state they are in.
//!
//! * `table`: the connections of one worker and one address family. `index` finds them by the `hash` of a tuple,
//!   in `bucket`s; `wheel` by time; `memory` holds the pages
//! * `expiry`: the end of connections; `connection`: an entry and its flags
//! * `state`: what a packet does to a connection, by protocol (`tcp`, `udp`, `sctp`); `steps`: all of that worked out
//! * `template`, `template_key`: persistence templates, the one thing here that workers share
//!
//! A table is owned by one thread and takes no lock. Time comes in as wrapping milliseconds.

mod bucket;
mod call_ids;
mod connection;
mod expiry;
mod hash;
mod index;
mod memory;
pub mod sctp;
pub mod state;
mod steps;
mod table;
pub mod tcp;
pub mod template;
mod template_key;
pub mod udp;
mod wheel;

pub use connection::{
    CachedReplyRoute, Connection, ConnectionId, Direction, Flags, Method, NO_DESTINATION,
    NO_TEMPLATE,
};
pub use expiry::Expiry;
pub use hash::{Hash, Key};
pub use memory::OutOfMemory;
pub use state::{Mode, Side, Step};
pub use steps::Steps;
pub use table::{Hint, Table, TableError, TableFull};
pub use template::{TemplateId, Templates};
pub use template_key::TemplateKey;

#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod template_tests;
