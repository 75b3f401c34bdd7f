//! The straight way, of nearly all of a conversation's packets but the first ones. A packet of the connection that was
//! guessed, which nothing has to be asked about, is rewritten, counted and sent here. About any other nothing is done:
//! `inbound` and `outbound` ask everything there is to ask, and end the same for those of here.

use super::batch::Parsed;
use super::engine::{Engine, plain_step};
use super::inbound::outer;
use super::outbound::count_reply;
use super::tables::Flows;
use crate::conn::{ConnectionId, Direction};
use crate::forward::{self, End};
use crate::model::DestinationId;
use crate::packet::Packet;
use crate::packet::ethernet::EtherType;
use crate::port::Frame;
use crate::service::{Adjacency, Snapshot};
use crate::stop::DropReason;

/// A packet was rewritten: where it goes, and as what; or why it is dropped after all.
pub(super) type Sent<'w> = Result<(&'w Adjacency, EtherType), DropReason>;

impl<F: Frame> Engine<F> {
    /// `None`: not here; the packet and its connection are as they were.
    #[inline(always)]
    pub(super) fn straight<'w, A: Flows>(
        &mut self,
        world: &'w Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
    ) -> Option<Sent<'w>> {
        let Parsed { packet, guess, .. } = parsed;
        if !packet.is_plain {
            return None;
        }
        match A::table(&self.tables).along(*guess, &packet.tuple)? {
            (id, Direction::Original) => self.straight_on(world, frame, packet, id),
            (id, Direction::Reply) => self.straight_back(world, frame, packet, id),
        }
    }

    /// A client's packet to a destination that takes it as it is.
    #[inline(always)]
    fn straight_on<'w, A: Flows>(
        &mut self,
        world: &'w Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Option<Sent<'w>> {
        let Engine { tables, loads, steps, steering, identification, now_ms, .. } = self;
        let connection = A::table_mut(tables).get_mut(id);
        let destination = world.destinations.get(connection.destination as usize)?;
        let flags = connection.flags;
        if packet.length > destination.clear_length(flags.is_tunnel()) {
            return None;
        }
        forward::decrement_hop_limit::<A>(frame);
        let rewritten = if flags.is_tunnel() {
            let outer = outer(world, destination, packet, identification, steering);
            forward::encapsulate(frame, packet, &outer)
        } else if flags.is_masq() {
            let (address, port) = (connection.destination_address, connection.destination_port);
            let translated = forward::translate(frame, packet, End::Destination, address, port);
            translated.map(|()| A::ETHER_TYPE)
        } else {
            Ok(A::ETHER_TYPE)
        };
        let ether_type = match rewritten {
            Ok(ether_type) => ether_type,
            Err(reason) => return Some(Err(self.drop_counted(frame, packet, id, reason))),
        };
        connection.in_packets = connection.in_packets.saturating_add(1);
        if let Some(line) = loads.own().get(DestinationId(connection.destination)) {
            line.count_in(packet.length);
        }
        let step = plain_step(steps, connection, Direction::Original, packet);
        if !connection.take(step, *now_ms) {
            let step = *step;
            self.turn::<A>(id, step);
        }
        Some(Ok((&destination.adjacency, ether_type)))
    }

    /// A client's packet that could not be rewritten.
    #[cold]
    #[inline(never)]
    fn drop_counted<A: Flows>(
        &mut self,
        frame: &F,
        packet: &Packet<A>,
        id: ConnectionId,
        reason: DropReason,
    ) -> DropReason {
        self.count_request(frame, packet, id);
        reason
    }

    /// A reply to a client whose last one went a way that is still the same. Apart: it takes registers from the others.
    #[inline(never)]
    fn straight_back<'w, A: Flows>(
        &mut self,
        world: &'w Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Option<Sent<'w>> {
        let Engine { tables, loads, steps, now_ms, .. } = self;
        let connection = A::table_mut(tables).get_mut(id);
        let back = connection.way_back;
        if packet.length > back.mtu || back.forwarding != world.forwarding {
            return None;
        }
        let next_hop = world.next_hops.get(back.next_hop.into())?;
        forward::decrement_hop_limit::<A>(frame);
        if connection.flags.is_masq() {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            if let Err(reason) = forward::translate(frame, packet, End::Source, address, port) {
                return Some(Err(reason));
            }
        }
        count_reply(loads, world, connection.destination, packet.length);
        let step = plain_step(steps, connection, Direction::Reply, packet);
        if !connection.take(step, *now_ms) {
            let step = *step;
            self.turn::<A>(id, step);
        }
        Some(Ok((&next_hop.adjacency, A::ETHER_TYPE)))
    }
}
