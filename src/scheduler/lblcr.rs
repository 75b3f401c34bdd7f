//! lblcr: locality-based least connection with replication. As lblc, but a set of servers serves a destination address.
//! The set grows when all its servers are busy and shrinks by one when it has not changed for long.

use super::candidate::{Candidate, Flow, Load};
use super::cursor::Cursor;
use super::least::{heavier, least_by_weight, overhead};
use super::locality::{Locality, Server, busy};
use super::wlc;
use crate::limits::LOCALITY_SET;
use crate::time::Instant;
use arrayvec::ArrayVec;

/// The servers of one destination address.
#[derive(Clone, Debug)]
pub(super) struct ServerSet {
    /// Oldest first. The search starts with the newest.
    servers: ArrayVec<Server, LOCALITY_SET>,
    changed: Instant,
}

impl ServerSet {
    fn new(server: Server, now: Instant) -> Self {
        ServerSet { servers: ArrayVec::from_iter([server]), changed: now }
    }

    /// A full set is not changed: with so many busy servers the scheduler works as wlc.
    fn insert(&mut self, server: Server, now: Instant) {
        if !self.servers.contains(&server) && self.servers.try_push(server).is_ok() {
            self.changed = now;
        }
    }

    /// The least loaded eligible server.
    fn least(
        &self,
        locality: &Locality<ServerSet>,
        candidates: &[Candidate],
        load: &impl Load,
    ) -> Option<usize> {
        let newest_first = self.servers.iter().rev();
        let places = newest_first.filter_map(|&server| locality.place(server));
        least_by_weight(candidates, places, load, |index| overhead(load, index))
    }

    /// Removes the most loaded server from a set that has not changed for the expiration time. A server that is no longer
    /// in the list is removed first.
    fn shrink(
        &mut self,
        locality: &Locality<ServerSet>,
        candidates: &[Candidate],
        load: &impl Load,
        now: Instant,
    ) {
        if self.servers.len() < 2 || now.since(self.changed) <= locality.expiration() {
            return;
        }
        let mut most: Option<(usize, (u64, u32))> = None;
        for (position, &server) in self.servers.iter().enumerate().rev() {
            let Some(index) = locality.place(server) else {
                most = Some((position, (0, 0)));
                break;
            };
            let share = (overhead(load, index), candidates[index].weight);
            if share.1 > 0 && most.is_none_or(|(_, heaviest)| heavier(share, heaviest)) {
                most = Some((position, share));
            }
        }
        if let Some((position, _)) = most {
            self.servers.remove(position);
            self.changed = now;
        }
    }
}

pub(super) fn pick(
    locality: &Locality<ServerSet>,
    candidates: &[Candidate],
    cursor: &Cursor,
    load: &impl Load,
    flow: &Flow,
    now: Instant,
) -> Option<usize> {
    let Some(mut bucket) = locality.bucket(flow.destination) else {
        return wlc::pick(candidates, cursor, load);
    };
    let known = bucket.entry().and_then(|entry| {
        entry.used = now;
        let least = entry.value.least(locality, candidates, load);
        entry.value.shrink(locality, candidates, load, now);
        least
    });
    drop(bucket);
    if let Some(index) = known.filter(|&index| !busy(candidates, load, index)) {
        return Some(index);
    }
    let index = wlc::pick(candidates, cursor, load)?;
    if let Some(mut bucket) = locality.bucket(flow.destination) {
        let server = locality.server(index);
        match bucket.entry() {
            Some(entry) => entry.value.insert(server, now),
            None => bucket.insert(ServerSet::new(server, now), now),
        }
    }
    Some(index)
}
