//! The input of a scheduler: candidates, the packet's flow, and the load.

use crate::model::{DestinationAddress, DestinationId};
use std::net::IpAddr;

/// A destination as schedulers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub id: DestinationId,
    pub address: IpAddr,
    /// 0: the packet's own port is kept.
    pub port: u16,
    /// 0: quiesced, gets no new connection. At most 2^31 - 1.
    pub weight: u32,
}

impl Candidate {
    /// Identity of the destination that survives its removal and re-adding.
    pub(super) fn server(&self) -> DestinationAddress {
        DestinationAddress { address: self.address, port: self.port }
    }
}

/// The load of the candidates, by their index in the list.
pub trait Load {
    /// ActiveConn.
    fn active(&self, index: usize) -> u32;
    /// InActConn.
    fn inactive(&self, index: usize) -> u32;
    /// Whether the upper connection threshold keeps new connections away.
    fn overloaded(&self, index: usize) -> bool;
}

/// The flow of the packet that opens a connection, from the client to the service. If an ICMP error opens it, the caller
/// reverses the quoted tuple first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
}

/// One edit of a service's list of destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added(DestinationId),
    Removed(DestinationId),
    Edited(DestinationId),
}

/// Whether candidate `index` may be given a new connection.
#[inline]
pub(super) fn eligible(candidates: &[Candidate], load: &impl Load, index: usize) -> bool {
    candidates[index].weight > 0 && !load.overloaded(index)
}
