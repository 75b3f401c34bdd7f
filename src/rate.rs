//! Token buckets: events per second, and burst size.

use crate::time::{Duration, Instant};

/// This many events per second on average, and `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// A `per_second` of 0 allows no events.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Rate { per_second, burst }
    }

    /// Time until one token is added.
    fn interval(self) -> Option<Duration> {
        Duration::from_secs(1).checked_div(self.per_second)
    }
}

/// A token bucket, stored as the time when it will be full. A new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    full: Instant,
}

impl TokenBucket {
    /// True if a token is left. Takes none.
    pub fn has_token(self, rate: Rate, now: Instant) -> bool {
        let Some(interval) = rate.interval() else { return false };
        // Each token taken moves `full` by one interval; after `burst` tokens none is left.
        self.full.since(now) + interval <= interval * rate.burst
    }

    /// Takes a token, even if none is left.
    pub fn take(&mut self, rate: Rate, now: Instant) {
        if let Some(interval) = rate.interval() {
            self.full = self.full.max(now) + interval;
        }
    }

    /// Takes a token if one is left; true if it did.
    pub fn try_take(&mut self, rate: Rate, now: Instant) -> bool {
        let has_token = self.has_token(rate, now);
        if has_token {
            self.take(rate, now);
        }
        has_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (rate, mut bucket) = (Rate::new(100, 5), TokenBucket::default());
        let mut taken = |millis: u64| {
            (0..50).filter(|_| bucket.try_take(rate, Instant::from_millis(millis))).count()
        };
        assert_eq!([0, 0, 10, 40, 10_000].map(&mut taken), [5, 0, 1, 3, 5]);
        let mut none = TokenBucket::default();
        assert!(!none.try_take(Rate::new(0, 5), Instant::from_secs(9)), "a rate of 0 allows none");
    }
}
