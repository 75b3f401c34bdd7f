//! FragmentTable follow the first of their datagram, which alone has the ports. Nothing is reassembled: what is
//! remembered is where the first one went. FragmentTable that overtook their first wait for it, few and not long.

use crate::conn::{ConnectionId, Direction};
use crate::io::Frame;
use crate::model::PortId;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Address, Packet, Role};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::Snapshot;
use crate::worker::engine::Engine;
use crate::worker::full_path::request::Forwarding;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::{Handoff, Verdict};
use arrayvec::ArrayVec;

/// Datagrams remembered per worker and family; a set of [`WAYS`] is searched for each.
const DATAGRAMS: usize = 4096;
const WAYS: usize = 8;
/// Later fragments that may wait for a first one, per worker and family.
const WAITING: usize = 128;
/// How long a datagram is remembered and a fragment waits. Linux keeps incomplete datagrams for thirty seconds;
/// nothing here needs more than what reordering on a path takes.
const LIFETIME_MS: u32 = 2_000;

/// What names a datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::worker) struct Datagram<A> {
    source: A,
    destination: A,
    identification: u32,
    protocol: u8,
}

impl<A: Address> Datagram<A> {
    pub(in crate::worker) fn of(packet: &Packet<A>) -> Self {
        Datagram {
            source: packet.tuple.source,
            destination: packet.tuple.destination,
            identification: packet.identification,
            protocol: packet.protocol,
        }
    }

    /// The datagram that a first fragment begins. The tuple of an ICMP error is not its own; its frame, which is sent
    /// on as it came or not at all, tells.
    pub(in crate::worker) fn of_first(frame: &impl Frame, packet: &Packet<A>) -> Self
    where
        A: WorkerFamily,
    {
        let own = Self::of(packet);
        if packet.role != Role::IcmpError {
            return own;
        }
        let ip = &frame.bytes()[ETHERNET..];
        Datagram {
            source: A::read(&ip[A::SOURCE..]),
            destination: A::read(&ip[A::DESTINATION..]),
            ..own
        }
    }

    fn set(&self) -> usize {
        let mixed = (self.source.fold()
            ^ self.destination.fold().rotate_left(17)
            ^ u64::from(self.identification) << 8
            ^ u64::from(self.protocol))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % (DATAGRAMS / WAYS) * WAYS
    }
}

/// Where the first fragment went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum FragmentRoute {
    Connection(ConnectionId, Direction),
    Worker(u16),
    /// Routed without a connection.
    Transit,
    Dropped(DropReason),
    Punted(PuntReason),
}

#[derive(Clone, Copy)]
struct DatagramEntry<A> {
    datagram: Datagram<A>,
    fate: FragmentRoute,
    since_ms: u32,
}

struct HeldFragment<A, F> {
    datagram: Datagram<A>,
    frame: F,
    port: PortId,
    since_ms: u32,
}

/// The entry of one worker for one family: fixed in size, oldest forgotten first.
pub(in crate::worker) struct FragmentTable<A, F> {
    entries: Box<[Option<DatagramEntry<A>>]>,
    held: Box<ArrayVec<HeldFragment<A, F>, WAITING>>,
}

impl<A: Address, F> FragmentTable<A, F> {
    pub(in crate::worker) fn new() -> Self {
        FragmentTable { entries: vec![None; DATAGRAMS].into(), held: Box::default() }
    }

    pub(in crate::worker) fn remember(
        &mut self,
        datagram: Datagram<A>,
        fate: FragmentRoute,
        now_ms: u32,
    ) {
        let set = datagram.set();
        let ways = &mut self.entries[set..set + WAYS];
        let age = |entry: &Option<DatagramEntry<A>>| {
            entry.map_or(u32::MAX, |entry| now_ms.wrapping_sub(entry.since_ms))
        };
        let same = ways
            .iter()
            .position(|forwarding| forwarding.is_some_and(|entry| entry.datagram == datagram));
        let place = same
            .or_else(|| (0..WAYS).max_by_key(|&forwarding| age(&ways[forwarding])))
            .unwrap_or(0);
        ways[place] = Some(DatagramEntry { datagram, fate, since_ms: now_ms });
    }

    fn lookup(&self, datagram: &Datagram<A>, now_ms: u32) -> Option<FragmentRoute> {
        let set = datagram.set();
        self.entries[set..set + WAYS].iter().flatten().find_map(|entry| {
            let is_young = now_ms.wrapping_sub(entry.since_ms) <= LIFETIME_MS;
            (is_young && entry.datagram == *datagram).then_some(entry.fate)
        })
    }

