//! Removed destinations: they keep their slot while connections may refer to them, and come back from here when they
//! are added again.

use super::Desired;
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

/// Destinations in the trash, with the time at which each was first found unused.
#[derive(Debug, Default)]
pub(super) struct Trash {
    idle_since: BTreeMap<DestinationId, Option<Instant>>,
    next: Option<Instant>,
    /// Where a round under way goes on.
    cursor: Option<DestinationId>,
}

impl Trash {
    pub(super) fn put(&mut self, id: DestinationId, now: Instant) {
        // An empty trash is not gone through: what comes into it starts the time anew.
        if self.idle_since.is_empty() {
            self.next = Some(now + INTERVAL);
        }
        self.idle_since.insert(id, None);
    }

    pub(super) fn take(&mut self, id: DestinationId) {
        self.idle_since.remove(&id);
    }

    pub(super) fn len(&self) -> usize {
        self.idle_since.len()
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
        let mut ahead = self.idle_since.range_mut(self.cursor.unwrap_or(DestinationId(0))..);
        for (&id, since) in ahead.by_ref().take(AT_ONCE) {
            if !is_in_use(id) && now.since(*since.get_or_insert(now)) >= PERIOD {
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
            self.idle_since.remove(id);
        }
        if self.idle_since.is_empty() {
            self.next = None;
        }
        expired
    }
}

impl Desired {
    /// Empties the trash of what nobody uses any more, a piece at each call; every second or more often.
    pub fn empty_trash(&mut self, now: Instant) {
        let destination_stats = &self.destination_stats;
        for id in self.trash.expire(now, |id| destination_stats.is_in_use(id)) {
            self.forget_destination(id);
        }
    }

    /// The slot may be reused from now on.
    fn forget_destination(&mut self, id: DestinationId) {
        let Some(row) = self.destinations[id.index()].take() else { return };
        self.by_service_and_address.remove(&(row.service, row.spec.at));
        self.by_address.remove(&(row.spec.at.address, id));
        if let Some(at) = row.next_hop {
            self.next_hops.give_back(at);
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
        trash.put(one, at(5));
        trash.put(other, at(64));
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
        trash.put(one, at(400));
        trash.take(one);
        trash.put(one, at(450));
        assert_eq!(trash.next, Some(at(510)));
    }
}
