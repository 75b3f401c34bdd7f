//! The packets of one burst that are of one family, parsed, on their way through a poll.
//!
//! Frames and what was read of them lie in two rows: frames are pointers and move on to a transmit buffer, while a
//! parsed packet is written once, where it is looked at until the end of the poll. Moving it would cost more than
//! parsing it.

use super::tables::Flows;
use super::verdict::Visit;
use crate::conn::{Guess, Hash, Table};
use crate::limits::BURST;
use crate::model::PortId;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, Role};
use crate::port::{Burst, Frame};
use crate::stop::DropReason;
use arrayvec::ArrayVec;

/// What is known of a frame beside its bytes.
pub(super) struct Parsed<A> {
    pub(super) packet: Packet<A>,
    /// Of the packet's tuple, or for an ICMP error of the quoted packet's.
    pub(super) hash: Hash,
    /// The connection it is likely to belong to.
    pub(super) guess: Guess,
    /// Where the frame came in, and whether it has been on other workers.
    pub(super) port: PortId,
    pub(super) visit: Visit,
}

impl<A: Flows> Parsed<A> {
    /// A frame that is still to be parsed.
    #[inline]
    pub(super) fn new(port: PortId, visit: Visit) -> Self {
        let (hash, guess) = (Hash::default(), Guess::default());
        Parsed { packet: Packet::BLANK, hash, guess, port, visit }
    }
}

/// See the module.
pub(super) struct Batch<F, A> {
    pub(super) frames: Burst<F>,
    /// As many as there are frames, in their order.
    pub(super) parsed: ArrayVec<Parsed<A>, BURST>,
}

impl<F: Frame, A: Flows> Batch<F, A> {
    #[inline]
    pub(super) fn new() -> Self {
        Batch { frames: Burst::new(), parsed: ArrayVec::new() }
    }

    /// Parses a frame, cuts its padding off, and asks the cache for its connection's bucket. `to_group`: it was sent
    /// to a group on the link.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        table: &Table<A>,
        mut frame: F,
        to_group: bool,
        port: PortId,
        visit: Visit,
    ) -> Result<(), DropReason> {
        self.parsed.push(Parsed::new(port, visit));
        let Some(parsed) = self.parsed.last_mut() else { return Ok(()) };
        let packet = &mut parsed.packet;
        let mut outcome = A::parse_into(&frame.bytes()[ETHERNET..], packet);
        // IPVS takes only what is addressed to the director on the link; ICMPv6 lives by multicast.
        if to_group && outcome.is_ok() && packet.role != Role::Icmp {
            outcome = Err(DropReason::SlowPathInput);
        }
        if outcome.is_err() {
            self.parsed.pop();
            return outcome;
        }
        parsed.hash = table.hash(&packet.tuple);
        table.prefetch_bucket(parsed.hash);
        frame.truncate(ETHERNET + usize::from(packet.length));
        self.frames.push(frame);
        Ok(())
    }
}