    /// Keeps a fragment until its first comes. Gives it back when there is no room.
    pub(in crate::worker) fn hold(
        &mut self,
        datagram: Datagram<A>,
        frame: F,
        port: PortId,
        now_ms: u32,
    ) -> Result<(), F> {
        self.held
            .try_push(HeldFragment { datagram, frame, port, since_ms: now_ms })
            .map_err(|full| full.element().frame)
    }

    /// A fragment that waited for this datagram, in order of arrival.
    pub(in crate::worker) fn release(&mut self, datagram: &Datagram<A>) -> Option<(F, PortId)> {
        let at = self.held.iter().position(|waiter| waiter.datagram == *datagram)?;
        let waiter = self.held.remove(at);
        Some((waiter.frame, waiter.port))
    }

    /// A fragment that has waited too long.
    pub(in crate::worker) fn timed_out(&mut self, now_ms: u32) -> Option<(F, PortId)> {
        let oldest = self.held.first()?;
        if now_ms.wrapping_sub(oldest.since_ms) <= LIFETIME_MS {
            return None;
        }
        let waiter = self.held.remove(0);
        Some((waiter.frame, waiter.port))
    }
}

impl<F: Frame> Engine<F> {
    /// A fragment without ports goes where its first one went.
    pub(in crate::worker) fn later_fragment<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        handoff: Handoff,
    ) -> Verdict {
        let datagram = Datagram::of(packet);
        let fate = A::fragments(self).lookup(&datagram, self.now_ms);
        match fate {
            Some(FragmentRoute::Connection(id, direction)) => {
                self.follow(snapshot, frame, packet, id, direction)
            }
            Some(FragmentRoute::Worker(to)) if handoff == Handoff::None => Verdict::HandOff { to },
            Some(FragmentRoute::Worker(_)) => Verdict::Drop(DropReason::FragmentTimedOut),
            Some(FragmentRoute::Dropped(reason)) => Verdict::Drop(reason),
            // The first was answered; an answer to each piece would be one too many (RFC 1122 section 3.2.2).
            Some(FragmentRoute::Punted(_)) => Verdict::Drop(DropReason::Policy),
            None if self.may_be_balanced(snapshot, packet) => Verdict::Hold,
            Some(FragmentRoute::Transit) | None => {
                self.route_checked(snapshot, frame, packet, packet.tuple.destination)
            }
        }
    }

    /// The datagram may belong to a connection: it is for one of our addresses or from one, as a server's answer by
    /// direct routing is, or NAT servers exist that may have sent it.
    fn may_be_balanced<A: WorkerFamily>(&self, snapshot: &Snapshot, packet: &Packet<A>) -> bool {
        snapshot.services.serves(A::FAMILY)
            && (snapshot.local.contains(packet.tuple.destination)
                || snapshot.local.contains(packet.tuple.source)
                || !snapshot.replies.is_empty())
    }

    fn follow<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
        direction: Direction,
    ) -> Verdict {
        let table = A::table(&self.tables);
        if !table.contains(id) {
            return Verdict::Drop(DropReason::FragmentTimedOut);
        }
        let connection = *table.get(id);
        let tuple = match direction {
            Direction::Original => connection.original_tuple(),
            Direction::Reply => connection.reply_tuple(),
        };
        if (tuple.source, tuple.destination) != (packet.tuple.source, packet.tuple.destination) {
            return Verdict::Drop(DropReason::FragmentTimedOut);
        }
        match direction {
            Direction::Original => {
                let Some(destination) = Self::destination_of(snapshot, &connection) else {
                    return self.route(snapshot, frame, packet, packet.tuple.destination);
                };
                if !destination.available {
                    return Verdict::Drop(DropReason::DestinationUnavailable);
                }
                if let Some(stats) = self.stats_of(connection.destination) {
                    stats.count_in_fragment(packet.length - packet.header);
                }
                self.forward(snapshot, frame, packet, Forwarding::of(&connection), destination)
            }
            Direction::Reply => {
                let verdict = self.route(snapshot, frame, packet, packet.tuple.destination);
                if !verdict.is_sent() {
                    return verdict;
                }
                if connection.flags.is_masq() {
                    let (address, port) = (connection.virtual_address, connection.virtual_port);
                    let end = crate::rewrite::End::Source;
                    if let Err(reason) =
                        crate::rewrite::translate(frame, packet, end, address, port)
                    {
                        return Verdict::Drop(reason);
                    }
                }
                if let Some(stats) = self.stats_of(connection.destination) {
                    stats.count_out_fragment(packet.length - packet.header);
                }
                verdict
            }
        }
    }
}
