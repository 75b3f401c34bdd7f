//! Path MTUs that routers report by ICMP errors: used for ten minutes, and told to clients of tunnels.
//!
//! The kernel caches a route in each destination with its first packet. An error adds an exception to the routes; it does
//! not change the cached one, which the next packet replaces. `ipvsadm -a` and `-e` empty the cache. So what a client
//! is told depends on the packets since then, and InPkts show whether there were any.

use super::Desired;
use crate::model::{DestinationId, Family};
use crate::time::{Duration, Instant};
use std::net::IpAddr;

/// How long a learned path MTU is used; Linux's mtu_expires.
const LEARNED_FOR: Duration = Duration::from_secs(600);
/// Minimum path MTU that is accepted; Linux's min_pmtu, and RFC 8200 section 5.
const SMALLEST_IPV4: u16 = 552;
const SMALLEST_IPV6: u16 = 1280;

/// Path MTU to an address, learned from an ICMP error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learned {
    pub(super) mtu: u16,
    until: Instant,
}

/// The route that the kernel would cache in a destination.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CachedRoute {
    /// InPkts of all workers when the cache was emptied. While they stay the same, no route is cached.
    emptied_at: u64,
    /// InPkts when a path MTU was learned. While they stay the same, the cached route has the MTU from before.
    outdated_at: Option<u64>,
}

impl Desired {
    /// A router reports the path MTU to `address`. It is used for ten minutes, if there is a destination.
    pub fn path_mtu_learned(&mut self, address: IpAddr, mtu: u16, now: Instant) {
        let mtu = mtu.max(match Family::of(address) {
            Family::Ipv4 => SMALLEST_IPV4,
            Family::Ipv6 => SMALLEST_IPV6,
        });
        let lowers = self.path_to(address).is_some_and(|path| mtu <= path.mtu);
        if !lowers || self.destinations_at(address).next().is_none() {
            return;
        }
        let learned = Learned { mtu, until: now + LEARNED_FOR };
        if self.learned.insert(address, learned).is_none() {
            self.outdate_routes_to(address);
        }
        self.place_destinations_at(address);
    }

    /// A router reports the path MTU to `address` by an error about a tunnel packet of this destination's connection.
    /// Returns the MTU of the tunnel's path that the client is told, in bytes: that of the kernel's cached route, or the
    /// reported one if none is cached.
    pub fn tunnel_mtu_learned(
        &mut self,
        id: DestinationId,
        address: IpAddr,
        mtu: u16,
        now: Instant,
    ) -> u16 {
        self.path_mtu_learned(address, mtu, now);
        let packets = self.destination_stats.counters(id).in_packets;
        let Some(row) = self.row(id) else { return mtu };
        let cached = row.cached_route;
        let Some(path) = self.path_to(row.spec.at.address) else { return mtu };
        if cached.emptied_at == packets {
            mtu
        } else if cached.outdated_at == Some(packets) {
            path.mtu_of_route
        } else {
            path.mtu
        }
    }

    /// Forgets path MTUs that are too old; called about every second.
    pub fn expire_path_mtus(&mut self, now: Instant) {
        let learned = self.learned.iter();
        let expired: Vec<_> =
            learned.filter(|(_, learned)| learned.until <= now).map(|(at, _)| *at).collect();
        for address in expired {
            self.learned.remove(&address);
            self.place_destinations_at(address);
        }
    }

    /// A destination was added or edited.
    pub(super) fn empty_cached_route(&mut self, id: DestinationId) {
        let emptied_at = self.destination_stats.counters(id).in_packets;
        if let Some(row) = &mut self.destinations[id.index()] {
            row.cached_route = CachedRoute { emptied_at, outdated_at: None };
        }
    }

    fn outdate_routes_to(&mut self, address: IpAddr) {
        let there: Vec<_> = self.destinations_at(address).collect();
        for id in there {
            let packets = self.destination_stats.counters(id).in_packets;
            if let Some(row) = &mut self.destinations[id.index()] {
                row.cached_route.outdated_at = Some(packets);
            }
        }
    }
}
