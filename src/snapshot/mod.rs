//! The immutable [`Snapshot`] that workers read: services, destinations, next hops, routes and settings. The control
//! thread publishes each with an epoch.
//!
//! Snapshots share unchanged parts, so the cost of an edit depends on what it changes.

mod destination;
mod directory;
mod groups;
mod interfaces;
mod links;
mod local;
mod marks;
mod pages;
mod publish;
mod replies;
mod settings;
mod shards;
mod sync;

#[cfg(test)]
mod publish_tests;

pub use destination::{Destination, Encapsulation, Ends, FastPathMtu};
pub use directory::{Directory, Service};
pub use groups::Groups;
pub use interfaces::{InterfaceEntry, Interfaces};
pub use links::{Adjacency, LINK_HEADER_MAX, Neighbours, NextHop, NextHopId, UNROUTED};
pub use local::LocalAddresses;
pub use marks::{Mark, MarkPrefix, Marks, Unindexed};
pub use pages::Pages;
pub use publish::{Adopter, Publisher, publication};
pub use replies::{Replies, RequestAddress, SipCaller};
pub use settings::Settings;

use crate::model::DestinationId;
use crate::packet::Address;
use crate::route::{Route, Routes};
use std::sync::Arc;

/// All configuration and state that a worker uses for one burst.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Incremented by every publication.
    pub epoch: u64,
    pub services: Arc<Directory>,
    /// Indexed by [`DestinationId`].
    pub destinations: Pages<Destination>,
    /// Indexed by [`NextHopId`].
    pub next_hops: Pages<NextHop>,
    pub neighbours: Arc<Neighbours>,
    pub replies: Arc<Replies>,
    pub routes: Arc<Routes>,
    /// Changes with every change of `routes`, `neighbours` or `interfaces`, and when `local` grows: while it is the same, the
    /// next hop for an address is the same and may be cached. 0: nothing may be cached.
    pub forwarding: u32,
    pub local: Arc<LocalAddresses>,
    pub marks: Arc<Marks>,
    pub interfaces: Arc<Interfaces>,
    pub groups: Arc<Groups>,
    pub settings: Settings,
}

/// Next hop of a packet that is routed by its destination.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedRoute {
    /// `None` while the neighbour's MAC address is unknown.
    pub next_hop: Option<NextHopId>,
    pub mtu: u16,
}

impl Snapshot {
    /// MTU of a route in bytes; `None` if its interface does not exist.
    #[inline]
    pub fn mtu_of<A>(&self, route: &Route<A>) -> Option<u16> {
        match route.mtu {
            0 => Some(self.interfaces.get(route.interface)?.mtu),
            mtu => Some(mtu),
        }
    }

    /// Writes a destination with the fields derived from its next hop.
    pub fn set_destination(&mut self, id: DestinationId, destination: Destination) {
        let next_hop = self.next_hops.get(destination.next_hop.0 as usize);
        let prepared = destination.prepared(next_hop);
        self.destinations.set(id.index(), prepared);
    }

    /// Invalidates next hops cached from routes and neighbours.
    pub fn forwarding_changed(&mut self) {
        self.forwarding = self.forwarding.wrapping_add(1).max(1);
    }

    /// The next hop for any address; `None` without a route.
    #[inline]
    pub fn resolve_route<A: Address>(&self, address: A) -> Option<ResolvedRoute> {
        let route = self.routes.find(address)?;
        let mtu = self.mtu_of(route)?;
        let next = route.next_hop.unwrap_or(address);
        Some(ResolvedRoute { next_hop: self.neighbours.find(route.interface, next), mtu })
    }
}
