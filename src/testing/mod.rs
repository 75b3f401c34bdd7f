//! Builders of packets for tests and benches, and what a test reads of the log. The daemon does not use them.

mod address;
mod builder;
mod lines;
mod upper;

pub use address::AddressText;
pub use builder::{FrameBuilder, PacketBuilder, frame};
pub use lines::logged;
