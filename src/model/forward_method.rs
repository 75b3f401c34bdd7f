//! How a request reaches its destination.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardMethod {
    /// NAT (`-m`): destination address and port are rewritten, replies are translated back.
    Masq,
    /// Tunnelling (`-i`): the packet is encapsulated.
    Tunnel,
    /// Direct routing (`-g`): only the link-layer header changes.
    Route,
}

/// Which address a destination's replies have when they pass the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplySource {
    /// The destination's own: the director translates them back.
    Destination,
    /// The virtual address: the destination answers as the virtual service.
    VirtualAddress,
}

impl ForwardMethod {
    /// Which address replies come from.
    pub const fn replies_from(self) -> ReplySource {
        match self {
            ForwardMethod::Masq => ReplySource::Destination,
            ForwardMethod::Tunnel | ForwardMethod::Route => ReplySource::VirtualAddress,
        }
    }

    /// Requests are encapsulated: the destination may be of the other address family and has a kind of tunnel.
    pub const fn encapsulates(self) -> bool {
        match self {
            ForwardMethod::Tunnel => true,
            ForwardMethod::Masq | ForwardMethod::Route => false,
        }
    }

    /// The destination may listen at another port than the virtual service.
    pub const fn maps_ports(self) -> bool {
        match self {
            ForwardMethod::Masq => true,
            ForwardMethod::Tunnel | ForwardMethod::Route => false,
        }
    }

    /// The word in ipvsadm's listings.
    pub const fn name(self) -> &'static str {
        match self {
            ForwardMethod::Masq => "Masq",
            ForwardMethod::Tunnel => "Tunnel",
            ForwardMethod::Route => "Route",
        }
    }

    /// The ipvsadm option that selects it.
    pub const fn option(self) -> &'static str {
        match self {
            ForwardMethod::Masq => "-m",
            ForwardMethod::Tunnel => "-i",
            ForwardMethod::Route => "-g",
        }
    }
}
