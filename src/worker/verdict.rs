//! What the pipeline decides about one packet.

use crate::packet::ethernet::EtherType;
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::NextHopId;
use crate::worker::steering::Workers;

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Rewritten; the next hop's Ethernet header is all that is missing.
    Send {
        next_hop: NextHopId,
        ether_type: EtherType,
    },
    /// As `Send`, but larger than the link takes, and it may be fragmented.
    Fragment {
        next_hop: NextHopId,
        ether_type: EtherType,
        mtu: u16,
    },
    /// Rewritten, and routed by its destination to a neighbour nobody knows the address of yet.
    Resolve,
    /// Another worker may have its connection: the first of these is asked, then the next. Never empty.
    Probe(Workers),
    /// Another worker is the home of its flow and decides.
    HandOff {
        to: u16,
    },
    Punt(PuntReason),
    /// Larger than the next link takes: the MTU to report.
    TooBig(u16),
    /// A later fragment that came before its first.
    Hold,
    Drop(DropReason),
}

// Two registers: a verdict is returned without a detour through entry.
const _: () = assert!(size_of::<Verdict>() == 16);

/// Whether a packet has been on other workers, and which may still have its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handoff {
    /// Straight from the queue.
    None,
    /// Handed over, with those to ask next.
    Probing(Workers),
    /// Handed over for good: the home of the flow decides.
    Final,
}

impl Verdict {
    /// Sends a packet of `length` octets over a link that takes `mtu`.
    #[inline(always)]
    pub(super) fn send(next_hop: NextHopId, ether_type: EtherType, length: u16, mtu: u16) -> Self {
        match length > mtu {
            true => Verdict::Fragment { next_hop, ether_type, mtu },
            false => Verdict::Send { next_hop, ether_type },
        }
    }

    /// The packet goes out.
    #[inline]
    pub(super) fn is_sent(&self) -> bool {
        matches!(self, Verdict::Send { .. } | Verdict::Fragment { .. } | Verdict::Resolve)
    }
}

impl From<DropReason> for Verdict {
    fn from(reason: DropReason) -> Self {
        Verdict::Drop(reason)
    }
}
