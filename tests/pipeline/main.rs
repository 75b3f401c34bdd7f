//! Packet tables through the real worker: frames in by memory ports, frames out to the byte, the clock moved by hand.

#[path = "../support/mod.rs"]
mod support;

mod direct;
