//! Multicast groups of the director, reported to switches and routers: MLD version 2 and IGMP version 3, or the older
//! version if a querier uses it (RFC 3810, RFC 3376).
//!
//! Neighbours reach every IPv6 address through its solicited-node group (RFC 4861 section 7.2.1). A switch with MLD
//! snooping drops solicitations until membership in the group was reported.

use super::local::{Local, is_on_link};
use super::network::HostFamily;
use super::{IpHost, Outbox};
use crate::io::Frame;
use crate::limits::INJECT_RING;
use crate::model::{Family, InterfaceId};
use crate::packet::membership::{self, Membership, RECORDS, Record, Sender};
use crate::packet::{Packet, ethernet, ndp};
use crate::reason::{DropReason, Punt};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// How often a change is reported, because a report may be lost (RFC 3810 section 9.1).
const ROBUSTNESS: u8 = 2;
/// Time between two reports of a change (RFC 3810 section 9.11).
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the older version is used after a query in it (RFC 3810 section 9.12).
const OLDER_VERSION: Duration = Duration::from_secs(260);
/// Maximum reports sent at once; the others wait for the next tick.
const AT_ONCE: usize = INJECT_RING / 16;

/// A group on the link of an interface.
type Place = (InterfaceId, IpAddr);

/// Reports still to send for a group.
#[derive(Clone, Copy, Debug)]
struct Pending {
    due: Instant,
    record: Record,
    times: u8,
}

/// Memberships, and reports to send.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Groups, with the number of addresses and requests that need each.
    members: BTreeMap<Place, u32>,
    /// Groups joined on request, besides those that addresses need.
    asked: BTreeSet<Place>,
    pending: BTreeMap<Place, Pending>,
    /// The keys of `pending`, by time.
    due: BTreeSet<(Instant, Place)>,
    /// Groups whose membership has changed since the last call of `take`.
    changed: BTreeSet<Place>,
    /// For each interface and family: until when its link needs the older version.
    older: BTreeMap<(InterfaceId, bool), Instant>,
}

impl Groups {
    /// Updates memberships from interfaces, virtual addresses and requests.
    fn rebuild(&mut self, local: &Local, now: Instant) {
        let mut places: Vec<Place> = self.asked.iter().copied().collect();
        for interface in local.interfaces() {
            let own = interface.addresses.iter().map(|(address, _)| *address);
            places.extend(own.filter_map(solicited_node).map(|group| (interface.id, group)));
        }
        for address in local.virtual_addresses() {
            places.extend(places_of(local, address));
        }
        let old = std::mem::take(&mut self.members);
        for place in places {
            *self.members.entry(place).or_insert(0) += 1;
        }
        let left: Vec<Place> =
            old.keys().filter(|place| !self.members.contains_key(place)).copied().collect();
        let joined: Vec<Place> =
            self.members.keys().filter(|place| !old.contains_key(place)).copied().collect();
        left.into_iter().for_each(|place| self.change(place, Record::Leaves, now));
        joined.into_iter().for_each(|place| self.change(place, Record::Joins, now));
    }

    /// Adds one reason for membership.
    fn add(&mut self, place: Place, now: Instant) {
        let reasons = self.members.entry(place).or_insert(0);
        *reasons += 1;
        if *reasons == 1 {
            self.change(place, Record::Joins, now);
        }
    }

    /// Removes one reason for membership.
    fn remove(&mut self, place: Place, now: Instant) {
        let Some(reasons) = self.members.get_mut(&place) else { return };
        *reasons -= 1;
        if *reasons == 0 {
            self.members.remove(&place);
            self.change(place, Record::Leaves, now);
        }
    }

    /// Called when an address becomes virtual or stops being so.
    pub(super) fn virtual_changed(
        &mut self,
        local: &Local,
        address: IpAddr,
        is_virtual: bool,
        now: Instant,
    ) {
        let places: Vec<Place> = places_of(local, address).collect();
        for place in places {
            match is_virtual {
                true => self.add(place, now),
                false => self.remove(place, now),
            }
        }
    }

    fn change(&mut self, place: Place, record: Record, now: Instant) {
        self.changed.insert(place);
        self.schedule(place, Pending { due: now, record, times: ROBUSTNESS });
    }

    fn schedule(&mut self, place: Place, pending: Pending) {
        if let Some(old) = self.pending.insert(place, pending) {
            self.due.remove(&(old.due, place));
        }
        self.due.insert((pending.due, place));
    }

    /// Answers a query about one group, or about all of an interface (`None`), by reports sent at `due`.
    fn answer(
        &mut self,
        interface: InterfaceId,
        family: Family,
        group: Option<IpAddr>,
        due: Instant,
    ) {
        let first = (interface, IpAddr::from([0; 4]));
        let end = (InterfaceId(interface.0.saturating_add(1)), IpAddr::from([0; 4]));
        let asked: Vec<Place> = self
            .members
            .range(first..end)
            .map(|(place, _)| *place)
            .filter(|(_, member)| Family::of(*member) == family)
            .filter(|(_, member)| group.is_none_or(|group| group == *member))
            .collect();
        for place in asked {
            // Reports that are due soon anyway stay as they are.
            if self.pending.get(&place).is_none_or(|pending| pending.due > due) {
                let times = self.pending.get(&place).map_or(1, |pending| pending.times);
                self.schedule(place, Pending { due, record: Record::Member, times });
            }
        }
    }

