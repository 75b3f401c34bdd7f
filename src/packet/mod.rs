//! Headers, checksums, parsing and the Toeplitz hash. Every length is checked before a byte is read.

mod address;
mod tuple;

pub use address::Address;
pub use tuple::Tuple;
