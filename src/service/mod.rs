//! What every worker reads and nobody writes: one immutable [`Snapshot`] of services, destinations, next hops,
//! routes and settings, published by the control thread under an epoch.
//!
//! Pieces that did not change are shared between snapshots, so an edit costs what it touches.

mod destination;
mod directory;
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

pub use destination::{Destination, Encapsulation};
pub use directory::{Directory, Service};
pub use links::{Link, Neighbours, NextHop, NextHopId, UNROUTED};
pub use local::LocalAddresses;
pub use marks::{Mark, MarkPrefix, Marks};
pub use pages::Pages;
pub use publish::{Adopter, Publisher, publication};
pub use replies::{Origin, Replies};
pub use settings::Settings;

use crate::route::{Route, Routes};
use std::sync::Arc;

/// Everything a worker knows of the world while it handles one burst.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Grows by one with every publication.
    pub epoch: u64,
    pub services: Arc<Directory>,
    /// By [`DestinationId`](crate::model::DestinationId).
    pub destinations: Pages<Destination>,
    /// By [`NextHopId`].
    pub next_hops: Pages<NextHop>,
    pub neighbours: Arc<Neighbours>,
    pub replies: Arc<Replies>,
    pub routes: Arc<Routes>,
    pub local: Arc<LocalAddresses>,
    pub marks: Arc<Marks>,
    /// By [`PortId`](crate::model::PortId).
    pub links: Arc<[Link]>,
    pub settings: Settings,
}

impl Snapshot {
    /// Longest packet on a route; `None` if its port does not exist.
    #[inline]
    pub fn mtu_of<A>(&self, route: &Route<A>) -> Option<u16> {
        match route.mtu {
            0 => Some(self.links.get(route.port.index())?.mtu),
            mtu => Some(mtu),
        }
    }
}
