//! Lists, flows and loads that the scheduler tests share.

use super::candidate::{Candidate, Flow, Load};
use crate::model::DestinationId;
use std::net::Ipv4Addr;

/// Destinations 10.1.0.(10 + n):80 down to 10.1.0.11:80: list order, the last one added first.
pub(super) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let number = weights.len() as u32;
    let ids = (1..=number).rev();
    ids.zip(weights).map(|(id, &weight)| candidate(id, weight)).collect()
}

pub(super) fn candidate(id: u32, weight: u32) -> Candidate {
    let address = Ipv4Addr::from_bits(0x0a01_000a + id).into();
    Candidate { id: DestinationId(id), address, port: 80, weight }
}

pub(super) fn client(address: &str, port: u16) -> Flow {
    Flow {
        source: address.parse().unwrap(),
        destination: Ipv4Addr::new(10, 0, 0, 100).into(),
        source_port: port,
        destination_port: 80,
    }
}

/// Nobody has a connection.
pub(super) struct Idle;

impl Load for Idle {
    fn active(&self, _: usize) -> u32 {
        0
    }
    fn inactive(&self, _: usize) -> u32 {
        0
    }
    fn overloaded(&self, _: usize) -> bool {
        false
    }
}