    /// Takes the records of one interface and family that are due, up to a maximum.
    fn next(&mut self, now: Instant, most: usize) -> Vec<(Place, Record)> {
        let mut records: Vec<(Place, Record)> = Vec::new();
        while records.len() < most
            && let Some(&(due, place)) = self.due.first()
            && due <= now
            && records.first().is_none_or(|((interface, group), _)| {
                *interface == place.0 && Family::of(*group) == Family::of(place.1)
            })
        {
            self.due.remove(&(due, place));
            let Some(pending) = self.pending.remove(&place) else { continue };
            records.push((place, pending.record));
            if pending.times > 1 {
                let (due, times) = (now + INTERVAL, pending.times - 1);
                self.schedule(place, Pending { due, times, ..pending });
            }
        }
        records
    }

    fn needs_older(&self, interface: InterfaceId, family: Family, now: Instant) -> bool {
        self.older.get(&(interface, family == Family::Ipv6)).is_some_and(|until| now < *until)
    }
}

/// The solicited-node group of an IPv6 address; `None` for IPv4, where requests are broadcast.
fn solicited_node(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => {
            Some(Ipv6Addr::from_bits(ndp::solicited_node(address.to_bits())).into())
        }
    }
}

/// Interfaces on which a virtual IPv6 address needs its group: those whose network contains it; if none does, all.
fn places_of(local: &Local, address: IpAddr) -> impl Iterator<Item = Place> {
    let any = local.interfaces().iter().any(|interface| is_on_link(interface, address));
    let interfaces = local.interfaces().iter();
    let here = interfaces.filter(move |interface| !any || is_on_link(interface, address));
    here.filter_map(move |interface| Some((interface.id, solicited_node(address)?)))
}

impl<F: Frame> IpHost<F> {
    /// Joins a multicast group on the link of an interface.
    pub fn join(
        &mut self,
        interface: InterfaceId,
        group: IpAddr,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        if self.groups.asked.insert((interface, group)) {
            self.groups.add((interface, group), now);
            self.send_reports(now, out);
        }
    }

    /// Leaves a group joined with [`Self::join`].
    pub fn leave(
        &mut self,
        interface: InterfaceId,
        group: IpAddr,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        if self.groups.asked.remove(&(interface, group)) {
            self.groups.remove((interface, group), now);
            self.send_reports(now, out);
        }
    }

    /// Memberships that began (true) or ended since the last call.
    pub fn take_group_changes(&mut self) -> Vec<((InterfaceId, IpAddr), bool)> {
        let changed = std::mem::take(&mut self.groups.changed);
        let is_member = |place: &Place| self.groups.members.contains_key(place);
        changed.into_iter().map(|place| (place, is_member(&place))).collect()
    }

    /// Updates memberships after a change of interfaces or addresses, and reports changes.
    pub(super) fn follow_groups(&mut self, now: Instant, out: &mut impl Outbox<F>) {
        self.groups.rebuild(&self.local, now);
        self.send_reports(now, out);
    }

    /// Handles an MLD or IGMP message: queries are answered, reports of other members are ignored.
    pub(super) fn membership<A: HostFamily + Membership>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
    ) {
        let bytes = &punt.frame.bytes()[ethernet::ETHERNET..];
        let Some(query) = A::query(packet, bytes) else {
            return self.drop(DropReason::NoLocalHandler);
        };
        if query.is_old {
            let place = (punt.interface, A::FAMILY == Family::Ipv6);
            self.groups.older.insert(place, now + OLDER_VERSION);
        }
        let group = (query.group != A::UNSPECIFIED).then(|| query.group.to_ip());
        let delay = Duration::from_millis(fastrand::u32(..=query.max_response_ms).into());
        self.groups.answer(punt.interface, A::FAMILY, group, now + delay);
    }

    /// When the next report is due; `None` if all are sent.
    pub fn next_report(&self) -> Option<Instant> {
        self.groups.due.first().map(|(due, _)| *due)
    }

    /// Sends reports that are due, a part of them at each call.
    pub fn send_reports(&mut self, now: Instant, out: &mut impl Outbox<F>) {
        for _ in 0..AT_ONCE {
            let Some(&(_, (interface, group))) = self.groups.due.first() else { return };
            let is_old = self.groups.needs_older(interface, Family::of(group), now);
            let records = self.groups.next(now, if is_old { 1 } else { RECORDS });
            if records.is_empty() {
                return;
            }
            match group {
                IpAddr::V4(_) => self.send_report::<u32>(interface, &records, is_old, out),
                IpAddr::V6(_) => self.send_report::<u128>(interface, &records, is_old, out),
            }
        }
    }

    fn send_report<A: HostFamily + Membership>(
        &mut self,
        interface: InterfaceId,
        records: &[(Place, Record)],
        is_old: bool,
        out: &mut impl Outbox<F>,
    ) {
        let Some(own) = self.local.interface(interface) else { return };
        // MLD needs a link-local source (RFC 3810 section 5.2.13), so choose it for a link-local peer.
        let peer = match A::FAMILY {
            Family::Ipv4 => records[0].0.1,
            Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(),
        };
        let address = self.local.source(interface, peer).and_then(A::from_ip);
        let sender = Sender { mac: own.mac, address: address.unwrap_or(A::UNSPECIFIED) };
        let said: Vec<(Record, A)> = records
            .iter()
            .filter_map(|((_, group), record)| Some((*record, A::from_ip(*group)?)))
            .collect();
        let write = |out: &mut [u8]| match (is_old, said.first()) {
            (true, Some(record)) => A::old_report(out, sender, *record),
            _ => A::report(out, sender, &said),
        };
        self.send_frame(interface, membership::FRAME, write, out);
    }
}
