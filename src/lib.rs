//! An LVS director on DPDK.
//!
//! The modules, bottom up; each imports only from those above it in this list:
//!
//! * `limits`, `time`, `model`: every bound, time as an argument, the nouns
//! * `stop`: why a packet leaves the fast path
//! * `port`: frames in, frames out; implemented by `dpdk` and by plain memory
//! * `packet`: headers, checksums, parsing, the Toeplitz hash
//! * `testing`: what tests and benches build packets with
//! * `route`, `scheduler`, `conn`: where addresses are; picking a destination; one worker's connections
//! * `service`: the immutable snapshot that workers read
//! * `forward`: rewriting a packet by DR, NAT or TUN
//! * `worker`: the poll loop and a packet's way through it
//! * `config`, `api`: the configuration file; what the tools and the daemon say to each other
//! * `control`: desired state, ARP and ND, ICMP, statistics
//! * `cli`: the grammar and the listings of ipvsadm and directorctl
//! * `dpdk`: the safe face of DPDK

#![deny(unsafe_code)]

pub mod api;
pub mod cli;
pub mod config;
#[allow(unsafe_code)]
pub mod conn;
pub mod control;
pub mod forward;
pub mod limits;
pub mod model;
pub mod packet;
pub mod port;
pub mod route;
pub mod scheduler;
pub mod service;
pub mod stop;
pub mod testing;
pub mod time;
pub mod worker;

#[cfg(feature = "dpdk")]
#[allow(unsafe_code)]
pub mod dpdk;
