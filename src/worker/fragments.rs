//! Fragments follow the first of their datagram, which alone has the ports. Nothing is reassembled: what is
//! remembered is where the first one went. Fragments that overtook their first wait for it, few and not long.

use super::engine::Engine;
use super::inbound::Way;
use super::tables::Flows;
use super::verdict::{Verdict, Visit};
use crate::conn::{ConnectionId, Direction};
use crate::model::PortId;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Address, Packet, Role};
use crate::port::Frame;
use crate::service::Snapshot;
use crate::stop::{DropReason, PuntReason};
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
pub(super) struct Datagram<A> {
    source: A,
    destination: A,
    identification: u32,
    protocol: u8,
}

impl<A: Address> Datagram<A> {
    pub(super) fn of(packet: &Packet<A>) -> Self {
        Datagram {
            source: packet.tuple.source,
            destination: packet.tuple.destination,
            identification: packet.identification,
            protocol: packet.protocol,
        }
    }

    /// The datagram that a first fragment begins. The tuple of an ICMP error is not its own; its frame, which is sent
    /// on as it came or not at all, tells.
    pub(super) fn of_first(frame: &impl Frame, packet: &Packet<A>) -> Self
    where
        A: Flows,
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
pub(super) enum Fate {
    Connection(ConnectionId, Direction),
    Worker(u16),
    /// Routed without a connection.
    Transit,
    Dropped(DropReason),
    Punted(PuntReason),
}

#[derive(Clone, Copy)]
struct Memory<A> {
    datagram: Datagram<A>,
    fate: Fate,
    since_ms: u32,
}

struct Waiter<A, F> {
    datagram: Datagram<A>,
    frame: F,
    port: PortId,
    since_ms: u32,
}

/// The memory of one worker for one family: fixed in size, oldest forgotten first.
pub(super) struct Fragments<A, F> {
    memories: Box<[Option<Memory<A>>]>,
    waiting: Box<ArrayVec<Waiter<A, F>, WAITING>>,
}

impl<A: Address, F> Fragments<A, F> {
    pub(super) fn new() -> Self {
        Fragments { memories: vec![None; DATAGRAMS].into(), waiting: Box::default() }
    }

    pub(super) fn remember(&mut self, datagram: Datagram<A>, fate: Fate, now_ms: u32) {
        let set = datagram.set();
        let ways = &mut self.memories[set..set + WAYS];
        let age = |memory: &Option<Memory<A>>| {
            memory.map_or(u32::MAX, |memory| now_ms.wrapping_sub(memory.since_ms))
        };
        let same =
            ways.iter().position(|way| way.is_some_and(|memory| memory.datagram == datagram));
        let place = same.or_else(|| (0..WAYS).max_by_key(|&way| age(&ways[way]))).unwrap_or(0);
        ways[place] = Some(Memory { datagram, fate, since_ms: now_ms });
    }

    fn recall(&self, datagram: &Datagram<A>, now_ms: u32) -> Option<Fate> {
        let set = datagram.set();
        self.memories[set..set + WAYS].iter().flatten().find_map(|memory| {
            let is_young = now_ms.wrapping_sub(memory.since_ms) <= LIFETIME_MS;
            (is_young && memory.datagram == *datagram).then_some(memory.fate)
        })
    }

    /// Keeps a fragment until its first comes. Gives it back when there is no room.
    pub(super) fn wait(
        &mut self,
        datagram: Datagram<A>,
        frame: F,
        port: PortId,
        now_ms: u32,
    ) -> Result<(), F> {
        self.waiting
            .try_push(Waiter { datagram, frame, port, since_ms: now_ms })
            .map_err(|full| full.element().frame)
    }

    /// A fragment that waited for this datagram, in order of arrival.
    pub(super) fn release(&mut self, datagram: &Datagram<A>) -> Option<(F, PortId)> {
        let at = self.waiting.iter().position(|waiter| waiter.datagram == *datagram)?;
        let waiter = self.waiting.remove(at);
        Some((waiter.frame, waiter.port))
    }

    /// A fragment that has waited too long.
    pub(super) fn timed_out(&mut self, now_ms: u32) -> Option<(F, PortId)> {
        let oldest = self.waiting.first()?;
        if now_ms.wrapping_sub(oldest.since_ms) <= LIFETIME_MS {
            return None;
        }
        let waiter = self.waiting.remove(0);
        Some((waiter.frame, waiter.port))
    }
}

impl<F: Frame> Engine<F> {
    /// A fragment without ports goes where its first one went.
    pub(super) fn later_fragment<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        visit: Visit,
    ) -> Verdict {
        let datagram = Datagram::of(packet);
        let fate = A::fragments(self).recall(&datagram, self.now_ms);
        match fate {
            Some(Fate::Connection(id, direction)) => {
                self.follow(world, frame, packet, id, direction)
            }
            Some(Fate::Worker(to)) if visit == Visit::First => Verdict::HandOff { to },
            Some(Fate::Worker(_)) => Verdict::Drop(DropReason::FragmentTimedOut),
            Some(Fate::Dropped(reason)) => Verdict::Drop(reason),
            // The first was answered; an answer to each piece would be one too many (RFC 1122 section 3.2.2).
            Some(Fate::Punted(_)) => Verdict::Drop(DropReason::Policy),
            None if self.concerns(world, packet) => Verdict::Wait,
            Some(Fate::Transit) | None => {
                self.pass_on(world, frame, packet, packet.tuple.destination)
            }
        }
    }

    /// The datagram may belong to a connection: it is for one of our addresses or from one, as a server's answer by
    /// direct routing is, or NAT servers exist that may have sent it.
    fn concerns<A: Flows>(&self, world: &Snapshot, packet: &Packet<A>) -> bool {
        world.services.serves(A::FAMILY)
            && (world.local.contains(packet.tuple.destination)
                || world.local.contains(packet.tuple.source)
                || !world.replies.is_empty())
    }

    fn follow<A: Flows>(
        &mut self,
        world: &Snapshot,
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
                let Some(destination) = Self::destination_of(world, &connection) else {
                    return self.transit(world, frame, packet, packet.tuple.destination);
                };
                if !destination.available {
                    return Verdict::Drop(DropReason::DestinationUnavailable);
                }
                if let Some(line) = self.line(connection.destination) {
                    line.count_in_fragment(packet.length - packet.header);
                }
                self.forward(world, frame, packet, Way::of(&connection), destination)
            }
            Direction::Reply => {
                let verdict = self.transit(world, frame, packet, packet.tuple.destination);
                if !verdict.is_sent() {
                    return verdict;
                }
                if connection.flags.is_masq() {
                    let (address, port) = (connection.virtual_address, connection.virtual_port);
                    let end = crate::forward::End::Source;
                    if let Err(reason) =
                        crate::forward::translate(frame, packet, end, address, port)
                    {
                        return Verdict::Drop(reason);
                    }
                }
                if let Some(line) = self.line(connection.destination) {
                    line.count_out_fragment(packet.length - packet.header);
                }
                verdict
            }
        }
    }
}
