//! Details of IPVS that are not obvious, packet by packet, as observed on a kernel director.
//!
//! * `connection_reuse`: connections replaced by a SYN; `errors`: ICMP errors about connections
//! * `lifetimes`: states and timers; `templates`: persistence templates as listed
//! * `martians`: invalid source and destination addresses
//! * `servers`: packets from servers without a connection; `ipsec`: AH and ESP; `sip`: persistence by call

#[path = "../support/mod.rs"]
mod support;

#[path = "../pipeline/scene.rs"]
#[expect(dead_code, reason = "shared with the packet tables, which use all of it")]
mod scene;

mod connection_reuse;
mod errors;
mod ipsec;
mod lifetimes;
mod martians;
mod servers;
mod sip;
mod templates;
