//! Counters of one worker and its queues. Only the worker writes them; any thread may read them.

use crate::reason::{DropReason, PuntReason};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter with one writer: no locked instruction, no torn read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    #[inline]
    pub fn add(&self, by: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(by), Relaxed);
    }

    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One worker's RX and TX queue on a port. Aligned to two cache lines, which some processors fetch in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub struct QueueCounters {
    pub rx_packets: Count,
    pub rx_bytes: Count,
    /// Bursts with at least one frame.
    pub rx_bursts: Count,
    pub tx_packets: Count,
    pub tx_bytes: Count,
    drops: [Count; DropReason::COUNT],
    punts: [Count; PuntReason::COUNT],
}

impl Default for QueueCounters {
    fn default() -> Self {
        QueueCounters {
            rx_packets: Count::default(),
            rx_bytes: Count::default(),
            rx_bursts: Count::default(),
            tx_packets: Count::default(),
            tx_bytes: Count::default(),
            drops: std::array::from_fn(|_| Count::default()),
            punts: std::array::from_fn(|_| Count::default()),
        }
    }
}

impl QueueCounters {
    #[inline]
    pub fn drop_of(&self, reason: DropReason) -> &Count {
        &self.drops[reason as usize]
    }

    #[inline]
    pub fn punt_of(&self, reason: PuntReason) -> &Count {
        &self.punts[reason as usize]
    }
}

/// Results of the RSS check on one queue. The control thread adds up the queues of a port.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct QueueRssCounts {
    /// Frames that were hashed in software.
    pub checked: Count,
    /// Checked frames that arrived on another queue than the hash selects.
    pub misplaced: Count,
    /// Checked frames with a hash from the device.
    pub reported: Count,
    /// Checked frames whose hash from the device differs from software.
    pub mismatched: Count,
}

/// Long polls, i.e. added latency. On a shared core this includes the time that the kernel gave to other threads.
#[derive(Debug, Default)]
pub struct Stalls {
    /// The longest poll since the start, in nanoseconds.
    pub longest: Count,
    /// Number of polls longer than each of [`Self::BOUNDS`].
    over: [Count; Self::BOUNDS.len()],
}

impl Stalls {
    /// Bounds in microseconds. No part of the packet path may take longer than the first.
    pub const BOUNDS: [u64; 3] = [20, 100, 1000];

    /// Counts a poll of this many nanoseconds.
    #[inline]
    pub fn note(&self, nanoseconds: u64) {
        if nanoseconds > Self::BOUNDS[0] * 1000 {
            self.count(nanoseconds);
        }
    }

    #[cold]
    fn count(&self, nanoseconds: u64) {
        for (bound, count) in Self::BOUNDS.iter().zip(&self.over) {
            if nanoseconds > bound * 1000 {
                count.add(1);
            }
        }
        if nanoseconds > self.longest.get() {
            self.longest.set(nanoseconds);
        }
    }

    /// Number of polls longer than each of [`Self::BOUNDS`].
    pub fn over(&self) -> [u64; Self::BOUNDS.len()] {
        self.over.each_ref().map(Count::get)
    }
}

/// All counters of one worker, except those of destinations.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCounters {
    /// Indexed by [`PortId`](crate::model::PortId).
    pub queues: Box<[QueueCounters]>,
    /// Indexed by port: results of the RSS check.
    pub evidence: Box<[QueueRssCounts]>,
    /// Time since the worker started, and the part of it with work, in nanoseconds.
    pub time: Count,
    pub busy: Count,
    /// Long polls.
    pub stalls: Stalls,
    pub connections_ipv4: Count,
    pub connections_ipv6: Count,
    /// Packets handed off to other workers, and received from them.
    pub handoff_tx: Count,
    pub handoff_rx: Count,
    /// Packets that took the full path.
    pub full_path: Count,
    /// Connections removed by the drop_entry defence.
    pub entries_dropped: Count,
    /// SYNs whose MSS was lowered.
    pub mss_clamped: Count,
}

impl WorkerCounters {
    pub fn new(ports: usize) -> Self {
        WorkerCounters {
            queues: (0..ports).map(|_| QueueCounters::default()).collect(),
            evidence: (0..ports).map(|_| QueueRssCounts::default()).collect(),
            ..WorkerCounters::default()
        }
    }
}

#[cfg(test)]
impl WorkerCounters {
    /// Address and length of the memory that the worker writes.
    pub(in crate::worker) fn written(&self) -> Vec<(&'static str, usize, usize)> {
        let own: *const Self = self;
        vec![
            ("counters", own.addr(), size_of::<Self>()),
            ("queues", self.queues.as_ptr().addr(), size_of_val(&*self.queues)),
            ("evidence", self.evidence.as_ptr().addr(), size_of_val(&*self.evidence)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_polls_are_counted_by_length() {
        let stalls = Stalls::default();
        for nanoseconds in [0, 20_000, 20_001, 1_000_001, 100_001] {
            stalls.note(nanoseconds);
        }
        assert_eq!((stalls.over(), stalls.longest.get()), ([3, 2, 1], 1_000_001));
    }
}
