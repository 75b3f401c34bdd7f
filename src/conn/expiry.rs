//! Removes expired connections, a bounded number at a time.

use super::connection::{Connection, ConnectionId};
use super::memory::prefetch;
use super::table::Table;
use crate::packet::Address;

/// Number of entries prefetched ahead of the current one, enough to hide memory latency.
const LEAD: usize = 8;

/// What to do with an expired connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Remove,
    /// Keep it, with this timeout in seconds from now.
    Keep(u32),
}

/// Position of the prefetches in the list of the wheel's slot.
#[derive(Default)]
struct Lead {
    next: u32,
    distance: usize,
}

impl<A: Address> Table<A> {
    /// Removes expired connections to which `expired` agrees. Visits at most `budget` entries and wheel slots together.
    /// Returns how much of the budget was used; if all, more may be due.
    pub fn expire(
        &mut self,
        now_ms: u32,
        budget: usize,
        mut expired: impl FnMut(ConnectionId, &Connection<A>) -> Expiry,
    ) -> usize {
        let mut used = 0;
        let mut lead = Lead::default();
        while used < budget && self.wheel.is_due(now_ms) {
            used += 1;
            let number = self.wheel.head();
            if number == 0 {
                self.wheel.step(now_ms);
                continue;
            }
            self.run_ahead(&mut lead, number, now_ms);
            let id = ConnectionId(number);
            let entry = &self.entries[id.index()];
            let mut remaining_ms = entry.remaining_ms(now_ms);
            if remaining_ms == 0 {
                let Expiry::Keep(timeout_s) = expired(id, entry) else {
                    // `run_ahead` has prefetched its references.
                    self.take_out(id, true);
                    continue;
                };
                let entry = &mut self.entries[id.index()];
                entry.stamp = now_ms;
                entry.timeout_s = timeout_s;
                remaining_ms = entry.remaining_ms(now_ms);
            }
            self.wheel.unfile(&mut self.entries, number);
            self.wheel.file(&mut self.entries, number, now_ms, remaining_ms);
        }
        used
    }

    /// Keeps the prefetches `LEAD` entries ahead of `head`, the current one. No entry is added to the slot that is
    /// being emptied, so the rest of the list does not change.
    #[inline]
    fn run_ahead(&self, lead: &mut Lead, head: u32, now_ms: u32) {
        if lead.distance == 0 {
            lead.next = head;
        }
        while lead.distance < LEAD && lead.next != 0 {
            let entry = &self.entries[lead.next as usize];
            if entry.remaining_ms(now_ms) == 0 {
                self.prefetch_references(self.references(lead.next));
            }
            lead.next = entry.links.next;
            lead.distance += 1;
            prefetch(&self.entries[lead.next as usize]);
        }
        lead.distance -= 1;
    }
}
