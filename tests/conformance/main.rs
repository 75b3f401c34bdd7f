//! IPVS to the letter where it is not obvious: what a kernel director was seen to do, packet by packet.
//!
//! * `successors`: a connection that makes way for another; `errors`: ICMP about connections, theirs and ours
//! * `lifetimes`: states and timers of whole conversations; `templates`: persistence as listings show it
//! * `martians`: addresses nobody has
//! * `servers`: what servers send unasked; `ipsec`: AH and ESP beside their key exchange; `sip`: calls

#[path = "../support/mod.rs"]
mod support;

#[path = "../pipeline/scene.rs"]
#[expect(dead_code, reason = "shared with the packet tables, which use all of it")]
mod scene;

mod errors;
mod ipsec;
mod lifetimes;
mod martians;
mod servers;
mod sip;
mod successors;
mod templates;
