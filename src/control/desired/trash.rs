//! Removed destinations: they keep their slot while connections may refer to them, and come back from here when they
//! are added again. An unused one loses its slot after two minutes, or as soon as another wants it.

use super::{Desired, ServiceSlot};
use crate::model::DestinationId;
use crate::snapshot::Destination;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long an unused destination stays.
const PERIOD: Duration = Duration::from_secs(120);
/// The trash is gone through this often while there is something in it.
const INTERVAL: Duration = Duration::from_secs(60);
/// Looked at in one go, so that no command has to wait for all of it.
const AT_ONCE: usize = 1024;

/// Slots given back in one go when one is wanted.
const RECLAIMED_AT_ONCE: usize = 256;

/// Destinations in the trash.
#[derive(Debug, Default)]
pub(super) struct Trash {
    removed: BTreeMap<DestinationId, Removed>,
    next: Option<Instant>,
    /// Where a round under way goes on.
    cursor: Option<DestinationId>,
    /// Where the last search for unused slots ended.
    reclaimed: Option<DestinationId>,
}

#[derive(Clone, Copy, Debug)]
struct Removed {
    /// The generation of the desired state that has the removal.
    generation: u64,
    /// When it was first found unused.
    idle_since: Option<Instant>,
}

impl Trash {
    pub(super) fn put(&mut self, id: DestinationId, generation: u64, now: Instant) {
        // An empty trash is not gone through: the first destination in it starts the time.
        if self.removed.is_empty() {
            self.next = Some(now + INTERVAL);
        }
        self.removed.insert(id, Removed { generation, idle_since: None });
    }

    pub(super) fn take(&mut self, id: DestinationId) {
        self.removed.remove(&id);
    }

    pub(super) fn len(&self) -> usize {
        self.removed.len()
    }

    /// Takes out destinations that may be forgotten at once, [`RECLAIMED_AT_ONCE`] at most. Looks at all of them only
    /// if fewer than that can be found.
    fn reclaim(&mut self, may_go: impl Fn(DestinationId, u64) -> bool) -> Vec<DestinationId> {
        let start = self.reclaimed.unwrap_or(DestinationId(0));
        let ahead = self.removed.range(start..);
        let behind = self.removed.range(..start);
        let found: Vec<_> = ahead
            .chain(behind)
            .filter(|(id, removed)| may_go(**id, removed.generation))
            .map(|(id, _)| *id)
            .take(RECLAIMED_AT_ONCE)
            .collect();
        for id in &found {
            self.removed.remove(id);
            self.reclaimed = Some(*id);
        }
        found
    }

    /// If it is time to look: takes out what was unused for long enough, of a piece of it.
    fn expire(
        &mut self,
        now: Instant,
        is_in_use: impl Fn(DestinationId) -> bool,
    ) -> Vec<DestinationId> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        let mut ahead = self.removed.range_mut(self.cursor.unwrap_or(DestinationId(0))..);
        for (&id, removed) in ahead.by_ref().take(AT_ONCE) {
            if !is_in_use(id) && now.since(*removed.idle_since.get_or_insert(now)) >= PERIOD {
                expired.push(id);
            }
        }
        match ahead.next() {
            Some((&id, _)) => self.cursor = Some(id),
            None => {
                self.cursor = None;
                self.next = Some(now + INTERVAL);
            }
        }
        for id in &expired {
            self.removed.remove(id);
        }
        if self.removed.is_empty() {
            self.next = None;
        }
        expired
    }
}

impl Desired {
    /// Forgets destinations that were unused for long enough, a piece of the trash at each call; every second or more
    /// often.
    pub fn empty_trash(&mut self, now: Instant) {
        let destination_stats = &self.destination_stats;
        for id in self.trash.expire(now, |id| destination_stats.is_in_use(id)) {
            self.forget_destination(id);
        }
    }

    /// A round through the trash is under way: [`Self::empty_trash`] goes on with it.
    pub fn is_emptying_trash(&self) -> bool {
        self.trash.cursor.is_some()
    }

