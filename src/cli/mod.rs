//! The command line tools: the grammar and the listings of ipvsadm and directorctl.
//!
//! Both send requests of [`api`](crate::api) to a running director. Parsers turn arguments into values, printers turn
//! rows into text, so both are tested without a director.

mod changes;
pub mod directorctl;
pub mod ipvsadm;

use crate::api::{DEFAULT_SOCKET, SOCKET_VARIABLE};
use std::path::PathBuf;

/// Path of the director's socket: from the environment, else the built-in one.
pub fn socket_path() -> PathBuf {
    std::env::var_os(SOCKET_VARIABLE).map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from)
}
