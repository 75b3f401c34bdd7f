//! Overlays: temporary changes of how a destination is used. They do not change its specification.

use super::{Origin, ServiceKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One thing that changes how a destination is used. Setting one replaces another of the same [`OverlayKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlay {
    /// The destination fails its health check: it is used as if it were removed.
    Down,
    /// The weight is this share of the specified one, in percent; above 100 it is more.
    Factor { percent: u16 },
    /// A destination that has come up gets this share of its connections, in percent; 100 at most.
    WarmUp { percent: u8 },
    /// No new connections: the weight is 0.
    Drain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlayKind {
    Down,
    Factor,
    WarmUp,
    Drain,
}

impl Overlay {
    pub fn kind(&self) -> OverlayKind {
        match self {
            Overlay::Down => OverlayKind::Down,
            Overlay::Factor { .. } => OverlayKind::Factor,
            Overlay::WarmUp { .. } => OverlayKind::WarmUp,
            Overlay::Drain => OverlayKind::Drain,
        }
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Overlay::Down => out.write_str("down"),
            Overlay::Factor { percent } => write!(out, "factor {percent} %"),
            Overlay::WarmUp { percent } => write!(out, "warm-up {percent} %"),
            Overlay::Drain => out.write_str("drain"),
        }
    }
}

impl fmt::Display for OverlayKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            OverlayKind::Down => "down",
            OverlayKind::Factor => "factor",
            OverlayKind::WarmUp => "warm-up",
            OverlayKind::Drain => "drain",
        })
    }
}

/// Destinations by the address of their server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OverlayTarget {
    pub address: IpAddr,
    /// `None`: with any port.
    #[serde(default)]
    pub port: Option<u16>,
    /// `None`: of every service.
    #[serde(default)]
    pub service: Option<ServiceKey>,
}

impl fmt::Display for OverlayTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(out)?,
            None => self.address.fmt(out)?,
        }
        match self.service {
            Some(service) => write!(out, " of {service}"),
            None => Ok(()),
        }
    }
}

/// An overlay with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnedOverlay {
    pub overlay: Overlay,
    pub origin: Origin,
}

/// How workers use a destination: its specification and all overlays taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Effective {
    pub weight: u32,
    /// False: schedulers do not know it, and its connections are treated as those of a removed destination.
    pub available: bool,
}
