//! One worker's counters of all destinations. Only the worker writes them. Control reads them, and so do other workers
//! for least-connection schedulers and thresholds. Listings show the sums over all workers.

use crate::model::{Counters, DestinationId};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// One destination's counters of one worker, on their own cache line.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct DestinationStats {
    connections: AtomicU64,
    in_packets: AtomicU64,
    out_packets: AtomicU64,
    in_bytes: AtomicU64,
    out_bytes: AtomicU64,
    active: AtomicU32,
    inactive: AtomicU32,
    /// Templates created minus templates removed by this worker; wraps, because another worker may remove a template.
    persistent: AtomicU32,
    /// Bit 0: overloaded, i.e. the upper threshold was reached and the lower one not yet again. Other bits: the last
    /// edit of the thresholds that was applied.
    overloaded: AtomicU32,
}

const _: () = assert!(size_of::<DestinationStats>() == 64 && align_of::<DestinationStats>() == 64);

/// Adds without a locked instruction, because there is one writer.
#[inline]
fn add64(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

#[inline]
fn add32(counter: &AtomicU32, by: u32) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl DestinationStats {
    #[inline]
    pub fn count_connection(&self) {
        add64(&self.connections, 1);
    }

    #[inline]
    pub fn count_in(&self, bytes: u16) {
        add64(&self.in_packets, 1);
        add64(&self.in_bytes, u64::from(bytes));
    }

    #[inline]
    pub fn count_out(&self, bytes: u16) {
        add64(&self.out_packets, 1);
        add64(&self.out_bytes, u64::from(bytes));
    }

    /// Counts a further fragment of a counted packet: only its payload.
    #[inline]
    pub fn count_in_fragment(&self, bytes: u16) {
        add64(&self.in_bytes, u64::from(bytes));
    }

    #[inline]
    pub fn count_out_fragment(&self, bytes: u16) {
        add64(&self.out_bytes, u64::from(bytes));
    }

    /// A connection was added (`is_active`: counted in ActiveConn).
    #[inline]
    pub fn conn_added(&self, is_active: bool) {
        add32(if is_active { &self.active } else { &self.inactive }, 1);
    }

    /// A connection was removed.
    #[inline]
    pub fn conn_removed(&self, is_active: bool) {
        add32(if is_active { &self.active } else { &self.inactive }, u32::MAX);
    }

    #[inline]
    pub fn template_added(&self) {
        add32(&self.persistent, 1);
    }

    #[inline]
    pub fn template_removed(&self) {
        add32(&self.persistent, u32::MAX);
    }

    #[inline]
    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    #[inline]
    pub fn inactive(&self) -> u32 {
        self.inactive.load(Relaxed)
    }

    pub fn persistent(&self) -> u32 {
        self.persistent.load(Relaxed)
    }

    #[inline]
    pub fn is_overloaded(&self) -> bool {
        self.overloaded.load(Relaxed) & 1 != 0
    }

    /// Applies the thresholds to `total` connections over all workers: overloaded from the upper threshold on, until
    /// below the lower one, or without one below three quarters of the upper. A new `edit` first sets the mark (odd) or
    /// clears it (even).
    #[inline]
    pub fn update_overload(&self, total: u32, upper: u32, lower: u32, edit: u16) -> bool {
        let before = self.overloaded.load(Relaxed);
        let edit = u32::from(edit);
        let was = if before >> 1 == edit { before & 1 != 0 } else { edit & 1 != 0 };
        let is = if upper == 0 {
            false
        } else if total >= upper {
            true
        } else if lower != 0 {
            was && total >= lower
        } else {
            was && 4 * u64::from(total) >= 3 * u64::from(upper)
        };
        let after = edit << 1 | u32::from(is);
        if after != before {
            self.overloaded.store(after, Relaxed);
        }
        is
    }

    pub fn counters(&self) -> Counters {
        Counters {
            connections: self.connections.load(Relaxed),
            in_packets: self.in_packets.load(Relaxed),
            out_packets: self.out_packets.load(Relaxed),
            in_bytes: self.in_bytes.load(Relaxed),
            out_bytes: self.out_bytes.load(Relaxed),
        }
    }
}

/// One worker's counters, indexed by destination.
#[derive(Debug)]
pub struct DestinationStatsTable {
    rows: Box<[DestinationStats]>,
}

impl DestinationStatsTable {
    pub fn new(destinations: usize) -> Self {
        DestinationStatsTable {
            rows: (0..destinations).map(|_| DestinationStats::default()).collect(),
        }
    }

    #[inline]
    pub fn get(&self, destination: DestinationId) -> Option<&DestinationStats> {
        self.rows.get(destination.index())
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
impl DestinationStatsTable {
    /// Address and length of the memory that the worker writes.
    pub(in crate::worker) fn written(&self) -> (&'static str, usize, usize) {
        ("destination stats", self.rows.as_ptr().addr(), size_of_val(&*self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_have_the_hysteresis_of_ipvs() {
        // (upper, lower, totals one after another with the resulting flag)
        for (upper, lower, totals) in [
            (2, 0, &[(1, false), (2, true), (1, false)][..]),
            (4, 2, &[(4, true), (3, true), (2, true), (1, false)]),
            (4, 0, &[(4, true), (3, true), (2, false), (3, false)]),
            (0, 0, &[(1000, false)]),
        ] {
            let stats = DestinationStats::default();
            for &(total, expected) in totals {
                assert_eq!(
                    stats.update_overload(total, upper, lower, 0),
                    expected,
                    "u={upper} l={lower} at {total}"
                );
            }
        }
    }

    #[test]
    fn edits_of_thresholds_set_or_clear_the_mark_once() {
        let stats = DestinationStats::default();
        assert!(stats.update_overload(4, 4, 0, 0));
        assert!(!stats.update_overload(3, 4, 0, 2), "cleared between two updates");
        assert!(stats.update_overload(3, 4, 0, 5), "set between two updates");
        assert!(
            stats.update_overload(3, 4, 0, 5)
                && !stats.update_overload(2, 4, 0, 5)
                && !stats.update_overload(3, 4, 0, 5)
        );
    }

    #[test]
    fn counts_add_up() {
        let stats_table = DestinationStatsTable::new(2);
        let stats = stats_table.get(DestinationId(1)).unwrap();
        stats.conn_added(true);
        stats.conn_added(false);
        stats.conn_removed(true);
        stats.count_in(40);
        stats.count_out(60);
        stats.count_connection();
        let expected =
            Counters { connections: 1, in_packets: 1, out_packets: 1, in_bytes: 40, out_bytes: 60 };
        assert_eq!((stats.active(), stats.inactive(), stats.counters()), (0, 1, expected));
        assert!(stats_table.get(DestinationId(2)).is_none());
    }
}
