//! lblcr: as lblc, but a destination address may be served by a set of servers, which grows when
//! all of them are busy and shrinks by one when it has not changed for long.

use super::cache::Cache;
use super::candidate::{Candidate, Flow, Load};
use super::cursor::Cursor;
use super::lblc::{Places, busy};
use super::least::{heavier, least_by_weight, overhead};
use super::wlc;
use crate::limits::LOCALITY_SET;
use crate::model::DestinationAddress;
use crate::time::Instant;
use std::sync::Arc;

/// The servers of one destination address.
#[derive(Debug)]
struct ServerSet {
    /// Oldest first; the newest is looked at first.
    servers: Vec<DestinationAddress>,
    changed: Instant,
}

impl ServerSet {
    /// A full set stays as it is: with so many servers busy the scheduler is plain wlc.
    fn insert(&mut self, server: DestinationAddress, now: Instant) {
        if self.servers.len() < LOCALITY_SET && !self.servers.contains(&server) {
            self.servers.push(server);
            self.changed = now;
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ReplicatedLocality {
    cache: Arc<Cache<ServerSet>>,
    places: Places,
}

impl ReplicatedLocality {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        ReplicatedLocality { cache: Arc::new(Cache::new()), places: Places::of(candidates) }
    }

    pub(super) fn changed(&self, candidates: &[Candidate]) -> Self {
        ReplicatedLocality { cache: Arc::clone(&self.cache), places: Places::of(candidates) }
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
            let least = self.least(&entry.value, candidates, load);
            self.shrink(&mut entry.value, candidates, load, now);
            least
        });
        if let Some(index) = known.filter(|&index| !busy(candidates, load, index)) {
            return Some(index);
        }
        let index = wlc::pick(candidates, cursor, load)?;
        let server = candidates[index].server();
        let mut bucket = self.cache.bucket(flow.destination);
        match bucket.entry() {
            Some(entry) => entry.value.insert(server, now),
            None => bucket.insert(ServerSet { servers: vec![server], changed: now }, now),
        }
        Some(index)
    }

    /// The least loaded eligible server of a set.
    fn least(&self, set: &ServerSet, candidates: &[Candidate], load: &impl Load) -> Option<usize> {
        let newest_first = set.servers.iter().rev().filter_map(|server| self.places.get(server));
        least_by_weight(candidates, newest_first, load, |index| overhead(load, index))
    }

    /// Takes the most loaded server out of a set that has not changed for the expiration time; a
    /// server that is no longer in the list goes before any other.
    fn shrink(
        &self,
        set: &mut ServerSet,
        candidates: &[Candidate],
        load: &impl Load,
        now: Instant,
    ) {
        if set.servers.len() < 2 || now.since(set.changed) <= self.cache.expiration() {
            return;
        }
        let mut most: Option<(usize, (u64, u32))> = None;
        for (position, server) in set.servers.iter().enumerate().rev() {
            let Some(index) = self.places.get(server) else {
                most = Some((position, (0, 0)));
                break;
            };
            let share = (overhead(load, index), candidates[index].weight);
            if share.1 > 0 && most.is_none_or(|(_, heaviest)| heavier(share, heaviest)) {
                most = Some((position, share));
            }
        }
        if let Some((position, _)) = most {
            set.servers.remove(position);
            set.changed = now;
        }
    }
}
