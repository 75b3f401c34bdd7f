//! Packets for the director itself.

mod neighbours;

pub use neighbours::{Neighbour, NeighbourState, NextHop};
