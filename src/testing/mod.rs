//! What tests and benches build packets with. No part of the daemon calls it.

mod builder;

pub use builder::{AddressText, PacketBuilder, frame};
