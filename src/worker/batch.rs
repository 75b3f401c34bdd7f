//! The packets of one burst that are of one family, parsed, on their way through a poll.
//!
//! Frames and what was read of them lie in two rows: frames are pointers and move on to a transmit buffer, while a
//! parsed packet is written once, where it is looked at until the end of the poll. Moving it would cost more than
//! parsing it.

use crate::conn::{Hash, Hint, Table};
use crate::io::{Burst, Frame};
use crate::limits::BURST;
use crate::model::PortId;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, Role};
use crate::reason::DropReason;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Handoff;

/// What is known of a frame beside its bytes.
pub(super) struct Parsed<A> {
    pub(super) packet: Packet<A>,
    /// Of the packet's tuple, or for an ICMP error of the quoted packet's.
    pub(super) hash: Hash,
    /// The connection it is likely to belong to.
    pub(super) hint: Hint,
    /// Where the frame came in, and whether it has been on other workers.
    pub(super) port: PortId,
    pub(super) handoff: Handoff,
}

impl<A: WorkerFamily> Parsed<A> {
    /// A frame that is still to be parsed.
    #[inline]
    pub(super) fn new(port: PortId, handoff: Handoff) -> Self {
        let (hash, hint) = (Hash::default(), Hint::default());
        Parsed { packet: Packet::BLANK, hash, hint, port, handoff }
    }
}

/// See the module.
pub(super) struct Batch<F, A> {
    pub(super) frames: Burst<F>,
    /// What is known of each frame, in their order. Those beyond the frames are of earlier bursts: making them blank
    /// would cost as much as parsing.
    pub(super) parsed: Box<[Parsed<A>; BURST]>,
}

/// The batches of both families.
pub(super) struct Batches<F> {
    pub(super) ipv4: Batch<F, u32>,
    pub(super) ipv6: Batch<F, u128>,
}

impl<F: Frame> Batches<F> {
    pub(super) fn new() -> Self {
        Batches { ipv4: Batch::new(), ipv6: Batch::new() }
    }
}

impl<F: Frame, A: WorkerFamily> Batch<F, A> {
    fn new() -> Self {
        let blank = |_| Parsed::new(PortId(0), Handoff::None);
        Batch { frames: Burst::new(), parsed: Box::new(std::array::from_fn(blank)) }
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
        handoff: Handoff,
    ) -> Result<(), DropReason> {
        // There are never more frames than this: a batch takes one burst.
        let Some(parsed) = self.parsed.get_mut(self.frames.len()) else { return Ok(()) };
        let packet = &mut parsed.packet;
        A::parse_into(&frame.bytes()[ETHERNET..], packet)?;
        // IPVS takes only what is addressed to the director on the link; ICMPv6 lives by multicast.
        if to_group && packet.role != Role::Icmp {
            return Err(DropReason::NoLocalHandler);
        }
        parsed.hash = table.hash(&packet.tuple);
        table.prefetch_bucket(parsed.hash);
        (parsed.port, parsed.handoff) = (port, handoff);
        frame.truncate(ETHERNET + usize::from(packet.length));
        self.frames.push(frame);
        Ok(())
    }
}
