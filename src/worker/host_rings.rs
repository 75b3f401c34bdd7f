//! The rings between one worker and the kernel-port thread: packets for the host's stack, and frames that the stack sends.
//!
//! Anyone can send packets to the host, so what a worker passes on is limited before the ring: in all, and for each source
//! address, so that one noisy source leaves room for others. A packet above a limit is dropped and counted.

use crate::io::Frame;
use crate::limits::{
    BURST, HOST_PACKETS_BURST, HOST_PACKETS_OF_SOURCE_BURST, HOST_PACKETS_OF_SOURCE_PER_SECOND,
    HOST_PACKETS_PER_SECOND, HOST_RING, HOST_SOURCE_BUCKETS,
};
use crate::model::{InterfaceId, PortId};
use crate::packet::ethernet::{self, ETHERNET, Payload};
use crate::packet::slot_of;
use crate::rate::{Rate, TokenBucket};
use crate::reason::DropReason;
use crate::time::Instant;
use rtrb::{Consumer, Producer, RingBuffer};

const ALL: Rate = Rate::new(HOST_PACKETS_PER_SECOND, HOST_PACKETS_BURST);
const OF_SOURCE: Rate = Rate::new(HOST_PACKETS_OF_SOURCE_PER_SECOND, HOST_PACKETS_OF_SOURCE_BURST);

/// The kernel-port thread's ends of one worker's rings.
#[derive(Debug)]
pub struct HostRings<F> {
    /// Packets for the host's stack, with the interface that received each.
    pub from_worker: Consumer<(InterfaceId, F)>,
    /// Frames that the host's stack sends, with the port for each.
    pub to_worker: Producer<(PortId, F)>,
}

/// A worker's end of the ring to the host's stack, with its budget.
pub(super) struct HostSender<F> {
    ring: Producer<(InterfaceId, F)>,
    all: TokenBucket,
    by_source: Box<[TokenBucket; HOST_SOURCE_BUCKETS]>,
}

/// A worker's end of the ring from the host's stack.
pub(super) type HostReceiver<F> = Consumer<(PortId, F)>;

/// Creates the rings of one worker.
pub(super) fn host_rings<F>() -> (HostSender<F>, HostReceiver<F>, HostRings<F>) {
    let (ring, from_worker) = RingBuffer::new(HOST_RING);
    let (to_worker, from_host) = RingBuffer::new(HOST_RING);
    let sender = HostSender {
        ring,
        all: TokenBucket::default(),
        by_source: Box::new([TokenBucket::default(); HOST_SOURCE_BUCKETS]),
    };
    (sender, from_host, HostRings { from_worker, to_worker })
}

impl<F: Frame> HostSender<F> {
    /// Passes a received packet to the host's stack.
    ///
    /// # Errors
    /// If the packet was dropped: above a limit, or the ring is full.
    pub(super) fn push(
        &mut self,
        interface: InterfaceId,
        frame: F,
        now: Instant,
    ) -> Result<(), DropReason> {
        let source = &mut self.by_source[bucket(frame.bytes())];
        // Both or neither: a refused packet takes no token.
        if !source.has_token(OF_SOURCE, now) || !self.all.has_token(ALL, now) {
            return Err(DropReason::HostRateLimited);
        }
        source.take(OF_SOURCE, now);
        self.all.take(ALL, now);
        self.ring.push((interface, frame)).map_err(|_| DropReason::HostRingFull)
    }
}

/// The bucket of the packet's source address.
fn bucket(frame: &[u8]) -> usize {
    let source = match ethernet::ethernet(frame) {
        Ok(Payload::Ipv4) => frame.get(ETHERNET + 12..ETHERNET + 16),
        Ok(Payload::Ipv6) => frame.get(ETHERNET + 8..ETHERNET + 24),
        _ => None,
    };
    let address = source
        .unwrap_or_default()
        .iter()
        .fold(0, |bits: u128, octet| bits << 8 | u128::from(*octet));
    slot_of(address, HOST_SOURCE_BUCKETS)
}

/// Frames of the host's stack that a worker sends in one poll.
pub(super) const HOST_BURST: usize = BURST;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryFrame;
    use crate::time::Duration;

    fn from(last: u8) -> MemoryFrame {
        let mut bytes = [0; 60];
        bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
        bytes[ETHERNET + 12..ETHERNET + 16].copy_from_slice(&[10, 0, 0, last]);
        MemoryFrame::new(&bytes)
    }

    #[test]
    fn one_source_leaves_room_for_others() {
        let (mut sender, _, mut rings) = host_rings();
        let mut passed = [0; 2];
        let mut refused = [0; 2];
        // One second, in steps of a millisecond: source 1 sends ten times the limit, source 2 ten packets.
        for step in 0..1000 {
            let now = Instant::START + Duration::from_millis(step);
            for _ in 0..HOST_PACKETS_PER_SECOND / 100 {
                match sender.push(InterfaceId(0), from(1), now) {
                    Ok(()) => passed[0] += 1,
                    Err(DropReason::HostRateLimited) => refused[0] += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            for _ in 0..10 {
                match sender.push(InterfaceId(0), from(2), now) {
                    Ok(()) => passed[1] += 1,
                    Err(_) => refused[1] += 1,
                }
            }
            while rings.from_worker.pop().is_ok() {}
        }
        let most = HOST_PACKETS_OF_SOURCE_PER_SECOND + HOST_PACKETS_OF_SOURCE_BURST;
        assert!(passed[0] <= most && passed[0] + HOST_PACKETS_BURST >= most, "{passed:?}");
        assert!(refused[0] > 0);
        assert_eq!((passed[1], refused[1]), (10_000, 0));
    }

    #[test]
    fn a_full_ring_is_a_drop() {
        let (mut sender, _, _rings) = host_rings();
        let mut outcomes = (0..=HOST_RING).map(|index| {
            // Each packet has its own time, so no budget is used up.
            let now = Instant::START + Duration::from_millis(index as u64 + 1);
            sender.push(InterfaceId(0), from(index as u8), now)
        });
        assert!(outcomes.by_ref().take(HOST_RING).all(|outcome| outcome.is_ok()));
        assert_eq!(outcomes.next(), Some(Err(DropReason::HostRingFull)));
    }
}
