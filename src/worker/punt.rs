//! Punts to the control thread: one ring for each class, and rate limits before the rings.
//!
//! Control never waits for a worker, and a worker never waits for control. A punt above a limit or to a full ring is a
//! counted drop. Link-local traffic (ARP, neighbour discovery) has its own rings, so that remote floods take no room
//! from it. Punts that anyone can cause are limited by reason.

use crate::limits::{
    HOST_PUNTS_PER_SECOND, PUNT_RING_HOST, UNRESOLVED_BUCKETS, UNRESOLVED_PUNTS_BURST,
    UNRESOLVED_PUNTS_PER_SECOND,
};
use crate::model::InterfaceId;
use crate::packet::{bits, ethernet, slot_of};
use crate::rate::{Rate, TokenBucket};
use crate::reason::{DropReason, Punt, PuntClass, PuntDetail, PuntReason};
use crate::time::Instant;
use rtrb::{Consumer, Producer, RingBuffer};
use std::net::IpAddr;

const HOST: Rate = Rate::new(HOST_PUNTS_PER_SECOND, PUNT_RING_HOST as u32);
const UNRESOLVED: Rate = Rate::new(UNRESOLVED_PUNTS_PER_SECOND, UNRESOLVED_PUNTS_BURST);

/// The worker's ends of the rings.
pub(super) struct PuntSender<F> {
    /// Indexed by [`PuntClass`].
    rings: [Producer<Punt<F>>; PuntClass::ALL.len()],
    /// Indexed by [`PuntReason`].
    by_reason: [TokenBucket; PuntReason::COUNT],
    by_next_hop: Box<[TokenBucket; UNRESOLVED_BUCKETS]>,
    pub(super) now: Instant,
}

/// The control thread's ends of one worker's rings.
#[derive(Debug)]
pub struct PuntReceiver<F> {
    rings: [Consumer<Punt<F>>; PuntClass::ALL.len()],
}

/// Creates the rings of one worker.
pub(super) fn punt_rings<F>() -> (PuntSender<F>, PuntReceiver<F>) {
    let [(to_first, first), (to_second, second), (to_third, third), (to_fourth, fourth)] =
        PuntClass::ALL.map(|class| RingBuffer::new(class.capacity()));
    let sender = PuntSender {
        rings: [to_first, to_second, to_third, to_fourth],
        by_reason: [TokenBucket::default(); PuntReason::COUNT],
        by_next_hop: Box::new([TokenBucket::default(); UNRESOLVED_BUCKETS]),
        now: Instant::START,
    };
    (sender, PuntReceiver { rings: [first, second, third, fourth] })
}

impl<F: crate::io::Frame> PuntSender<F> {
    /// Punts a frame to the control thread.
    ///
    /// # Errors
    /// If the frame was dropped: above its rate limit, or the ring is full.
    pub(super) fn push(&mut self, punt: Punt<F>) -> Result<(), DropReason> {
        let to_group = ethernet::is_multicast(ethernet::destination(punt.frame.bytes()));
        let class = punt.reason.class(to_group);
        match (class, punt.detail) {
            (PuntClass::Host, _)
                if !self.by_reason[punt.reason as usize].try_take(HOST, self.now) =>
            {
                return Err(DropReason::PuntRateLimited);
            }
            (PuntClass::Unresolved, PuntDetail::NextHop { next_hop, .. })
                if !self.by_next_hop[bucket(next_hop)].try_take(UNRESOLVED, self.now) =>
            {
                return Err(DropReason::NeighbourQueueFull);
            }
            _ => {}
        }
        self.rings[class as usize].push(punt).map_err(|_| DropReason::PuntRingFull)
    }
}

impl<F> PuntReceiver<F> {
    /// The oldest punt of a class.
    pub fn pop(&mut self, class: PuntClass) -> Option<Punt<F>> {
        self.rings[class as usize].pop().ok()
    }

    /// All punts, class by class.
    pub fn drain(&mut self) -> impl Iterator<Item = Punt<F>> + '_ {
        self.rings.iter_mut().flat_map(|ring| std::iter::from_fn(move || ring.pop().ok()))
    }
}

/// The rate limit of a next hop.
fn bucket((interface, address): (InterfaceId, IpAddr)) -> usize {
    slot_of(bits(address) ^ u128::from(interface.0) << 48, UNRESOLVED_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryFrame;
    use crate::limits::PUNT_RING_NEIGHBOUR_GROUP;

    const TO_US: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0];
    const TO_ALL: [u8; 14] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6];

    fn punt(reason: PuntReason, detail: PuntDetail, frame: &[u8]) -> Punt<MemoryFrame> {
        Punt { interface: InterfaceId(0), reason, detail, frame: MemoryFrame::new(frame) }
    }

    fn pushed(
        sender: &mut PuntSender<MemoryFrame>,
        count: usize,
        reason: PuntReason,
        frame: &[u8],
    ) -> (usize, Option<DropReason>) {
        let mut refused = None;
        let passed = (0..count)
            .filter(|_| {
                let outcome = sender.push(punt(reason, PuntDetail::None, frame));
                refused = refused.or(outcome.err());
                outcome.is_ok()
            })
            .count();
        (passed, refused)
    }

    #[test]
    fn a_flood_of_one_class_leaves_room_for_others() {
        let (mut sender, mut receiver) = punt_rings();
        let unserved = pushed(&mut sender, 5000, PuntReason::UnservedPort, &TO_US);
        assert_eq!(unserved, (PUNT_RING_HOST, Some(DropReason::PuntRateLimited)));
        let to_all = pushed(&mut sender, 5000, PuntReason::Arp, &TO_ALL);
        assert_eq!(to_all, (PUNT_RING_NEIGHBOUR_GROUP, Some(DropReason::PuntRingFull)));
        assert_eq!(pushed(&mut sender, 1, PuntReason::Arp, &TO_US), (1, None));
        let first = receiver.drain().next().unwrap();
        assert_eq!(first.frame, MemoryFrame::new(&TO_US), "host frames come first");
    }

    #[test]
    fn a_reason_has_its_own_rate() {
        let (mut sender, mut receiver) = punt_rings();
        pushed(&mut sender, 5000, PuntReason::UnservedPort, &TO_US);
        receiver.drain().for_each(drop);
        assert_eq!(pushed(&mut sender, 9, PuntReason::IcmpEcho, &TO_US), (9, None));
        sender.now = Instant::from_millis(10);
        let later = pushed(&mut sender, 5000, PuntReason::UnservedPort, &TO_US);
        assert_eq!(later.0, HOST_PUNTS_PER_SECOND as usize / 100);
    }

    #[test]
    fn an_unresolved_next_hop_leaves_room_for_others() {
        let (mut sender, mut receiver) = punt_rings();
        let mut frames = |last: u8| {
            let next_hop = (InterfaceId(0), IpAddr::from([10, 0, 0, last]));
            let detail = PuntDetail::NextHop { next_hop, original_destination: None };
            let passed = (0..500)
                .filter(|_| {
                    let outcome =
                        sender.push(punt(PuntReason::NeighbourUnresolved, detail, &TO_US));
                    assert!(outcome.is_ok() || outcome == Err(DropReason::NeighbourQueueFull));
                    outcome.is_ok()
                })
                .count();
            receiver.drain().for_each(drop);
            passed
        };
        assert_eq!([frames(1), frames(2)], [UNRESOLVED_PUNTS_BURST as usize; 2]);
        assert_eq!(frames(1), 0);
    }
}
