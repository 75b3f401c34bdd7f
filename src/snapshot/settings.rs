//! The settings that decide about packets.

use crate::model::{MssClamp, Sysctls, Timeouts};

/// `net.ipv4.vs` settings, timeouts, what the defence currently does, and the MSS clamp.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub sysctls: Sysctls,
    pub timeouts: Timeouts,
    /// The second TCP state table is in force (`secure_tcp`).
    pub secure_tcp: bool,
    /// Every this many-th packet that would be scheduled is dropped; 0: none.
    pub drop_packet_rate: u32,
    /// `drop_entry` is at work.
    pub drop_entry: bool,
    /// A backup sync daemon runs and `backup_only` is set: inbound processing is off.
    pub inbound_off: bool,
    /// How large a maximum segment size SYNs may announce.
    pub mss_clamp: MssClamp,
}
