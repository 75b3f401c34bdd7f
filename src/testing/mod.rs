//! Builders of packets for tests and benches. The daemon does not use them.

mod address;
mod builder;
mod upper;

pub use address::AddressText;
pub use builder::{FrameBuilder, PacketBuilder, frame};
