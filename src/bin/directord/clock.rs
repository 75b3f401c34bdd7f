//! The clock of the process: the TSC, as nanoseconds since the start.

use director::dpdk;
use director::time::Instant;

/// Copies read the same time on every core of a machine with an invariant TSC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: u64,
    /// Nanoseconds per cycle, times 2^32.
    scale: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let per_second = dpdk::cycles_per_second().max(1);
        let scale = ((1_000_000_000u128 << 32) / u128::from(per_second)) as u64;
        Clock { start: dpdk::cycles(), scale }
    }

    #[inline]
    pub(crate) fn now(&self) -> Instant {
        let cycles = dpdk::cycles().wrapping_sub(self.start);
        // Plus one nanosecond, because zero means "never".
        Instant::from_nanos(((u128::from(cycles) * u128::from(self.scale)) >> 32) as u64 + 1)
    }
}
