//! Packet tables through the real worker: frames enter and leave through memory ports, every byte is compared, and the
//! test moves the clock.
//!
//! * `direct`, `nat`, `tunnel`, `mtu`, `mss`: how a forwarding method changes a packet
//! * `icmp`, `fragments`, `unbalanced`: ICMP errors, fragments, packets of no service; `host_stack`: those for the host
//! * `states`, `persistence`, `edits`, `defence`: connection states, timers and counters, choice of the server
//! * `fast_path`: changes between the packets of a connection; `fast_path_equivalence`: compared with the full path
//! * `own_packets`: what the director itself sends about packets of connections
//! * `hand_off`: several workers; `scene`: the common setup

#[path = "../support/mod.rs"]
mod support;

mod defence;
mod direct;
mod edits;
mod fast_path;
mod fast_path_equivalence;
mod fragments;
mod hand_off;
mod host_stack;
mod icmp;
mod mss;
mod mtu;
mod nat;
mod own_packets;
mod persistence;
mod scene;
mod start;
mod states;
mod tunnel;
mod unbalanced;
