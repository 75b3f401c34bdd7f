//! Rate limits for messages: token buckets, for all hosts together and for each host.

use crate::packet::{bits, slot_of};
use crate::rate::{Rate, TokenBucket};
use crate::time::Instant;
use std::net::IpAddr;

/// Limits of one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// For all hosts together.
    pub overall: Rate,
    /// For one host; `None`: only the overall limit applies.
    pub per_host: Option<Rate>,
}

/// Number of hosts with a bucket. Two hosts in one slot replace each other's bucket, which gives them more than their
/// share; the overall limit still applies.
const HOSTS: usize = 4096;

/// Counts messages for a [`Limit`].
#[derive(Debug)]
pub(super) struct Limiter {
    limit: Limit,
    overall: TokenBucket,
    hosts: Box<[(Option<IpAddr>, TokenBucket)]>,
}

impl Limiter {
    pub(super) fn new(limit: Limit) -> Self {
        let slots = if limit.per_host.is_some() { HOSTS } else { 0 };
        Limiter {
            limit,
            overall: TokenBucket::default(),
            hosts: vec![(None, TokenBucket::default()); slots].into(),
        }
    }

    /// True if one more message to `host` is within the limit, which then counts it.
    pub(super) fn allow(&mut self, host: IpAddr, now: Instant) -> bool {
        if !self.overall.has_token(self.limit.overall, now) {
            return false;
        }
        if let Some(rate) = self.limit.per_host {
            let (owner, bucket) = &mut self.hosts[slot_of(bits(host), HOSTS)];
            if *owner != Some(host) {
                (*owner, *bucket) = (Some(host), TokenBucket::default());
            }
            if !bucket.has_token(rate, now) {
                return false;
            }
            bucket.take(rate, now);
        }
        self.overall.take(self.limit.overall, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn host(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0b00_0000 + number).into()
    }

    type HostOf = fn(u32) -> u32;

    fn allowed(limiter: &mut Limiter, count: u32, host_of: HostOf, now: Instant) -> u32 {
        (0..count).map(|number| u32::from(limiter.allow(host(host_of(number)), now))).sum()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let per_host = Some(Rate::new(1, 6));
        let mut limiter = Limiter::new(Limit { overall: Rate::new(1000, 50), per_host });
        let cases: [(u64, u32, HostOf, u32); 6] = [
            (0, 100, |_| 0, 6),
            (0, 100, |number| number + 1, 44),
            (500, 10, |_| 0, 0),
            (1000, 10, |_| 0, 1),
            (2000, 500, |number| number, 50),
            (60_000, 10, |_| 0, 6),
        ];
        for (millis, count, host_of, expected) in cases {
            let now = Instant::from_millis(millis);
            assert_eq!(allowed(&mut limiter, count, host_of, now), expected, "at {millis} ms");
        }
    }

    #[test]
    fn in_the_long_run_the_rate_holds() {
        let mut limiter = Limiter::new(Limit { overall: Rate::new(200, 10), per_host: None });
        let sent: u32 = (0..10_000)
            .map(|millis| u32::from(limiter.allow(host(0), Instant::from_millis(millis))))
            .sum();
        assert!((2000..=2010).contains(&sent), "{sent} in ten seconds");
    }

    #[test]
    fn a_rate_of_zero_allows_nothing() {
        let mut limiter = Limiter::new(Limit { overall: Rate::new(0, 10), per_host: None });
        assert!(!limiter.allow(host(0), Instant::from_secs(100)));
    }
}
