//! An LVS director on DPDK.
//!
//! The modules, bottom up. Each imports only from lines above its own, which `tests/architecture.rs` sees to:
//!
//! * `limits`, `model`, `time`: every bound; the nouns of LVS; time as an argument
//! * `stop`: why a packet leaves the fast path
//! * `port`: frames in, frames out; implemented by `dpdk` and by plain memory
//! * `packet`: headers, checksums, parsing, the Toeplitz hash
//! * `dpdk`: the safe face of DPDK
//! * `testing`: what tests and benches build packets with
//! * `conn`, `route`, `scheduler`: one worker's connections; where addresses are; picking a destination
//! * `service`: the immutable snapshot that workers read
//! * `forward`: rewriting a packet by DR, NAT or TUN
//! * `worker`: the poll loop and a packet's way through it
//! * `api`: what the tools and the daemon say to each other
//! * `cli`, `config`: ipvsadm's and directorctl's words and listings; the configuration file
//! * `control`: desired state, ARP and ND, ICMP, statistics
//!
//! Above them stand the binaries: `directord` puts the parts together, `ipvsadm` and `directorctl` ask it.

#![deny(unsafe_code)]

pub mod limits;
pub mod model;
pub mod time;

pub mod stop;

pub mod port;

pub mod packet;

#[cfg(feature = "dpdk")]
#[allow(unsafe_code)]
pub mod dpdk;

pub mod testing;

#[allow(unsafe_code)]
pub mod conn;
pub mod route;
pub mod scheduler;

pub mod service;

pub mod forward;

pub mod worker;

pub mod api;

pub mod cli;
pub mod config;

pub mod control;
