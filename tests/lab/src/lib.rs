//! Programs that stand around a running director and see whether it behaves.
//!
//! * `transcript`, `topology`: what was recorded from a kernel, and the snapshot it was recorded in
//! * `configuration`: that snapshot as the director's configuration file
//! * `frame`, `checksum`: frames in words; sums over them
//! * `compare`, `listing`: what counts as the same frame and as the same listing
//! * `wire`: a raw socket on an interface, a network namespace of one's own
//! * `tools`: the director's process and its command line tools
//! * `play`: one transcript from start to end
//! * `verdict`: deviations, and the line each transcript ends in
//! * `tunnel`: a TUN device and the headers that a tunnel packet wears (for `decap`)

pub mod checksum;
pub mod compare;
pub mod configuration;
pub mod frame;
pub mod listing;
pub mod outcome;
pub mod play;
pub mod tools;
pub mod topology;
pub mod transcript;
pub mod tunnel;
pub mod wire;
