//! An LVS director on DPDK.
//!
//! The modules, lowest first. Each imports only from modules that are listed before it. `tests/architecture/main.rs`
//! checks this:
//!
//! * `limits`, `model`, `time`: every bound; the types of LVS; time as an argument
//! * `rate`, `reason`: token buckets; drop and punt reasons
//! * `io`: receives and sends frames; implemented by `dpdk` and by plain memory
//! * `packet`: headers, checksums, parsing, the Toeplitz hash
//! * `dpdk`: the safe wrapper of DPDK
//! * `testing`: builders of frames for tests and benches
//! * `conn`, `route`, `scheduler`: the connections of one worker; the routing table; choice of a destination
//! * `snapshot`: the immutable configuration that workers read, and its publication
//! * `rewrite`: rewriting a packet for DR, NAT or TUN
//! * `worker`: the poll loop and the packet path
//! * `host`, `kernel_port`: the director as an IP host: ARP, neighbour discovery, ICMP, announcements; the host's own stack
//!   on the director's ports
//! * `api`: the protocol between the tools and the daemon
//! * `query`: questions about a running director: arguments, rows, text and answers
//! * `cli`, `config`: ipvsadm's and directorctl's grammar and listings; the configuration file
//! * `control`, `doctor`: the control thread: desired state, commands, statistics; whether a machine can run the director
//!
//! The binaries use all of them: `directord` connects the parts, `ipvsadm` and `directorctl` send it requests.

#![deny(unsafe_code)]
// What is not used outside the library is not `pub`, so that the compiler finds dead code.
#![deny(unreachable_pub)]
// A panic would end the daemon and all connections. `#[expect]` marks code that cannot fail, with the reason.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![deny(clippy::todo, clippy::unimplemented, clippy::unreachable, clippy::dbg_macro)]

// Indexing is denied where it is not needed. Elsewhere lengths are checked before slices are indexed.
#[deny(clippy::indexing_slicing)]
pub mod limits;
#[deny(clippy::indexing_slicing)]
pub mod model;
#[deny(clippy::indexing_slicing)]
pub mod time;

#[deny(clippy::indexing_slicing)]
pub mod rate;
#[deny(clippy::indexing_slicing)]
pub mod reason;

pub mod io;

pub mod packet;

#[cfg(feature = "dpdk")]
#[allow(unsafe_code)]
pub mod dpdk;

#[cfg(any(test, feature = "testing"))]
#[allow(clippy::panic, clippy::expect_used)]
pub mod testing;

#[allow(unsafe_code)]
pub mod conn;
pub mod route;
pub mod scheduler;

pub mod snapshot;

pub mod rewrite;

pub mod worker;

pub mod host;
#[deny(clippy::indexing_slicing)]
pub mod kernel_port;

#[deny(clippy::indexing_slicing)]
pub mod api;

pub mod query;

pub mod cli;
pub mod config;

pub mod control;
#[deny(clippy::indexing_slicing)]
pub mod doctor;
