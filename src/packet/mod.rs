//! Headers, checksums, parsing and the Toeplitz hash. Every length is checked before bytes are read.
//!
//! * `parse`: checks and summarises a packet's headers; it uses `extension` and `quoted`. `tunnelled`: the inner packet
//!   of a quoted tunnel packet; `options`: IPv6 options of a packet for the director itself
//! * `ethernet`, `ipv4`, `ipv6`, `tcp`, `udp`, `sctp`, `icmp`: one header each, read and written in place; `ports`:
//!   shared by three of them
//! * `arp`, `ndp`: neighbour discovery; `icmp_error`, `tcp_reset`: answers to packets that cannot be forwarded
//! * `membership`: multicast groups; `sip`: Call-IDs; `checksum`: the Internet checksum, complete and incremental;
//!   `toeplitz`: the RSS hash; `rss`: the fields that a NIC hashes

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
pub(crate) mod options;
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

pub use address::{Address, bits, slot_of};
pub use parse::{Fragment, Packet, Parse, Role};
pub use toeplitz::Toeplitz;
pub use tuple::Tuple;
