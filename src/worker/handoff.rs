//! Hand-off: a packet whose flow another worker owns goes there by a ring, one ring for each pair of workers.

use crate::limits::HANDOFF_RING;
use crate::model::{IngressId, PortId, WorkerId};
use crate::packet::{Address, Tuple};
use crate::snapshot::Snapshot;
use crate::worker::steering::{Steering, Workers};
use crate::worker::verdict::Verdict;
use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;

/// Whether a packet has been on other workers, and which workers may still have its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handoff {
    /// Straight from the queue.
    None,
    /// From another worker; these are asked next.
    Probing(Workers),
    /// From another worker, to the owner of the flow: it decides.
    Final,
}

/// A frame on its way from one worker to another.
#[derive(Debug)]
pub(super) struct HandoffFrame<F> {
    pub(super) frame: F,
    pub(super) ingress: IngressId,
    pub(super) handoff: Handoff,
}

/// A worker's ends of the rings to the others, by worker; none to itself. Each end is on cache lines of its own, because
/// its position is written with every frame.
pub(super) struct HandoffTx<F>(Vec<Option<CachePadded<Producer<HandoffFrame<F>>>>>);

/// A worker's ends of the rings from the others. Each is on cache lines of its own, like the other ends.
pub(super) struct HandoffRx<F>(Vec<CachePadded<Consumer<HandoffFrame<F>>>>);

/// The rings between all workers: each worker's ends.
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
    /// Gives a frame to a worker. False if there is no such worker or its ring is full: the frame is dropped.
    pub(super) fn send(&mut self, frame: F, ingress: IngressId, to: u16, handoff: Handoff) -> bool {
        match self.0.get_mut(usize::from(to)) {
            Some(Some(ring)) => ring.push(HandoffFrame { frame, ingress, handoff }).is_ok(),
            _ => false,
        }
    }
}

impl<F> HandoffRx<F> {
    /// How many rings there are.
    pub(super) fn rings(&self) -> usize {
        self.0.len()
    }

    /// Frames that wait in a ring.
    pub(super) fn waiting(&self, ring: usize) -> usize {
        self.0[ring].slots()
    }

    /// The next frame of a ring.
    pub(super) fn receive(&mut self, ring: usize) -> Option<HandoffFrame<F>> {
        self.0[ring].pop().ok()
    }
}

/// Which worker owns a flow, as one worker asks it.
pub(super) struct Owners {
    pub(super) me: WorkerId,
    pub(super) steering: Arc<Steering>,
}

impl Owners {
    /// The next worker to ask for the connection of a packet with `flow`, if there is one left to ask.
    ///
    /// If the port's device places packets by ports, a request is on its owner already, and only a NAT reply may have
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
    /// Where the worker writes: first byte and length.
    pub(super) fn written(&self) -> (&'static str, usize, usize) {
        ("handoff tx", self.0.as_ptr().addr(), size_of_val(&*self.0))
    }
}

#[cfg(test)]
impl<F> HandoffRx<F> {
    /// Where the worker writes: first byte and length.
    pub(super) fn written(&self) -> (&'static str, usize, usize) {
        ("handoff rx", self.0.as_ptr().addr(), size_of_val(&*self.0))
    }
}
