//! Writes destinations again after a change that may concern many of them: a change of routes, of the director's addresses,
//! of a path MTU, or of a neighbour's MAC address.
//!
//! A few destinations are written at a time, so that no change holds up the control thread. The next snapshot is complete
//! when all are written.

use super::Desired;
use crate::model::{DestinationId, InterfaceId};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Destinations written between two looks at the budget: each takes a microsecond or two.
const AT_ONCE: usize = 64;

/// Which destinations are still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    /// All, from this slot on.
    All(DestinationId),
    /// Those with an address from the one in `next` to `last`.
    Addresses { next: (IpAddr, DestinationId), last: IpAddr },
    /// Those behind a next hop. Only what they copy from it has changed.
    NextHop { at: (InterfaceId, IpAddr), next: DestinationId },
}

impl Sweep {
    pub(super) fn addresses(first: IpAddr, last: IpAddr) -> Self {
        Sweep::Addresses { next: (first, DestinationId(0)), last }
    }

    pub(super) fn next_hop(at: (InterfaceId, IpAddr)) -> Self {
        Sweep::NextHop { at, next: DestinationId(0) }
    }
}

/// Sweeps under way, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Sweeps(VecDeque<Sweep>);

impl Desired {
    /// No sweep is under way: the next snapshot is complete.
    pub fn is_swept(&self) -> bool {
        self.sweeps.0.is_empty()
    }

    /// Goes on with the sweeps as long as `has_budget` says, which is asked before every few destinations.
    pub fn sweep(&mut self, mut has_budget: impl FnMut() -> bool) {
        while !self.is_swept() && has_budget() {
            let Some(sweep) = self.sweeps.0.pop_front() else { return };
            let (ids, rest) = self.part_of(sweep);
            if let Some(rest) = rest {
                self.sweeps.0.push_front(rest);
            }
            for id in ids {
                match sweep {
                    Sweep::NextHop { .. } => self.copy_next_hop(id),
                    Sweep::All(_) | Sweep::Addresses { .. } => self.place_destination(id),
                }
            }
        }
    }

    /// Begins a sweep.
    pub(super) fn begin(&mut self, sweep: Sweep) {
        if self.sweeps.0.back() != Some(&sweep) {
            self.sweeps.0.push_back(sweep);
        }
        self.touch();
    }

    /// The next few destinations of a sweep, and what is left of it.
    fn part_of(&self, sweep: Sweep) -> (Vec<DestinationId>, Option<Sweep>) {
        match sweep {
            Sweep::All(DestinationId(next)) => {
                let end = (next as usize + AT_ONCE).min(self.destinations.len()) as u32;
                let is_more = (end as usize) < self.destinations.len();
                let rest = is_more.then_some(Sweep::All(DestinationId(end)));
                ((next..end).map(DestinationId).collect(), rest)
            }
            Sweep::Addresses { next, last } => {
                let mut there = self.by_address.range(next..=(last, DestinationId(u32::MAX)));
                let ids = there.by_ref().take(AT_ONCE).map(|(_, id)| *id).collect();
                (ids, there.next().map(|&next| Sweep::Addresses { next, last }))
            }
            Sweep::NextHop { at, next } => {
                let mut behind = self.by_next_hop.range((at, next)..=(at, DestinationId(u32::MAX)));
                let ids = behind.by_ref().take(AT_ONCE).map(|(_, id)| *id).collect();
                (ids, behind.next().map(|&(_, next)| Sweep::NextHop { at, next }))
            }
        }
    }

    /// Takes over the MAC address of the destination's next hop.
    fn copy_next_hop(&mut self, id: DestinationId) {
        if let Some(&old) = self.next.destinations.get(id.index()) {
            self.next.set_destination(id, old);
        }
    }
}
