//! Settings that affect packets.

use crate::model::{MssClamp, Sysctls, Timeouts};

/// `net.ipv4.vs` settings, timeouts, the current state of the defences, and the MSS clamp.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub sysctls: Sysctls,
    pub timeouts: Timeouts,
    /// The `secure_tcp` state table is in use.
    pub secure_tcp: bool,
    /// Every n-th packet that would be scheduled is dropped; 0: none.
    pub drop_packet_rate: u32,
    /// `drop_entry` is active.
    pub drop_entry: bool,
    /// A backup sync daemon runs and `backup_only` is set: clients' packets are not balanced.
    pub inbound_off: bool,
    /// IPv4 answers from a VIP that come through the director are dropped as martians.
    pub drop_vip_answers: bool,
    /// Maximum MSS that SYNs may announce.
    pub mss_clamp: MssClamp,
}
