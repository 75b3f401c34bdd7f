//! Ends connections whose time is over, a bounded piece at a time.

use super::connection::{Connection, ConnectionId};
use super::memory::prefetch;
use super::table::Table;
use crate::packet::Address;

/// Entries whose cache lines are asked for ahead of the one looked at: enough to hide the memory behind them.
const LEAD: usize = 8;

/// What becomes of a connection whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Remove,
    /// It stays, with this timeout in seconds from now on.
    Keep(u32),
}

/// How far the prefetches are ahead in the list of the wheel's slot.
#[derive(Default)]
struct Lead {
    next: u32,
    distance: usize,
}

impl<A: Address> Table<A> {
    /// Ends connections whose time is over, each with the caller's leave. Looks at no more than `budget` entries
    /// and wheel slots together; what is left is for the next call. Returns how much of the budget was used: all
    /// of it means that there may be more to do.
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
                    self.remove(id);
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

    /// Keeps the prefetches `LEAD` entries ahead of `head`, the one looked at now. Nothing is filed under the
    /// slot that is being emptied, so the list behind the lead stays as it is.
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
