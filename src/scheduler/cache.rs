//! The cache of lblc and lblcr: maps a destination address to its server or servers.
//!
//! All workers share one cache per service. Only the first packet of a connection reads it. It has 1024 buckets, each with
//! a lock that is only tried, never waited for: if a bucket is locked, a worker schedules without the cache, and the
//! collector tries again later. A worker never allocates: in a full bucket it replaces the entry that was unused for
//! longest and sets a flag, and the collector enlarges the bucket.
//!
//! Number of buckets, soft limit and times are the kernel's. The hard limit per bucket is ours. One difference: the kernel
//! counts an entry again whenever its mapping is replaced, and so its entry count grows too large. Here the count is exact.

use super::hash::{folded, golden_ratio};
use crate::limits::LOCALITY_BUCKET;
use crate::time::{Duration, Instant};
use parking_lot::{Mutex, MutexGuard};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const BITS: u32 = 10;
const BUCKETS: usize = 1 << BITS;

/// Initial capacity of a bucket, in entries.
const FIRST_ROOM: usize = 4;

/// Soft limit: with more entries than this the collector removes entries before they expire.
const SOFT_LIMIT: usize = 16 * BUCKETS;

const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// Number of collections without pressure between two searches for expired entries.
const ROUNDS: u32 = 30;

/// Under pressure an entry is removed when it has been unused for this long.
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
    /// Within their capacity; only the collector makes one larger.
    buckets: Box<[Mutex<Vec<Entry<Value>>>]>,
    /// A bucket was full since the last collection.
    is_crowded: AtomicBool,
    expiration_s: AtomicU32,
    collector: Mutex<Collector>,
}

#[derive(Debug)]
struct Collector {
    /// Time of the last collection; initially, of the collector's first call.
    last: Option<Instant>,
    round: u32,
    /// The bucket at which the last collection under pressure stopped.
    rover: usize,
}

impl<Value> Cache<Value> {
    pub(super) fn new() -> Self {
        Self::with_room(FIRST_ROOM)
    }

    fn with_room(entries: usize) -> Self {
        Cache {
            buckets: (0..BUCKETS).map(|_| Mutex::new(Vec::with_capacity(entries))).collect(),
            is_crowded: AtomicBool::new(false),
            expiration_s: AtomicU32::new(EXPIRATION_S),
            collector: Mutex::new(Collector { last: None, round: 1, rover: 0 }),
        }
    }

    /// Lifetime of an unused entry; for lblcr, also of a set that does not change.
    pub(super) fn expiration(&self) -> Duration {
        Duration::from_secs(self.expiration_s.load(Ordering::Relaxed).into())
    }

    /// The bucket of an address, locked. `None` while another thread holds the lock.
    #[inline]
    pub(super) fn bucket(&self, address: IpAddr) -> Option<CacheBucket<'_, Value>> {
        let index = golden_ratio(folded(address), BITS) as usize;
        let entries = self.buckets[index].try_lock()?;
        Some(CacheBucket { entries, address, is_crowded: &self.is_crowded })
    }

    /// Called by the control thread every second: enlarges full buckets, and once a minute removes expired entries.
    pub(super) fn collect(&self, now: Instant, expiration_s: u32) {
        self.expiration_s.store(expiration_s, Ordering::Relaxed);
        self.make_room();
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
        let entries: usize = self.buckets.iter().map(|bucket| seize(bucket).len()).sum();
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

    /// Doubles the capacity of every full bucket, up to the limit. Memory is allocated and freed while no bucket is locked.
    fn make_room(&self) {
        if !self.is_crowded.swap(false, Ordering::Relaxed) {
            return;
        }
        for bucket in &self.buckets {
            let (length, room) = {
                let entries = seize(bucket);
                (entries.len(), entries.capacity())
            };
            if length < room || room >= LOCALITY_BUCKET {
                continue;
            }
            let mut larger = Vec::with_capacity((2 * room).min(LOCALITY_BUCKET));
            let mut entries = seize(bucket);
            larger.append(&mut entries);
            std::mem::swap(&mut *entries, &mut larger);
        }
    }

    /// Removes the entries of a bucket that were unused for `time`. Returns their number.
    fn drop_unused(&self, index: usize, now: Instant, time: Duration) -> usize {
        let mut entries = seize(&self.buckets[index]);
        let before = entries.len();
        entries.retain(|entry| now.since(entry.used) < time);
        before - entries.len()
    }
}

/// Locks a bucket for the collector. It spins instead of queueing for the lock, so that the worker that holds it never has
/// to wake a waiter.
fn seize<Entry>(bucket: &Mutex<Vec<Entry>>) -> MutexGuard<'_, Vec<Entry>> {
    loop {
        match bucket.try_lock() {
            Some(entries) => return entries,
            None => std::thread::yield_now(),
        }
    }
}

/// One locked bucket, for one address.
pub(super) struct CacheBucket<'a, Value> {
    entries: MutexGuard<'a, Vec<Entry<Value>>>,
    address: IpAddr,
    is_crowded: &'a AtomicBool,
}

