//! Rewrites packets to destinations and their replies, one file for each forwarding method.
//!
//! Every function works in place on a frame with a parsed packet. Connections are not used here.

mod fragment;
mod icmp;
mod layer3;
mod link;
mod mss;
mod nat;
mod ttl;
mod tunnel;

pub use fragment::{fragment_ipv4, fragment_ipv6};
pub use icmp::translate_error;
pub use layer3::{End, Layer3};
pub use link::write_link_header;
pub use mss::clamp_mss;
pub use nat::{translate_destination, translate_source};
pub use ttl::decrement_hop_limit;
pub use tunnel::{Outer, encapsulate};
