//! Programs that run around a director to test it.
//!
//! * `transcript`, `topology`: recordings of a kernel, and their network
//! * `configuration`: that network as the director's configuration file
//! * `frame`, `checksum`: descriptions of frames; checksums
//! * `compare`, `datagram`, `listing`: comparison of frames, datagrams and listings
//! * `wire`: raw sockets and network namespaces
//! * `tools`: the director's process and its command line tools
//! * `play`: plays one transcript
//! * `outcome`: deviations, and the result line of each transcript
//! * `guest`, `recorder`: the machine that records, and the program in it
//! * `scenario`, `shrink`, `differential`: random scenarios, the smallest ones that differ, and runs of many
//! * `tunnel`: a TUN device and tunnel headers (for `decap`)

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
