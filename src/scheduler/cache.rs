//! Destination address -> what lblc and lblcr know about it.
//!
//! The workers share one cache per service: only the first packet of a connection asks it, and it
//! locks one bucket of 1024 for a moment. The buckets, the soft limit and the times are the kernel's;
//! the hard limit per bucket is ours.
//!
//! One deviation: the kernel counts an entry again whenever its mapping is replaced and so comes to
//! believe that the cache is full. Here it is full when it is.

use super::hash::{folded, golden_ratio};
use crate::limits::LOCALITY_BUCKET;
use crate::time::{Duration, Instant};
use parking_lot::{Mutex, MutexGuard};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

const BITS: u32 = 10;
const BUCKETS: usize = 1 << BITS;

/// Entries that make the collector free entries before their time.
const SOFT_LIMIT: usize = 16 * BUCKETS;

const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// Collections without pressure between two searches for expired entries.
const ROUNDS: u32 = 30;

/// Under pressure an entry goes when it has been unused for this long.
const PRESSED: Duration = Duration::from_secs(360);

/// The kernel's `lblc_expiration` and `lblcr_expiration` until they are set.
const EXPIRATION_S: u32 = 24 * 3600;

#[derive(Debug)]
pub(super) struct Entry<Value> {
    address: IpAddr,
    pub(super) used: Instant,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) struct Cache<Value> {
    buckets: Box<[Mutex<Vec<Entry<Value>>>]>,
    expiration_s: AtomicU32,
    collector: Mutex<Collector>,
}

#[derive(Debug)]
struct Collector {
    /// When the last collection was; at first the first time the collector was called.
    last: Option<Instant>,
    round: u32,
    /// The bucket at which the last collection under pressure stopped.
    rover: usize,
}

impl<Value> Cache<Value> {
    pub(super) fn new() -> Self {
        Cache {
            buckets: (0..BUCKETS).map(|_| Mutex::new(Vec::new())).collect(),
            expiration_s: AtomicU32::new(EXPIRATION_S),
            collector: Mutex::new(Collector { last: None, round: 1, rover: 0 }),
        }
    }

    /// How long an entry (and for lblcr, a set that does not change) lasts.
    pub(super) fn expiration(&self) -> Duration {
        Duration::from_secs(self.expiration_s.load(Ordering::Relaxed).into())
    }

    /// The bucket of an address, locked.
    pub(super) fn bucket(&self, address: IpAddr) -> Bucket<'_, Value> {
        let index = golden_ratio(folded(address), BITS) as usize;
        Bucket { entries: self.buckets[index].lock(), address }
    }

    /// What the control thread does every second: once a minute it looks for entries to drop.
    pub(super) fn collect(&self, now: Instant, expiration_s: u32) {
        self.expiration_s.store(expiration_s, Ordering::Relaxed);
        let mut collector = self.collector.lock();
        let last = *collector.last.get_or_insert(now);
        if now.since(last) < COLLECT_EVERY {
            return;
        }
        collector.last = Some(now);
        if collector.round >= ROUNDS {
            let expiration = self.expiration();
            for index in 0..BUCKETS {
                self.drop_unused(index, now, expiration);
            }
            collector.round = 1;
            return;
        }
        let entries: usize = self.buckets.iter().map(|bucket| bucket.lock().len()).sum();
        if entries <= SOFT_LIMIT {
            collector.round += 1;
            return;
        }
        let goal = ((entries - SOFT_LIMIT) * 4 / 3).min(SOFT_LIMIT / 2);
        let mut dropped = 0;
        for _ in 0..BUCKETS {
            collector.rover = (collector.rover + 1) % BUCKETS;
            dropped += self.drop_unused(collector.rover, now, PRESSED);
            if dropped >= goal {
                break;
            }
        }
    }

    /// Drops the entries of a bucket that were not used for `time`; says how many they were.
    fn drop_unused(&self, index: usize, now: Instant, time: Duration) -> usize {
        let mut entries = self.buckets[index].lock();
        let before = entries.len();
        entries.retain(|entry| now.since(entry.used) < time);
        before - entries.len()
    }
}

/// One locked bucket, for one address.
pub(super) struct Bucket<'a, Value> {
    entries: MutexGuard<'a, Vec<Entry<Value>>>,
    address: IpAddr,
}

impl<Value> Bucket<'_, Value> {
    pub(super) fn entry(&mut self) -> Option<&mut Entry<Value>> {
        self.entries.iter_mut().find(|entry| entry.address == self.address)
    }

    /// Adds an entry for the address, which must have none. In a full bucket it takes the place of
    /// the longest unused.
    pub(super) fn insert(&mut self, value: Value, now: Instant) {
        let entry = Entry { address: self.address, used: now, value };
        if self.entries.len() < LOCALITY_BUCKET {
            self.entries.push(entry);
        } else if let Some(oldest) = self.entries.iter_mut().min_by_key(|entry| entry.used) {
            *oldest = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    fn filled(entries: u32, used: Instant) -> Cache<u32> {
        let cache = Cache::new();
        for number in 0..entries {
            cache.bucket(address(number)).insert(number, used);
        }
        cache
    }

    fn entries(cache: &Cache<u32>) -> usize {
        cache.buckets.iter().map(|bucket| bucket.lock().len()).sum()
    }

    #[test]
    fn a_bucket_never_outgrows_its_limit() {
        let cache = Cache::new();
        let bucket = golden_ratio(0, BITS);
        let mut same = (0..).filter(|&number| golden_ratio(number, BITS) == bucket);
        for second in 0..LOCALITY_BUCKET as u64 + 5 {
            let number = same.next().unwrap();
            cache.bucket(address(number)).insert(number, Instant::from_secs(second));
        }
        assert_eq!(entries(&cache), LOCALITY_BUCKET);
        // The longest unused made room.
        assert!(cache.bucket(address(0)).entry().is_none());
    }

    #[test]
    fn expired_entries_go_every_half_hour() {
        let cache = filled(100, Instant::START);
        cache.bucket(address(7)).entry().unwrap().used = Instant::from_secs(1_000);
        for second in 0..=30 * 60 - 1 {
            cache.collect(Instant::from_secs(second), 900);
            assert_eq!(entries(&cache), 100, "at {second} s");
        }
        cache.collect(Instant::from_secs(30 * 60), 900);
        assert_eq!(entries(&cache), 1);
        assert!(cache.bucket(address(7)).entry().is_some());
    }

    #[test]
    fn a_full_cache_drops_what_was_unused_for_six_minutes() {
        let surplus = 3_000;
        let cache = filled(SOFT_LIMIT as u32 + surplus, Instant::START);
        let full = entries(&cache);
        let minute = |number: u64| {
            cache.collect(Instant::from_secs(number * 60), EXPIRATION_S);
            entries(&cache)
        };
        for number in 0..6 {
            assert_eq!(minute(number), full, "minute {number}");
        }
        let left = minute(6);
        let goal = (full - SOFT_LIMIT) * 4 / 3;
        assert!((goal..goal + LOCALITY_BUCKET).contains(&(full - left)), "{left} of {full} left");
    }
}
