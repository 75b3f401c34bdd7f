//! The command line tools: the grammar and the listings of ipvsadm and directorctl.
//!
//! Both speak the protocol of [`api`](crate::api) to a running director. Parsers take words and
//! give a value, printers take rows and give text, so all of it is tested without a director.

mod changes;
pub mod directorctl;
pub mod ipvsadm;

use crate::api::{DEFAULT_SOCKET, SOCKET_VARIABLE};
use std::path::PathBuf;

/// Where the tools look for the director: the environment's word, else the built-in path.
pub fn socket_path() -> PathBuf {
    std::env::var_os(SOCKET_VARIABLE).map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from)
}
