//! lblc: a destination address stays with the server that last had it, unless that one is busy while
//! another is nearly idle; then wlc chooses. For clusters of transparent caches.

use super::cache::Cache;
use super::candidate::{Candidate, Flow, Load};
use super::cursor::Cursor;
use super::wlc;
use crate::model::DestinationAddress;
use crate::time::Instant;
use std::collections::HashMap;
use std::sync::Arc;

/// Where in the list a server is. The caches know servers by address: a removed server that comes
/// back gets its clients back, as in the kernel.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<HashMap<DestinationAddress, usize>>);

impl Places {
    pub(super) fn of(candidates: &[Candidate]) -> Self {
        let servers = candidates.iter().enumerate();
        Places(Arc::new(servers.map(|(index, candidate)| (candidate.server(), index)).collect()))
    }

    #[inline]
    pub(super) fn get(&self, server: &DestinationAddress) -> Option<usize> {
        self.0.get(server).copied()
    }
}

/// More active connections than weight, while some other has less than half its weight.
pub(super) fn busy(candidates: &[Candidate], load: &impl Load, index: usize) -> bool {
    load.active(index) > candidates[index].weight
        && (0..candidates.len())
            .any(|other| u64::from(load.active(other)) * 2 < u64::from(candidates[other].weight))
}

#[derive(Clone, Debug)]
pub(super) struct Locality {
    cache: Arc<Cache<DestinationAddress>>,
    places: Places,
}

impl Locality {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        Locality { cache: Arc::new(Cache::new()), places: Places::of(candidates) }
    }

    pub(super) fn changed(&self, candidates: &[Candidate]) -> Self {
        Locality { cache: Arc::clone(&self.cache), places: Places::of(candidates) }
    }

    pub(super) fn collect(&self, now: Instant, expiration_s: u32) {
        self.cache.collect(now, expiration_s);
    }

    pub(super) fn pick(
        &self,
        candidates: &[Candidate],
        cursor: &Cursor,
        load: &impl Load,
        flow: &Flow,
        now: Instant,
    ) -> Option<usize> {
        let known = self.cache.bucket(flow.destination).entry().and_then(|entry| {
            entry.used = now;
            self.places.get(&entry.value)
        });
        // As in the kernel a server that is known is not asked whether it is overloaded.
        let usable =
            |index: &usize| candidates[*index].weight > 0 && !busy(candidates, load, *index);
        if let Some(index) = known.filter(usable) {
            return Some(index);
        }
        let index = wlc::pick(candidates, cursor, load)?;
        let server = candidates[index].server();
        let mut bucket = self.cache.bucket(flow.destination);
        match bucket.entry() {
            Some(entry) => entry.value = server,
            None => bucket.insert(server, now),
        }
        Some(index)
    }
}
