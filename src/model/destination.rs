//! A destination (real server) of a service, as an operator describes it.

use super::ForwardMethod;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What identifies a destination inside its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DestinationAddress {
    pub address: IpAddr,
    /// 0: the packet's own port is kept.
    pub port: u16,
}

impl fmt::Display for DestinationAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(out)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DestinationSpec {
    pub at: DestinationAddress,
    pub method: ForwardMethod,
    /// Weight; 0 quiesces the destination. At most 2^31 - 1.
    pub weight: u32,
    /// Upper threshold: at this number of connections the destination gets no new ones. 0: no limit.
    pub upper_threshold: u32,
    /// Lower threshold: below this number of connections it gets new ones again. 0: three quarters of the upper
    /// threshold.
    pub lower_threshold: u32,
    /// Used by [`ForwardMethod::Tunnel`] only.
    pub tunnel: Tunnel,
}

/// The encapsulation of a tunnelled destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tunnel {
    /// IP in IP (RFC 2003), IPv6 tunnelling (RFC 2473).
    #[default]
    Ipip,
    /// Generic UDP Encapsulation to `port`.
    Gue { port: u16, checksum: TunnelChecksum },
    /// Generic Routing Encapsulation (RFC 2784). Never [`TunnelChecksum::Remote`].
    Gre { checksum: TunnelChecksum },
}

impl Tunnel {
    /// The encapsulation without its options.
    pub const fn kind(self) -> TunnelKind {
        match self {
            Tunnel::Ipip => TunnelKind::Ipip,
            Tunnel::Gue { port, .. } => TunnelKind::Gue { port },
            Tunnel::Gre { .. } => TunnelKind::Gre,
        }
    }
}

/// An encapsulation, as the outer headers of a packet tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    Ipip,
    /// To this UDP port.
    Gue {
        port: u16,
    },
    Gre,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelChecksum {
    #[default]
    None,
    Full,
    /// GUE's remote checksum offload.
    Remote,
}
