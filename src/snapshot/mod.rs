//! What every worker reads and nobody writes: one immutable [`Snapshot`] of services, destinations, next hops,
//! routes and settings, published by the control thread under an epoch.
//!
//! Pieces that did not change are shared between snapshots, so an edit costs what it touches.

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
pub use marks::{Mark, MarkPrefix, Marks};
pub use pages::Pages;
pub use publish::{Adopter, Publisher, publication};
pub use replies::{Origin, Replies, SipCaller};
pub use settings::Settings;

use crate::model::DestinationId;
use crate::packet::Address;
use crate::route::{Route, Routes};
use std::sync::Arc;

/// Everything a worker knows of the snapshot while it handles one burst.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Grows by one with every publication.
    pub epoch: u64,
    pub services: Arc<Directory>,
    /// By [`DestinationId`].
    pub destinations: Pages<Destination>,
    /// By [`NextHopId`].
    pub next_hops: Pages<NextHop>,
    pub neighbours: Arc<Neighbours>,
    pub replies: Arc<Replies>,
    pub routes: Arc<Routes>,
    /// Another number with every change of `routes`, `neighbours` or `interfaces`: the next hop found for a packet under one
    /// number is that of all packets to the same address under the same number. 0: nothing is to be kept.
    pub forwarding: u32,
    pub local: Arc<LocalAddresses>,
    pub marks: Arc<Marks>,
    pub interfaces: Arc<Interfaces>,
    pub groups: Arc<Groups>,
    pub settings: Settings,
}

/// Where a packet that is routed by its own destination goes.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedRoute {
    /// `None` while the neighbour's Ethernet address is not known.
    pub next_hop: Option<NextHopId>,
    pub mtu: u16,
}

impl Snapshot {
    /// Longest packet on a route; `None` if its interface does not exist.
    #[inline]
    pub fn mtu_of<A>(&self, route: &Route<A>) -> Option<u16> {
        match route.mtu {
            0 => Some(self.interfaces.get(route.interface)?.mtu),
            mtu => Some(mtu),
        }
    }

    /// Writes a destination, with what its next hop has for it.
    pub fn set_destination(&mut self, id: DestinationId, destination: Destination) {
        let next_hop = self.next_hops.get(destination.next_hop.0 as usize);
        let prepared = destination.prepared(next_hop);
        self.destinations.set(id.index(), prepared);
    }

    /// What was found on routes and among neighbours is to be looked up anew.
    pub fn forwarding_changed(&mut self) {
        self.forwarding = self.forwarding.wrapping_add(1).max(1);
    }

    /// The way of a packet to any address; `None` without a route.
    #[inline]
    pub fn resolve_route<A: Address>(&self, address: A) -> Option<ResolvedRoute> {
        let route = self.routes.find(address)?;
        let mtu = self.mtu_of(route)?;
        let next = route.next_hop.unwrap_or(address);
        Some(ResolvedRoute { next_hop: self.neighbours.find(route.interface, next), mtu })
    }
}
