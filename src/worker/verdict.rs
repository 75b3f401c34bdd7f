//! What the pipeline decides about one packet.

use crate::reason::{DropReason, PuntReason};
use crate::snapshot::NextHopId;
use crate::worker::steering::Workers;

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Rewritten; only the next hop's Ethernet header is missing.
    Send {
        next_hop: NextHopId,
    },
    /// As `Send`, but larger than the link takes, and it may be fragmented.
    Fragment {
        next_hop: NextHopId,
        mtu: u16,
    },
    /// Rewritten, and routed by its destination to a neighbour whose Ethernet address is not known yet.
    Resolve,
    /// One of these workers may have its connection: the first is asked, then the next. Never empty.
    Probe(Workers),
    /// Another worker owns its flow and decides.
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

// Two registers: a verdict is returned without a detour through memory.
const _: () = assert!(size_of::<Verdict>() == 16);
const _: () = assert!(size_of::<Option<Verdict>>() == 16);

impl Verdict {
    /// The director's own IP host answers: no service takes the packet.
    pub(super) const UNSERVED: Verdict = Verdict::Punt(PuntReason::UnservedPort);

    /// Sends a packet of `length` octets over a link that takes `mtu`.
    #[inline(always)]
    pub(super) fn send(next_hop: NextHopId, length: u16, mtu: u16) -> Self {
        match length > mtu {
            true => Verdict::Fragment { next_hop, mtu },
            false => Verdict::Send { next_hop },
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
