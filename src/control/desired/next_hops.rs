//! The slots of next hops: their users (destinations and gateways), and their resolved addresses.
//!
//! The host keeps the address of a next hop resolved while a listed destination or a gateway uses it. A removed
//! destination still sends ICMP errors to its server, so it keeps the slot: its next hop is solicited only for a packet.

use super::slots::Slots;
use crate::model::{Family, InterfaceId};
use crate::packet::ethernet::EtherType;
use crate::snapshot::{Adjacency, NextHop, NextHopId, Snapshot};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct NextHops {
    slots: Slots,
    by_address: HashMap<(InterfaceId, IpAddr), Entry>,
    /// Next hops that may be wanted or unwanted since the last call of `take_wanted_changes`.
    changed: BTreeSet<(InterfaceId, IpAddr)>,
}

/// How a user needs a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Always resolved: a gateway or a listed destination.
    Resolved,
    /// Only its slot: a removed destination.
    Slot,
}

#[derive(Debug)]
struct Entry {
    id: NextHopId,
    /// Number of destinations and gateways behind it.
    users: u32,
    /// Number of these that need it resolved.
    wanted_by: u32,
    is_resolved: bool,
}

impl NextHops {
    pub(super) fn new() -> Self {
        NextHops {
            slots: Slots::new(u32::MAX as usize),
            by_address: HashMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Adds a user of the next hop; `None` only if there are 2^32 of them.
    pub(super) fn take(
        &mut self,
        to: &mut Snapshot,
        at: (InterfaceId, IpAddr),
        need: Need,
    ) -> Option<NextHopId> {
        let entry = self.entry(to, at)?;
        entry.users += 1;
        entry.wanted_by += u32::from(need == Need::Resolved);
        let (id, is_first) = (entry.id, need == Need::Resolved && entry.wanted_by == 1);
        if is_first {
            self.changed.insert(at);
        }
        Some(id)
    }

    /// Removes one [`Self::take`] with the same need.
    pub(super) fn give_back(&mut self, at: (InterfaceId, IpAddr), need: Need) {
        if let Some(entry) = self.by_address.get_mut(&at) {
            entry.users -= 1;
            entry.wanted_by -= u32::from(need == Need::Resolved);
            if need == Need::Resolved && entry.wanted_by == 0 {
                self.changed.insert(at);
            }
            self.forget_if_useless(at);
        }
    }

    /// Sets the neighbour's MAC address; `None`: unresolved. True if it changed.
    pub(super) fn neighbour_changed(
        &mut self,
        to: &mut Snapshot,
        at: (InterfaceId, IpAddr),
        mac: Option<[u8; 6]>,
    ) -> bool {
        let (interface, address) = at;
        let Some(from) = to.interfaces.get(interface) else { return false };
        let adjacency = mac.map(|mac| {
            let ether_type = EtherType::of(Family::of(address));
            Adjacency::new(mac, from.mac, ether_type, from.port)
        });
        if mac.is_none() && !self.by_address.contains_key(&at) {
            return false;
        }
        let Some(entry) = self.entry(to, at) else { return false };
        let mut new = NextHop::unresolved(interface, address);
        if let Some(adjacency) = adjacency {
            new = NextHop { adjacency, resolved: true, ..new };
        }
        let index = entry.id.0 as usize;
        let is_same =
            |old: &NextHop| (old.adjacency, old.resolved) == (new.adjacency, new.resolved);
        if to.next_hops.get(index).is_some_and(is_same) {
            return false;
        }
        to.next_hops.set(index, new);
        if entry.is_resolved != new.resolved {
            entry.is_resolved = new.resolved;
            to.forwarding_changed();
            let neighbours = Arc::make_mut(&mut to.neighbours);
            match new.resolved {
                true => neighbours.insert(interface, address, entry.id),
                false => neighbours.remove(interface, address),
            }
        }
        self.forget_if_useless(at);
        true
    }

    /// Next hops that must be kept resolved (true), or no longer, since the last call.
    pub(super) fn take_wanted_changes(&mut self) -> Vec<((InterfaceId, IpAddr), bool)> {
        let changed = std::mem::take(&mut self.changed);
        let is_wanted = |at: &(InterfaceId, IpAddr)| {
            self.by_address.get(at).is_some_and(|entry| entry.wanted_by > 0)
        };
        changed.into_iter().map(|at| (at, is_wanted(&at))).collect()
    }

    /// The next hop has changed in another way that its users must see.
    pub(super) fn reconsider(&mut self, at: (InterfaceId, IpAddr)) {
        self.changed.insert(at);
    }

    fn entry(&mut self, to: &mut Snapshot, at: (InterfaceId, IpAddr)) -> Option<&mut Entry> {
        if !self.by_address.contains_key(&at) {
            let id = NextHopId(self.slots.take()?);
            let (interface, address) = at;
            let unresolved = NextHop::unresolved(interface, address);
            to.next_hops.set(id.0 as usize, unresolved);
            self.by_address.insert(at, Entry { id, users: 0, wanted_by: 0, is_resolved: false });
        }
        self.by_address.get_mut(&at)
    }

    /// Removes a next hop without users that is not a neighbour.
    fn forget_if_useless(&mut self, at: (InterfaceId, IpAddr)) {
        if let Some(entry) = self.by_address.get(&at)
            && entry.users == 0
            && !entry.is_resolved
        {
            self.slots.give_back(entry.id.0);
            self.by_address.remove(&at);
        }
    }
}