    /// A slot for a destination. When all are taken, those of removed destinations without connections are given back
    /// before their time.
    pub(super) fn take_destination_slot(&mut self) -> Option<u32> {
        self.destination_slots.take().or_else(|| {
            self.reclaim(|_| true);
            self.destination_slots.take()
        })
    }

    /// The same of a service: it is its removed destinations that keep the slot of a deleted service.
    pub(super) fn take_service_slot(&mut self) -> Option<u32> {
        loop {
            if let Some(slot) = self.service_slots.take() {
                return Some(slot);
            }
            if self.reclaim(|service| service.listed.is_none()) == 0 {
                return None;
            }
        }
    }

    /// Gives back some slots of removed destinations that no connection uses; how many. A worker that does not know
    /// of the removal yet may still make a connection, so its acknowledgement is waited for.
    fn reclaim(&mut self, of: impl Fn(&ServiceSlot) -> bool) -> usize {
        let Desired { trash, destinations, services, destination_stats, acknowledged, .. } = self;
        let may_go = |id: DestinationId, generation| {
            let row = destinations[id.index()].as_ref();
            generation <= *acknowledged
                && row.is_some_and(|row| of(&services[row.service.index()]))
                && !destination_stats.is_in_use(id)
        };
        let found = trash.reclaim(may_go);
        for id in &found {
            self.forget_destination(*id);
        }
        found.len()
    }

    /// Every worker uses the desired state of this generation or a newer one.
    pub fn acknowledged(&mut self, generation: u64) {
        self.acknowledged = generation;
    }

    /// Some removals are not known to every worker yet: a table that is full now may have room once they are.
    pub fn is_room_to_come(&self) -> bool {
        self.trash.removed.values().any(|removed| removed.generation > self.acknowledged)
    }

    /// The slot may be reused from now on.
    fn forget_destination(&mut self, id: DestinationId) {
        let Some(row) = self.destinations[id.index()].take() else { return };
        self.by_service_and_address.remove(&(row.service, row.spec.at));
        self.by_address.remove(&(row.spec.at.address, id));
        if let Some((at, need)) = row.next_hop {
            self.next_hops.give_back(at, need);
            self.by_next_hop.remove(&(at, id));
        }
        if row.answers {
            let replies = Arc::make_mut(&mut self.next.replies);
            replies.remove(&row.key, row.spec.at.address, row.spec.at.port);
        }
        self.next.destinations.set(id.index(), Destination::default());
        self.destination_slots.give_back(id.0);
        self.services[row.service.index()].trashed -= 1;
        self.release_service_if_unused(row.service, &row.key);
        self.touch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_ones_are_stamped_first_and_go_two_minutes_later() {
        let mut trash = Trash::default();
        let (one, other) = (DestinationId(1), DestinationId(2));
        let at = Instant::from_secs;
        trash.put(one, 0, at(5));
        trash.put(other, 0, at(64));
        let expired = |trash: &mut Trash, now, used: &[DestinationId]| {
            trash.expire(at(now), |id| used.contains(&id))
        };
        assert_eq!(expired(&mut trash, 64, &[]), []);
        // Looked at every 60 s from the first one on: stamps `other` at 65, `one` at 125.
        assert_eq!(expired(&mut trash, 65, &[one]), []);
        assert_eq!(expired(&mut trash, 125, &[]), []);
        assert_eq!(expired(&mut trash, 184, &[]), []);
        assert_eq!(expired(&mut trash, 185, &[]), [other]);
        assert_eq!(expired(&mut trash, 244, &[]), []);
        assert_eq!(expired(&mut trash, 245, &[one]), []);
        assert_eq!(expired(&mut trash, 305, &[]), [one]);
        assert_eq!((trash.len(), trash.next), (0, None));
        // Taken back and removed again: 60 s from then.
        trash.put(one, 0, at(400));
        trash.take(one);
        trash.put(one, 0, at(450));
        assert_eq!(trash.next, Some(at(510)));
    }
}
