//! The share of time that workers spend on packets.

use crate::time::{Duration, Instant};
use crate::worker::Shared;

/// Share of time that workers spend on packets, over about the last second.
#[derive(Debug, Default)]
pub(super) struct BusyMeter {
    /// Indexed by worker: (time, busy time) at the last sample, and the share since the one before.
    samples: Vec<(u64, u64, f64)>,
    sampled: Option<Instant>,
}

impl BusyMeter {
    const PERIOD: Duration = Duration::from_secs(1);

    pub(super) fn sample(&mut self, shared: &Shared, now: Instant) {
        if self.sampled.is_some_and(|last| now.since(last) < Self::PERIOD) {
            return;
        }
        self.sampled = Some(now);
        self.samples.resize(shared.counters.len(), (0, 0, 0.0));
        for (sample, counters) in self.samples.iter_mut().zip(&shared.counters) {
            let (time, busy) = (counters.time.get(), counters.busy.get());
            let passed = time.saturating_sub(sample.0);
            let worked = busy.saturating_sub(sample.1);
            let percent = if passed == 0 { 0.0 } else { 100.0 * worked as f64 / passed as f64 };
            *sample = (time, busy, percent);
        }
    }

    /// In percent; 0 before the first sample.
    pub(super) fn percent(&self, worker: usize) -> f64 {
        self.samples.get(worker).map_or(0.0, |sample| sample.2)
    }
}
