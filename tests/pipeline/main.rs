//! Packet tables through the real worker: frames in by memory ports, frames out to the byte, the clock moved by hand.
//!
//! * `direct`, `nat`, `tunnel`, `mtu`, `mss`: what a packet becomes, by forwarding method
//! * `icmp`, `fragments`, `unbalanced`: what is not a whole packet of a service
//! * `states`, `persistence`, `edits`, `defence`: which server, for how long, and what is counted
//! * `fast_path`: what comes between the packets of a connection; `fast_path_equivalence`: the full path ends the same
//! * `hand_off`: several workers; `scene`: what all of them start from

#[path = "../support/mod.rs"]
mod support;

mod defence;
mod direct;
mod edits;
mod fast_path;
mod fast_path_equivalence;
mod fragments;
mod hand_off;
mod icmp;
mod mss;
mod mtu;
mod nat;
mod persistence;
mod scene;
mod start;
mod states;
mod tunnel;
mod unbalanced;
