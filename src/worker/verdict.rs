//! What the pipeline decides about one packet.

use super::steer::Workers;
use crate::model::PortId;
use crate::service::NextHopId;
use crate::stop::{DropReason, PuntReason};
use std::net::IpAddr;

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Rewritten; the next hop's Ethernet header is all that is missing. A packet larger than `mtu` is fragmented.
    Send {
        next_hop: NextHopId,
        ethertype: u16,
        mtu: u16,
    },
    /// As `Send`, to a neighbour nobody knows the address of yet.
    Resolve {
        port: PortId,
        address: IpAddr,
        ethertype: u16,
    },
    /// Another worker has, or is to have, its connection.
    HandOff {
        to: u16,
        visit: Visit,
    },
    Punt(PuntReason),
    /// Larger than the next link takes: the MTU to report.
    TooBig(u16),
    /// A later fragment that came before its first.
    Wait,
    Drop(DropReason),
}

/// Whether a packet has been on other workers, and which may still have its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Straight from the queue.
    First,
    /// Handed over, with those to ask next.
    Passed(Workers),
    /// Handed over for good: the home of the flow decides.
    Last,
}

impl Verdict {
    /// The packet goes out.
    #[inline]
    pub(super) fn is_sent(&self) -> bool {
        matches!(self, Verdict::Send { .. } | Verdict::Resolve { .. })
    }
}

impl From<DropReason> for Verdict {
    fn from(reason: DropReason) -> Self {
        Verdict::Drop(reason)
    }
}
