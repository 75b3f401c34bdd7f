//! A virtual service, as an operator describes it.

use super::{Family, Protocol, SchedulerFlags, SchedulerKind};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// What identifies a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKey {
    /// Protocol, VIP and port. Port 0 matches every port without a service of its own.
    Address { protocol: Protocol, address: IpAddr, port: u16 },
    /// Packets that carry this firewall mark.
    Fwmark { mark: u32, family: Family },
}

impl ServiceKey {
    pub fn family(&self) -> Family {
        match *self {
            ServiceKey::Address { address, .. } => Family::of(address),
            ServiceKey::Fwmark { family, .. } => family,
        }
    }

    /// The service's port; 0 for a firewall-mark service.
    pub fn port(&self) -> u16 {
        match *self {
            ServiceKey::Address { port, .. } => port,
            ServiceKey::Fwmark { .. } => 0,
        }
    }

    pub fn is_fwmark(&self) -> bool {
        matches!(self, ServiceKey::Fwmark { .. })
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ServiceKey::Address { protocol, address, port } => {
                write!(out, "{protocol} {}", SocketAddr::new(address, port))
            }
            ServiceKey::Fwmark { mark, family: Family::Ipv4 } => write!(out, "FWM {mark}"),
            ServiceKey::Fwmark { mark, family: Family::Ipv6 } => write!(out, "FWM {mark} IPv6"),
        }
    }
}

impl FromStr for ServiceKey {
    type Err = String;

    /// `tcp:10.0.0.100:80`, `udp:[fd00::100]:53`, `fwm:7`, or `fwm6:7` for a firewall mark of IPv6.
    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "{text} is not a service: expected tcp:, udp: or sctp: with address and port, such as tcp:10.0.0.100:80, or fwm: or fwm6: with a mark from 1 on"
            )
        };
        let (kind, at) = text.split_once(':').ok_or_else(error)?;
        let fwmark = |family| match at.parse() {
            Ok(mark @ 1..) => Ok(ServiceKey::Fwmark { mark, family }),
            _ => Err(error()),
        };
        let protocol = match kind.to_ascii_lowercase().as_str() {
            "fwm" => return fwmark(Family::Ipv4),
            "fwm6" => return fwmark(Family::Ipv6),
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(error()),
        };
        let at: SocketAddr = at.parse().map_err(|_| error())?;
        Ok(ServiceKey::Address { protocol, address: at.ip(), port: at.port() })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceSpec {
    pub key: ServiceKey,
    pub scheduler: SchedulerKind,
    pub scheduler_flags: SchedulerFlags,
    /// One-packet scheduling (`-o`): every UDP packet is scheduled separately.
    pub one_packet: bool,
    pub persistence: Option<Persistence>,
    /// `--pe`; only `sip` exists.
    pub persistence_engine: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Persistence {
    /// Persistence timeout: seconds that a client keeps its destination after its last new connection.
    pub timeout_s: u32,
    pub mask: PersistenceMask,
}

/// The part of the client's address that selects the persistence template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersistenceMask {
    /// Any 32-bit mask. With 0.0.0.0 all clients share one template.
    Ipv4(Ipv4Addr),
    /// Prefix length, 1 to 128.
    Ipv6(u8),
}

impl PersistenceMask {
    /// The mask with which every client has its own template.
    pub const fn full(family: Family) -> Self {
        match family {
            Family::Ipv4 => PersistenceMask::Ipv4(Ipv4Addr::BROADCAST),
            Family::Ipv6 => PersistenceMask::Ipv6(128),
        }
    }
}
