//! The protocol between the command line tools and the daemon.
//!
//! One JSON value per line over a Unix stream socket. A client sends requests in an [`Envelope`];
//! the daemon answers each with one or more [`Reply`] lines. The last line is
//! [`Reply::End`] or [`Reply::Failed`]. Large listings come in pieces of at most
//! [`REPLY_ROWS`](crate::limits::REPLY_ROWS) rows, so the daemon never holds a whole listing.

mod client;
mod reply;
mod request;

pub use client::{Client, ClientError, connect_stream};
pub use reply::{Reply, Rows};
pub use request::{Command, Envelope, Refusal, RefusalCode, Request, SyncDaemon, SyncRole};

/// Version of the protocol; both sides must agree.
pub const PROTOCOL_VERSION: u32 = 2;

/// Where the service manager's unit finds the configuration.
pub const DEFAULT_CONFIG: &str = "/etc/director/director.toml";

/// Where the daemon listens unless configured otherwise.
pub const DEFAULT_SOCKET: &str = "/run/director/control.sock";

/// Default of the tools' wait for each piece of an answer.
pub const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Longest timeout that the tools accept, in seconds: one day.
pub const TIMEOUT_MAX: u64 = 86_400;

/// Environment variable with the tools' timeout, in whole seconds.
pub const TIMEOUT_VARIABLE: &str = "DIRECTOR_TIMEOUT";

/// Environment variable with the path of the socket that the tools use.
pub const SOCKET_VARIABLE: &str = "DIRECTOR_SOCKET";
