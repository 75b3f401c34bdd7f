//! What `-L` prints: rows to text, to the byte as ipvsadm 1.31 does.

mod address_text;
pub(super) mod connections;
mod order;
mod quantity;
pub(super) mod services;
pub(super) mod settings;

pub(super) use address_text::AddressText;
pub(super) use order::{order_as_kept, sort_destinations, sort_services};
