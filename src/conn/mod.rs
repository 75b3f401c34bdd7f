//! One worker's connections: storage, timers and states.
//!
//! * `table`: the connections of one worker and one address family. `index` finds them by the `hash` of a tuple in
//!   `bucket`s, `wheel` by time; `memory` maps the pages
//! * `newest`: connections with the same original tuple; `expiry`: removes expired connections; `connection`: an entry;
//!   `flags`: its forwarding method and flags
//! * `state`: state machines by protocol (`tcp`, `udp`, `sctp`); `step`: one transition; `steps`: all transitions,
//!   precomputed
//! * `template`, `template_key`, `template_cursor`: persistence templates, shared by all workers
//!
//! A table belongs to one thread and has no lock. Times are wrapping milliseconds.

mod bucket;
mod call_ids;
mod connection;
mod expiry;
mod flags;
mod hash;
mod index;
mod memory;
mod newest;
pub(crate) mod sctp;
pub mod state;
mod step;
mod steps;
mod table;
pub(crate) mod tcp;
pub mod template;
mod template_cursor;
mod template_key;
pub(crate) mod udp;
mod wheel;

pub use connection::{
    CachedReplyRoute, Connection, ConnectionId, Direction, NO_DESTINATION, NO_TEMPLATE,
};
pub use expiry::Expiry;
pub use flags::{Flags, Method};
pub use hash::{Hash, Key};
pub use memory::OutOfMemory;
pub use step::{Mode, Side, Step};
pub use steps::Steps;
pub use table::{Hint, Table, TableError, TableFull};
pub use template::{TemplateId, Templates};
pub use template_key::TemplateKey;

#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod template_tests;
