//! What `-L` prints: rows to text, to the byte as ipvsadm 1.31 does.

mod address_text;
pub mod connections;
mod order;
mod quantity;
pub mod services;
pub mod settings;

pub use address_text::AddressText;
pub use order::{order_as_kept, sort_destinations, sort_services};
