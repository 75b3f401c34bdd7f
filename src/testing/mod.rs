//! What tests and benches build packets with. No part of the daemon calls it.

mod address;
mod builder;
mod upper;

pub use address::AddressText;
pub use builder::{FrameBuilder, PacketBuilder, frame};
