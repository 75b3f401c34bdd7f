//! The route of the first fragment of each recent datagram, and later fragments that arrived before it.
//!
//! Nothing is reassembled: the other fragments of a datagram follow the first.

use super::fragment_ranges::{Misfit, Piece, Ranges};
use crate::conn::{ConnectionId, Direction};
use crate::limits::FRAGMENTS_OF_SOURCE;
use crate::model::{DestinationId, IngressId};
use crate::packet::{Address, Packet};
use crate::reason::{DropReason, PuntReason};
use arrayvec::ArrayVec;
use std::hash::{BuildHasher, RandomState};

/// Datagrams per worker and family; each is looked up in a set of [`WAYS`].
const DATAGRAMS: usize = 4096;
const WAYS: usize = 8;
/// Maximum later fragments that wait for a first one, per worker and family.
const WAITING: usize = 128;
/// How long a datagram is stored and a fragment is held. Linux keeps incomplete datagrams for thirty seconds; here only
/// reordering must be bridged.
const LIFETIME_MS: u32 = 2_000;

/// Identifies a datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct DatagramKey<A> {
    source: A,
    destination: A,
    identification: u32,
    protocol: u8,
}

impl<A: Address> DatagramKey<A> {
    /// The datagram that a fragment belongs to.
    pub(super) fn of(packet: &Packet<A>) -> Self {
        DatagramKey {
            source: packet.source(),
            destination: packet.destination(),
            identification: packet.identification,
            protocol: packet.protocol,
        }
    }
}

/// Route of the first fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FragmentRoute {
    Connection(ConnectionId, Direction),
    /// One-packet scheduling: sent to this destination and port without a connection in the table.
    Destination(DestinationId, u16),
    Worker(u16),
    /// Routed without a connection.
    Transit,
    Dropped(DropReason),
    Punted(PuntReason),
}

#[derive(Clone, Copy)]
struct DatagramEntry<A> {
    datagram: DatagramKey<A>,
    route: FragmentRoute,
    ranges: Ranges,
    since_ms: u32,
}

struct HeldFragment<A, F> {
    datagram: DatagramKey<A>,
    frame: F,
    ingress: IngressId,
    since_ms: u32,
}

/// The datagrams of one worker and one family. Its size is fixed: a new datagram replaces the oldest of its set.
pub(super) struct FragmentTable<A, F> {
    entries: Box<[Option<DatagramEntry<A>>]>,
    held: Box<ArrayVec<HeldFragment<A, F>, WAITING>>,
    /// Has a secret key, because senders choose all of [`DatagramKey`]: nobody can fill a set that others use.
    hasher: RandomState,
}

/// The datagrams of both families.
pub(super) struct FragmentTables<F> {
    pub(super) ipv4: FragmentTable<u32, F>,
    pub(super) ipv6: FragmentTable<u128, F>,
    /// Destination and port of the first fragment that is being processed, with one-packet scheduling.
    pub(super) one_packet: Option<(DestinationId, u16)>,
}

impl<F> FragmentTables<F> {
    pub(super) fn new() -> Self {
        FragmentTables { ipv4: FragmentTable::new(), ipv6: FragmentTable::new(), one_packet: None }
    }

    /// Returns where a held fragment was received that has timed out and is dropped now.
    pub(super) fn timed_out(&mut self, now_ms: u32) -> Option<IngressId> {
        self.ipv4.timed_out(now_ms).or_else(|| self.ipv6.timed_out(now_ms))
    }
}

impl<A: Address, F> FragmentTable<A, F> {
    fn new() -> Self {
        FragmentTable {
            entries: vec![None; DATAGRAMS].into(),
            held: Box::default(),
            hasher: RandomState::new(),
        }
    }

    /// The place of the first entry that may be the datagram's.
    fn set(&self, datagram: &DatagramKey<A>) -> usize {
        self.hasher.hash_one(datagram) as usize % (DATAGRAMS / WAYS) * WAYS
    }

    /// True if a first fragment begins a datagram. If it overlaps the one that is incomplete, no more of that one is
    /// forwarded. A duplicate begins nothing, but the same frame may come back from another worker (`is_handed_off`).
    pub(super) fn takes_first(
        &mut self,
        datagram: &DatagramKey<A>,
        first: Piece,
        is_handed_off: bool,
        now_ms: u32,
    ) -> bool {
        const OVERLAP: FragmentRoute = FragmentRoute::Dropped(DropReason::FragmentOverlap);
        let Some(entry) = self.entry(datagram, now_ms) else { return true };
        match entry.ranges.fits_first(first) {
            Ok(()) => true,
            Err(Misfit::Duplicate) => is_handed_off && entry.route != OVERLAP,
            Err(_) => {
                entry.route = OVERLAP;
                false
            }
        }
    }

