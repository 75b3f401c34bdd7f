//! The parsed packets of one burst and one family, during a poll.
//!
//! Frames and their parsed metadata are two parallel arrays: frames move on to transmit buffers; metadata is written in
//! place and never copied, which would cost more than parsing.

use crate::conn::{Hash, Hint, Table};
use crate::io::{Burst, Frame};
use crate::limits::BURST;
use crate::model::{IngressId, InterfaceId, PortId};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, Parse, Role, membership};
use crate::reason::DropReason;
use crate::snapshot::Snapshot;
use crate::worker::handoff::Handoff;

/// What is known about a received frame besides its bytes.
pub(super) struct Rx<A> {
    pub(super) packet: Packet<A>,
    /// Hash of the packet's flow.
    pub(super) hash: Hash,
    /// The connection to which it probably belongs.
    pub(super) hint: Hint,
    /// Where the frame was received, and if it was handed off.
    pub(super) ingress: IngressId,
    pub(super) handoff: Handoff,
}

impl<A: Parse> Rx<A> {
    /// The port that counts the frame.
    #[inline(always)]
    pub(super) fn port(&self) -> PortId {
        self.ingress.port()
    }

    /// A frame that is not parsed yet.
    #[inline]
    pub(super) fn new(ingress: IngressId, handoff: Handoff) -> Self {
        let (hash, hint) = (Hash::default(), Hint::default());
        Rx { packet: Packet::BLANK, hash, hint, ingress, handoff }
    }
}

/// Frames of one family with their metadata.
pub(super) struct Batch<F, A> {
    pub(super) frames: Burst<F>,
    /// In the order of the frames. Later entries are left from earlier bursts, because clearing them would cost as much
    /// as parsing.
    pub(super) rx: Box<[Rx<A>; BURST]>,
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

impl<F: Frame, A: Parse> Batch<F, A> {
    fn new() -> Self {
        let blank = |_| Rx::new(IngressId::new(PortId(0), InterfaceId(0)), Handoff::None);
        Batch { frames: Burst::new(), rx: Box::new(std::array::from_fn(blank)) }
    }

    /// Parses a frame, removes its padding, and prefetches its connection's bucket. With `group` the frame was sent to
    /// a multicast or broadcast MAC address, and only some packets are accepted.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        table: &Table<A>,
        mut frame: F,
        group: Option<&Snapshot>,
        ingress: IngressId,
        handoff: Handoff,
    ) -> Result<(), DropReason> {
        // There are never more frames: a batch holds one burst.
        let Some(rx) = self.rx.get_mut(self.frames.len()) else { return Ok(()) };
        let packet = &mut rx.packet;
        A::parse_into(&frame.bytes()[ETHERNET..], packet)?;
        if let Some(snapshot) = group {
            take_from_group(packet, snapshot, ingress.interface())?;
        }
        rx.hash = table.hash(&packet.flow);
        table.prefetch_bucket(rx.hash);
        (rx.ingress, rx.handoff) = (ingress, handoff);
        frame.truncate(ETHERNET + usize::from(packet.length));
        self.frames.push(frame);
        Ok(())
    }
}

/// Decides about the packet of a multicast or broadcast frame. IPVS takes only frames to the director's own MAC address, and a
/// router never forwards other frames (RFC 1812 section 5.3.4). So a packet to a group is for the host's own stack, or it is
/// ICMP or IGMP that the director answers.
///
/// # Errors
/// The packet is for nobody here.
#[cold]
fn take_from_group<A: Parse>(
    packet: &mut Packet<A>,
    snapshot: &Snapshot,
    interface: InterfaceId,
) -> Result<(), DropReason> {
    if is_answered(packet, snapshot, interface) {
        return Ok(());
    }
    if snapshot.interfaces.has_kernel(interface) && snapshot.local.is_group(packet.destination()) {
        // No service takes it, whatever its ports are.
        packet.role = Role::Other;
        return Ok(());
    }
    Err(DropReason::NoLocalHandler)
}

/// True for ICMP and IGMP to the director or one of its groups.
fn is_answered<A: Parse>(packet: &Packet<A>, snapshot: &Snapshot, interface: InterfaceId) -> bool {
    let destination = packet.destination();
    let Snapshot { local, groups, .. } = snapshot;
    let is_control = packet.role == Role::Icmp || packet.protocol == membership::IGMP;
    is_control
        && (local.contains(destination)
            || groups.contains(interface, destination)
            || local.is_broadcast(destination))
}
