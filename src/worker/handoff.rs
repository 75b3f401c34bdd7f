//! Hand-off: a ring for each pair of workers passes on packets whose flow another worker owns.

use crate::limits::HANDOFF_RING;
use crate::model::{IngressId, PortId, WorkerId};
use crate::packet::{Address, Tuple};
use crate::snapshot::Snapshot;
use crate::worker::steering::{Steering, Workers};
use crate::worker::verdict::Verdict;
use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;

/// If a packet was handed off, and which workers may still have its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handoff {
    /// Received from the queue.
    None,
    /// Handed off; these workers are asked next.
    Probing(Workers),
    /// Handed off to the owner of the flow, which decides.
    Final,
}

/// A frame handed off from one worker to another.
#[derive(Debug)]
pub(super) struct HandoffFrame<F> {
    pub(super) frame: F,
    pub(super) ingress: IngressId,
    pub(super) handoff: Handoff,
}

/// A worker's producer ends of the rings to the others, indexed by worker; `None` for itself. Each is on its own cache
/// lines, because its position is written with every frame.
pub(super) struct HandoffTx<F>(Vec<Option<CachePadded<Producer<HandoffFrame<F>>>>>);

/// A worker's consumer ends of the rings from the others, each on its own cache lines.
pub(super) struct HandoffRx<F>(Vec<CachePadded<Consumer<HandoffFrame<F>>>>);

/// Creates the rings between all workers; returns each worker's ends.
pub(super) fn connect<F>(workers: usize) -> Vec<(HandoffTx<F>, HandoffRx<F>)> {
    let mut ends: Vec<_> =
        (0..workers).map(|_| (HandoffTx(Vec::new()), HandoffRx(Vec::new()))).collect();
    for from in 0..workers {
        for to in 0..workers {
            if from == to {
                ends[from].0.0.push(None);
                continue;
            }
            let (producer, consumer) = RingBuffer::new(HANDOFF_RING);
            ends[from].0.0.push(Some(producer.into()));
            ends[to].1.0.push(consumer.into());
        }
    }
    ends
}

impl<F> HandoffTx<F> {
    /// Hands a frame off. False if there is no such worker or its ring is full; the frame is dropped.
    pub(super) fn send(&mut self, frame: F, ingress: IngressId, to: u16, handoff: Handoff) -> bool {
        match self.0.get_mut(usize::from(to)) {
            Some(Some(ring)) => ring.push(HandoffFrame { frame, ingress, handoff }).is_ok(),
            _ => false,
        }
    }
}

impl<F> HandoffRx<F> {
    /// Number of rings.
    pub(super) fn rings(&self) -> usize {
        self.0.len()
    }

    /// Number of frames in a ring.
    pub(super) fn waiting(&self, ring: usize) -> usize {
        self.0[ring].slots()
    }

    /// The next frame in a ring.
    pub(super) fn receive(&mut self, ring: usize) -> Option<HandoffFrame<F>> {
        self.0[ring].pop().ok()
    }
}

/// Determines which worker owns a flow, for one worker.
pub(super) struct Owners {
    pub(super) me: WorkerId,
    pub(super) steering: Arc<Steering>,
}

impl Owners {
    /// The next worker to ask for the connection of a packet with `flow`, if any.
    ///
    /// If the port's device places packets by ports, a request is already at its owner, and only a NAT reply may have
    /// its connection elsewhere. Otherwise the software hash gives the owner, which decides.
    pub(super) fn next<A: Address>(
        &self,
        snapshot: &Snapshot,
        flow: &Tuple<A>,
        is_ours: bool,
        is_placed_by_ports: bool,
        port: PortId,
        handoff: Handoff,
    ) -> Option<Verdict> {
        let me = self.me.0;
        if self.steering.workers() == 1 || handoff == Handoff::Final {
            return None;
        }
        let owner = match self.steering.is_placed(port) && is_placed_by_ports {
            true => None,
            false => Some(self.steering.owner(port, flow)),
        };
        let left = match handoff {
            Handoff::Probing(left) => left,
            _ if is_ours => Workers::default(),
            _ => self.steering.owners_of_reply(&snapshot.replies, flow),
        };
        let left = left.without(me);
        // The owner decides, so it is asked last.
        let before = owner.map_or(left, |owner| left.without(owner));
        if before.first().is_some() {
            return Some(Verdict::Probe(before));
        }
        match owner {
            Some(owner) if owner != me => Some(Verdict::HandOff { to: owner }),
            _ => None,
        }
    }
}

#[cfg(test)]
impl<F> HandoffTx<F> {
    /// Address and length of the memory that the worker writes.
    pub(super) fn written(&self) -> (&'static str, usize, usize) {
        ("handoff tx", self.0.as_ptr().addr(), size_of_val(&*self.0))
    }
}

#[cfg(test)]
impl<F> HandoffRx<F> {
    /// Address and length of the memory that the worker writes.
    pub(super) fn written(&self) -> (&'static str, usize, usize) {
        ("handoff rx", self.0.as_ptr().addr(), size_of_val(&*self.0))
    }
}
