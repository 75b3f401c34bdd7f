//! Decisions about packets.

use crate::model::DestinationId;
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::NextHopId;
use crate::worker::steering::Workers;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Send it: only the link header is missing.
    Send {
        next_hop: NextHopId,
    },
    /// As `Send`, but it is above the link's MTU and may be fragmented.
    Fragment {
        next_hop: NextHopId,
        mtu: u16,
    },
    /// Rewritten and routed to an unresolved neighbour.
    Resolve,
    /// One of these workers may have its connection; they are asked one after another. Never empty.
    Probe(Workers),
    /// Another worker owns its flow and decides.
    HandOff {
        to: u16,
    },
    Punt(PuntReason),
    /// An ICMP error about a tunnel packet to this destination: the control thread sends one to the client.
    TunnelError(DestinationId),
    /// Above the MTU of the next link: the MTU to report.
    TooBig(u16),
    /// A later fragment that arrived before its first.
    Hold,
    Drop(DropReason),
}

// A verdict is returned in two registers, not through memory.
const _: () = assert!(size_of::<Verdict>() == 16);
const _: () = assert!(size_of::<Option<Verdict>>() == 16);

impl Verdict {
    /// Delivery to the host: no service takes the packet.
    pub(super) const UNSERVED: Verdict = Verdict::Punt(PuntReason::UnservedPort);

    /// Sends a packet of `length` bytes over a link with this `mtu`.
    #[inline(always)]
    pub(super) fn send(next_hop: NextHopId, length: u16, mtu: u16) -> Self {
        match length > mtu {
            true => Verdict::Fragment { next_hop, mtu },
            false => Verdict::Send { next_hop },
        }
    }

    /// True if the packet is sent.
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
