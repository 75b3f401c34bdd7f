//! Headers, checksums, parsing and the Toeplitz hash. Every length is checked before a byte is read.
//!
//! * `parse`: a packet's headers, checked and summed up; `extension` and `quoted` are parts of it; `tunnelled`: what a
//!   quoted tunnel packet holds
//! * `ethernet`, `ipv4`, `ipv6`, `tcp`, `udp`, `sctp`, `icmp`: one header each, read and written in place; `ports`: what
//!   three of them begin with
//! * `arp`, `ndp`: who has an address; `icmp_error`, `tcp_reset`: what is said to packets that go nowhere
//! * `sip`: a call's name; `checksum`: the Internet checksum, whole and incremental; `toeplitz`: the hash of RSS; `rss`: what a NIC hashes

mod address;
pub mod arp;
pub mod checksum;
pub mod ethernet;
mod extension;
pub mod icmp;
pub(crate) mod icmp_error;
pub mod ipv4;
pub mod ipv6;
pub mod membership;
pub mod ndp;
pub(crate) mod parse;
mod ports;
mod quoted;
pub mod rss;
pub mod sctp;
pub(crate) mod sip;
pub mod tcp;
pub(crate) mod tcp_reset;
pub mod toeplitz;
pub(crate) mod tunnelled;
mod tuple;
pub mod udp;
pub mod wire;

pub use address::Address;
pub use parse::{Fragment, Packet, Parse, Role};
pub use toeplitz::Toeplitz;
pub use tuple::Tuple;
