//! The rows of listings: specifications with their counters.

use super::{DestinationSpec, Origin, OwnedOverlay, ServiceSpec};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Totals of a service, a destination or the director. Bytes are IP total lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub connections: u64,
    pub in_packets: u64,
    pub out_packets: u64,
    pub in_bytes: u64,
    pub out_bytes: u64,
}

impl Counters {
    /// Each counter of both, combined.
    pub fn zip_with(self, other: Counters, combine: impl Fn(u64, u64) -> u64) -> Counters {
        Counters {
            connections: combine(self.connections, other.connections),
            in_packets: combine(self.in_packets, other.in_packets),
            out_packets: combine(self.out_packets, other.out_packets),
            in_bytes: combine(self.in_bytes, other.in_bytes),
            out_bytes: combine(self.out_bytes, other.out_bytes),
        }
    }
}

/// Smoothed rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    pub connections: u64,
    pub in_packets: u64,
    pub out_packets: u64,
    pub in_bytes: u64,
    pub out_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    pub spec: ServiceSpec,
    pub counters: Counters,
    pub rates: Rates,
    /// Newest first, the order in which schedulers walk them.
    pub destinations: Vec<DestinationRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DestinationRow {
    /// As its owner wrote it; `ipvsadm -S` saves this.
    pub spec: DestinationSpec,
    /// The effective weight, from the specification and the overlays.
    pub weight: u32,
    /// Who wrote the specification last.
    #[serde(default)]
    pub origin: Origin,
    /// Overlays of the destination. They do not change the specification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<OwnedOverlay>,
    pub active_connections: u32,
    pub inactive_connections: u32,
    pub persistent_connections: u32,
    pub counters: Counters,
    pub rates: Rates,
}

/// One connection or persistence template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// `TCP`, `UDP`, `SCTP`, or `IP` for the template of a firewall-mark service.
    pub protocol: String,
    pub state: String,
    /// Seconds until it expires, rounded down.
    pub expires_s: u32,
    pub client: SocketAddr,
    pub virtual_address: SocketAddr,
    pub destination: SocketAddr,
    /// Persistence engine and its data, if the service uses one.
    pub persistence_engine: Option<(String, String)>,
}
