//! The clock of benches that run in real time.

use director::dpdk::{cycles, cycles_per_second};
use director::time::Instant;
use std::fs;

/// Nanoseconds since the start.
#[derive(Clone, Copy)]
pub struct Clock {
    start: u64,
    per_cycle: f64,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { start: cycles(), per_cycle: 1e9 / cycles_per_second() as f64 }
    }

    #[inline]
    pub fn now(&self) -> Instant {
        // Plus one second, because zero means "never".
        Instant::from_nanos(1_000_000_000 + self.nanoseconds(cycles() - self.start) as u64)
    }

    pub fn nanoseconds(&self, cycles: u64) -> f64 {
        cycles as f64 * self.per_cycle
    }
}

/// Nanoseconds in which this thread was runnable but another one had its CPU.
pub fn waited() -> u64 {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics.split_whitespace().nth(1).and_then(|delay| delay.parse().ok()).unwrap_or(0)
}