impl<Value> CacheBucket<'_, Value> {
    pub(super) fn entry(&mut self) -> Option<&mut Entry<Value>> {
        self.entries.iter_mut().find(|entry| entry.address == self.address)
    }

    /// Adds an entry for the address, which must have none. In a full bucket it replaces the entry that was unused for
    /// longest.
    pub(super) fn insert(&mut self, value: Value, now: Instant) {
        let entry = Entry { address: self.address, used: now, value };
        let room = self.entries.capacity().min(LOCALITY_BUCKET);
        if self.entries.len() < room {
            self.entries.push(entry);
            return;
        }
        if room < LOCALITY_BUCKET && !self.is_crowded.load(Ordering::Relaxed) {
            self.is_crowded.store(true, Ordering::Relaxed);
        }
        if let Some(oldest) = self.entries.iter_mut().min_by_key(|entry| entry.used) {
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

    /// A bucket of its own.
    fn bucket(cache: &Cache<u32>, number: u32) -> CacheBucket<'_, u32> {
        cache.bucket(address(number)).unwrap()
    }

    fn filled(entries: u32, used: Instant) -> Cache<u32> {
        let cache = Cache::with_room(LOCALITY_BUCKET);
        for number in 0..entries {
            bucket(&cache, number).insert(number, used);
        }
        cache
    }

    /// Numbers whose addresses share a bucket.
    fn same_bucket() -> impl Iterator<Item = u32> {
        let bucket = golden_ratio(0, BITS);
        (0..).filter(move |&number| golden_ratio(number, BITS) == bucket)
    }

    fn entries(cache: &Cache<u32>) -> usize {
        cache.buckets.iter().map(|bucket| seize(bucket).len()).sum()
    }

    #[test]
    fn a_bucket_never_outgrows_its_limit() {
        let cache = Cache::with_room(LOCALITY_BUCKET);
        for (number, second) in same_bucket().zip(0..LOCALITY_BUCKET as u64 + 5) {
            bucket(&cache, number).insert(number, Instant::from_secs(second));
        }
        assert_eq!(entries(&cache), LOCALITY_BUCKET);
        // It replaced the entry that was unused for longest.
        assert!(bucket(&cache, 0).entry().is_none());
        assert!(!cache.is_crowded.load(Ordering::Relaxed), "there is no larger bucket");
    }

    #[test]
    fn the_collector_makes_room_and_nobody_else() {
        let cache = Cache::new();
        let mut numbers = same_bucket();
        let room = |cache: &Cache<u32>| bucket(cache, 0).entries.capacity();
        let mut second = 0;
        for expected in [4, 8, 16, 32, 64, 64] {
            assert_eq!(room(&cache), expected);
            for number in numbers.by_ref().take(expected + 1) {
                second += 1;
                bucket(&cache, number).insert(number, Instant::from_secs(second));
            }
            assert_eq!((room(&cache), entries(&cache)), (expected, expected));
            let newest: Vec<u32> = bucket(&cache, 0).entries.iter().map(|e| e.value).collect();
            cache.collect(Instant::START, EXPIRATION_S);
            let kept: Vec<u32> = bucket(&cache, 0).entries.iter().map(|e| e.value).collect();
            assert_eq!(kept, newest);
        }
        assert_eq!(bucket(&cache, 1).entries.capacity(), FIRST_ROOM, "a bucket with room stays");
    }

    #[test]
    fn a_bucket_in_use_is_not_waited_for() {
        let cache = Cache::new();
        let held = bucket(&cache, 0);
        assert!(cache.bucket(address(0)).is_none());
        assert!(cache.bucket(address(1)).is_some(), "another bucket");
        drop(held);
        assert!(cache.bucket(address(0)).is_some());
    }

    #[test]
    fn workers_and_the_collector_get_along() {
        const ADDRESSES: u32 = 5_000;
        let cache = Cache::new();
        let work = |worker: u32| {
            for turn in 0..20_000u32 {
                let number = (turn * 7 + worker) % ADDRESSES;
                let Some(mut bucket) = cache.bucket(address(number)) else { continue };
                match bucket.entry() {
                    Some(entry) => assert_eq!(entry.value, number),
                    None => bucket.insert(number, Instant::START),
                }
            }
        };
        std::thread::scope(|scope| {
            let workers = [0, 1].map(|worker| scope.spawn(move || work(worker)));
            for second in 0.. {
                cache.collect(Instant::from_secs(second), EXPIRATION_S);
                if workers.iter().all(|worker| worker.is_finished()) {
                    break;
                }
                std::thread::yield_now();
            }
        });
        let known = (0..ADDRESSES).filter(|&number| bucket(&cache, number).entry().is_some());
        assert_eq!(known.count(), entries(&cache), "no address twice");
    }

    #[test]
    fn expired_entries_go_every_half_hour() {
        let cache = filled(100, Instant::START);
        bucket(&cache, 7).entry().unwrap().used = Instant::from_secs(1_000);
        for second in 0..=30 * 60 - 1 {
            cache.collect(Instant::from_secs(second), 900);
            assert_eq!(entries(&cache), 100, "at {second} s");
        }
        cache.collect(Instant::from_secs(30 * 60), 900);
        assert_eq!(entries(&cache), 1);
        assert!(bucket(&cache, 7).entry().is_some());
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
