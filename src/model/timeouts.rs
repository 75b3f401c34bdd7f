//! The three timeouts of `ipvsadm --set`.

use serde::{Deserialize, Serialize};

/// Seconds; IPVS's defaults are 900, 120 and 300.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// TCP ESTABLISHED.
    pub tcp: u32,
    /// TCP FIN_WAIT.
    pub tcp_fin: u32,
    pub udp: u32,
}

impl Timeouts {
    /// Longest timeout that may be set: 31 days.
    pub const MAX_S: u32 = 31 * 24 * 3600;
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { tcp: 900, tcp_fin: 120, udp: 300 }
    }
}
