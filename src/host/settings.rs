//! Settings of the director's own answers.

use super::rate_limit::Limit;
use crate::model::Unserved;
use crate::rate::Rate;

/// How the host answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub unserved: Unserved,
    /// ICMP errors except "fragmentation needed".
    pub errors_v4: Limit,
    /// ICMPv6 errors except "packet too big".
    pub errors_v6: Limit,
    /// Echo replies.
    pub echo: Limit,
    /// Resets, "fragmentation needed" and "packet too big".
    pub others: Limit,
    /// How often a new address is announced, one second apart; 0: never.
    pub announcements: u8,
}

impl Default for Settings {
    /// Linux's limits where it has any: 1,000 errors a second in bursts of 50 (icmp_msgs_per_sec, icmp_msgs_burst), and
    /// for each host one a second in bursts of 6 (icmp_ratelimit); for ICMPv6 16 a second, as Linux counts for hosts
    /// behind a default route. Answers that Linux does not limit are bounded to protect the control thread.
    /// Announcements: RFC 4861's MAX_NEIGHBOR_ADVERTISEMENT, for ARP too.
    fn default() -> Self {
        let errors = |per_second| Limit {
            overall: Rate::new(1000, 50),
            per_host: Some(Rate::new(per_second, 6)),
        };
        let bounded = Limit { overall: Rate::new(10_000, 1000), per_host: None };
        Settings {
            unserved: Unserved::Reject,
            errors_v4: errors(1),
            errors_v6: errors(16),
            echo: bounded,
            others: bounded,
            announcements: 3,
        }
    }
}
