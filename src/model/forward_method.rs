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

impl ForwardMethod {
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