    /// Stores the route of a datagram's first fragment. What has arrived of an incomplete datagram stays known.
    pub(super) fn remember(
        &mut self,
        datagram: DatagramKey<A>,
        route: FragmentRoute,
        first: Piece,
        now_ms: u32,
    ) {
        if let Some(entry) = self.entry(&datagram, now_ms)
            && !entry.ranges.is_complete()
        {
            entry.route = route;
            return;
        }
        let set = self.set(&datagram);
        let ways = &mut self.entries[set..set + WAYS];
        let age = |entry: &Option<DatagramEntry<A>>| {
            entry.map_or(u32::MAX, |entry| now_ms.wrapping_sub(entry.since_ms))
        };
        let same = ways.iter().position(|way| way.is_some_and(|entry| entry.datagram == datagram));
        let place = same.or_else(|| (0..WAYS).max_by_key(|&way| age(&ways[way]))).unwrap_or(0);
        let ranges = Ranges::new(first);
        ways[place] = Some(DatagramEntry { datagram, route, ranges, since_ms: now_ms });
    }

    fn entry(&mut self, datagram: &DatagramKey<A>, now_ms: u32) -> Option<&mut DatagramEntry<A>> {
        let set = self.set(datagram);
        self.entries[set..set + WAYS].iter_mut().flatten().find(|entry| {
            let is_young = now_ms.wrapping_sub(entry.since_ms) <= LIFETIME_MS;
            is_young && entry.datagram == *datagram
        })
    }

    /// The route for a later fragment; `None` if its first is unknown or too old. After a complete datagram a fragment
    /// belongs to the next one with the same identification, as in the kernel, which forgets complete datagrams.
    pub(super) fn route_later(
        &mut self,
        datagram: &DatagramKey<A>,
        piece: Piece,
        now_ms: u32,
    ) -> Option<FragmentRoute> {
        let entry = self.entry(datagram, now_ms)?;
        let overlap = FragmentRoute::Dropped(DropReason::FragmentOverlap);
        if entry.route == overlap {
            return Some(overlap);
        }
        if entry.ranges.is_complete() {
            return None;
        }
        Some(match entry.ranges.add(piece) {
            Ok(()) => entry.route,
            Err(Misfit::Duplicate) => overlap,
            Err(Misfit::Overlap) => {
                entry.route = overlap;
                overlap
            }
            Err(Misfit::TooManyGaps) => FragmentRoute::Dropped(DropReason::FragmentTableFull),
        })
    }

    /// Holds a fragment until its first arrives. Without room, overall or for its source, the oldest held fragment is
    /// dropped, and its ingress is returned.
    pub(super) fn hold(
        &mut self,
        datagram: DatagramKey<A>,
        frame: F,
        ingress: IngressId,
        now_ms: u32,
    ) -> Option<IngressId> {
        let is_same_source = |held: &HeldFragment<A, F>| held.datagram.source == datagram.source;
        let of_source = self.held.iter().filter(|held| is_same_source(held)).count();
        let replaced = match of_source >= FRAGMENTS_OF_SOURCE {
            true => self.held.iter().position(is_same_source),
            false => self.held.is_full().then_some(0),
        };
        let replaced = replaced.map(|at| self.held.remove(at).ingress);
        self.held.push(HeldFragment { datagram, frame, ingress, since_ms: now_ms });
        replaced
    }

    /// Takes a held fragment of this datagram, in order of arrival.
    pub(super) fn release(&mut self, datagram: &DatagramKey<A>) -> Option<(F, IngressId)> {
        let at = self.held.iter().position(|held| held.datagram == *datagram)?;
        let held = self.held.remove(at);
        Some((held.frame, held.ingress))
    }

    fn timed_out(&mut self, now_ms: u32) -> Option<IngressId> {
        let oldest = self.held.first()?;
        if now_ms.wrapping_sub(oldest.since_ms) <= LIFETIME_MS {
            return None;
        }
        Some(self.held.remove(0).ingress)
    }
}
