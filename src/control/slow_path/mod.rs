//! Packets for the director itself.

mod local;
mod neighbours;
mod rate_limit;

pub use neighbours::{Neighbour, NeighbourState, NextHop};
