//! Programs that stand around a running director and see whether it behaves.
//!
//! * `transcript`, `topology`: what was recorded from a kernel, and the snapshot it was recorded in
//! * `configuration`: that snapshot as the director's configuration file
//! * `frame`, `checksum`: frames in words; sums over them
//! * `compare`, `datagram`, `listing`: what counts as the same frame, datagram and listing
//! * `wire`: a raw socket on an interface, a network namespace of one's own
//! * `tools`: the director's process and its command line tools
//! * `play`: one transcript from start to end
//! * `verdict`: deviations, and the line each transcript ends in
//! * `guest`, `recorder`: a machine with a kernel to record from, and what runs in it
//! * `scenario`, `shrink`, `differential`: random scenarios, the smallest ones that differ, and a run over many
//! * `tunnel`: a TUN device and the headers that a tunnel packet wears (for `decap`)

pub mod checksum;
pub mod compare;
pub mod configuration;
pub mod datagram;
pub mod differential;
pub mod frame;
pub mod guest;
pub mod listing;
pub mod outcome;
pub mod play;
pub mod recorder;
pub mod scenario;
pub mod shrink;
pub mod tools;
pub mod topology;
pub mod transcript;
pub mod tunnel;
pub mod wire;
