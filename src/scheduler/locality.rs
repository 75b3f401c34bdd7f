//! What lblc and lblcr share: the cache, and the numbers that stand for servers in it.
//!
//! The number belongs to the server's address. A server that is removed and added again gets its clients back, as in the
//! kernel.

use super::cache::{Cache, CacheBucket};
use super::candidate::{Candidate, Load};
use crate::model::DestinationAddress;
use crate::time::{Duration, Instant};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Numbers that a service may use up before it clears the cache together with the removed servers.
const SERVERS: usize = 1 << 16;

/// Position of a server that is not in the list.
const NOWHERE: u32 = u32::MAX;

/// A server in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server(u32);

/// The cache of one service: one `Value` per destination address.
#[derive(Clone, Debug)]
pub(super) struct Locality<Value> {
    cache: Arc<Cache<Value>>,
    /// The number of every server since the cache was created.
    numbers: Arc<HashMap<DestinationAddress, Server>>,
    /// By place in the list.
    servers: Arc<[Server]>,
    /// By number of a server.
    places: Arc<[u32]>,
}

impl<Value> Locality<Value> {
    /// With an empty cache.
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        Self::of(Arc::new(Cache::new()), HashMap::new(), candidates)
    }

    /// The same cache with another list.
    pub(super) fn changed(&self, candidates: &[Candidate]) -> Self {
        if self.numbers.len() >= SERVERS.max(2 * candidates.len()) {
            return Self::new(candidates);
        }
        Self::of(Arc::clone(&self.cache), HashMap::clone(&self.numbers), candidates)
    }

    fn of(
        cache: Arc<Cache<Value>>,
        mut numbers: HashMap<DestinationAddress, Server>,
        candidates: &[Candidate],
    ) -> Self {
        let number = |candidate: &Candidate| {
            let next = Server(numbers.len() as u32);
            *numbers.entry(candidate.server()).or_insert(next)
        };
        let servers: Arc<[Server]> = candidates.iter().map(number).collect();
        let mut places = vec![NOWHERE; numbers.len()];
        for (server, place) in servers.iter().zip(0..) {
            places[server.0 as usize] = place;
        }
        Locality { cache, numbers: Arc::new(numbers), servers, places: places.into() }
    }

    /// The control thread calls it every second.
    pub(super) fn collect(&self, now: Instant, expiration_s: u32) {
        self.cache.collect(now, expiration_s);
    }

    /// See [`Cache::bucket`].
    #[inline]
    pub(super) fn bucket(&self, address: IpAddr) -> Option<CacheBucket<'_, Value>> {
        self.cache.bucket(address)
    }

    /// See [`Cache::expiration`].
    #[inline]
    pub(super) fn expiration(&self) -> Duration {
        self.cache.expiration()
    }

    /// The server at a place in the list.
    #[inline]
    pub(super) fn server(&self, index: usize) -> Server {
        self.servers[index]
    }

    /// Where in the list a server is.
    #[inline]
    pub(super) fn place(&self, server: Server) -> Option<usize> {
        // A worker with a newer list may have entered servers that this list does not contain.
        let place = self.places.get(server.0 as usize).copied()?;
        (place != NOWHERE).then_some(place as usize)
    }
}

/// The server has more active connections than its weight, and another one has less than half its weight.
pub(super) fn busy(candidates: &[Candidate], load: &impl Load, index: usize) -> bool {
    load.active(index) > candidates[index].weight
        && (0..candidates.len())
            .any(|other| u64::from(load.active(other)) * 2 < u64::from(candidates[other].weight))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{candidate, candidates};
    use super::*;

    #[test]
    fn a_server_keeps_its_number() {
        let list = candidates(&[1, 1]);
        let born = Locality::<u32>::new(&list);
        let newest = born.server(0);
        let without = born.changed(&list[1..]);
        assert_eq!((without.place(newest), without.place(born.server(1))), (None, Some(0)));
        // It comes back with another id and behind the others.
        let mut back = list[0];
        back.id.0 = 77;
        let with = without.changed(&[candidate(9, 1), list[1], back]);
        assert_eq!(with.server(2), newest);
        assert_eq!(with.place(newest), Some(2));
        assert_eq!(born.place(with.server(0)), None, "unknown to who has the old list");
    }

    #[test]
    fn servers_that_are_gone_are_forgotten_in_the_end() {
        let many: Vec<Candidate> = (0..SERVERS as u32).map(|id| candidate(id, 1)).collect();
        let full = Locality::<u32>::new(&many);
        let after = full.changed(&many[..1]);
        assert_eq!(after.numbers.len(), 1);
        assert!(!Arc::ptr_eq(&full.cache, &after.cache));
        // But not those that are in use.
        let used = full.changed(&many);
        assert_eq!(used.numbers.len(), SERVERS);
        assert!(Arc::ptr_eq(&full.cache, &used.cache));
    }
}
