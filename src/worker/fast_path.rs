//! The straight way, of nearly all of a conversation's packets but the first ones. A packet of the connection that was
//! guessed, which nothing has to be asked about, is rewritten, counted and sent here. About any other nothing is done:
//! `inbound` and `outbound` ask everything there is to ask, and end the same for those of here.

use crate::conn::{ConnectionId, Direction};
use crate::io::Frame;
use crate::model::DestinationId;
use crate::packet::Packet;
use crate::packet::ethernet::EtherType;
use crate::reason::DropReason;
use crate::rewrite::{self, End};
use crate::snapshot::{Adjacency, Snapshot};
use crate::worker::batch::Parsed;
use crate::worker::engine::{Engine, plain_step};
use crate::worker::full_path::reply::count_reply;
use crate::worker::full_path::request::outer;
use crate::worker::tables::WorkerFamily;

/// A packet was rewritten: where it goes, and as what; or why it is dropped after all.
pub(super) type Sent<'w> = Result<(&'w Adjacency, EtherType), DropReason>;

impl<F: Frame> Engine<F> {
    /// `None`: not here; the packet and its connection are as they were.
    #[inline(always)]
    pub(super) fn fast_path<'w, A: WorkerFamily>(
        &mut self,
        snapshot: &'w Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
    ) -> Option<Sent<'w>> {
        let Parsed { packet, hint, .. } = parsed;
        if !packet.fast_path_eligible {
            return None;
        }
        match A::table(&self.tables).verify_hint(*hint, &packet.tuple)? {
            (id, Direction::Original) => self.fast_request(snapshot, frame, packet, id),
            (id, Direction::Reply) => self.fast_reply(snapshot, frame, packet, id),
        }
    }

    /// A client's packet to a destination that takes it as it is.
    #[inline(always)]
    fn fast_request<'w, A: WorkerFamily>(
        &mut self,
        snapshot: &'w Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Option<Sent<'w>> {
        let Engine { tables, conn_counts, steps, steering, identification, now_ms, .. } = self;
        let connection = A::table_mut(tables).get_mut(id);
        let destination = snapshot.destinations.get(connection.destination as usize)?;
        let flags = connection.flags;
        if packet.length > destination.fast_path_mtu_of(flags.is_tunnel()) {
            return None;
        }
        rewrite::decrement_hop_limit::<A>(frame);
        let rewritten = if flags.is_tunnel() {
            let outer = outer(snapshot, destination, packet, identification, steering);
            rewrite::encapsulate(frame, packet, &outer)
        } else if flags.is_masq() {
            let (address, port) = (connection.destination_address, connection.destination_port);
            let translated = rewrite::translate(frame, packet, End::Destination, address, port);
            translated.map(|()| A::ETHER_TYPE)
        } else {
            Ok(A::ETHER_TYPE)
        };
        let ether_type = match rewritten {
            Ok(ether_type) => ether_type,
            Err(reason) => return Some(Err(self.drop_counted(frame, packet, id, reason))),
        };
        connection.in_packets = connection.in_packets.saturating_add(1);
        if let Some(stats) = conn_counts.own().get(DestinationId(connection.destination)) {
            stats.count_in(packet.length);
        }
        let step = plain_step(steps, connection, Direction::Original, packet);
        if !connection.apply_step(step, *now_ms) {
            let step = *step;
            self.apply_transition::<A>(id, step);
        }
        Some(Ok((&destination.adjacency, ether_type)))
    }

    /// A client's packet that could not be rewritten.
    #[cold]
    #[inline(never)]
    fn drop_counted<A: WorkerFamily>(
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
    fn fast_reply<'w, A: WorkerFamily>(
        &mut self,
        snapshot: &'w Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Option<Sent<'w>> {
        let Engine { tables, conn_counts, steps, now_ms, .. } = self;
        let connection = A::table_mut(tables).get_mut(id);
        let back = connection.cached_reply_route;
        if packet.length > back.mtu || back.forwarding != snapshot.forwarding {
            return None;
        }
        let next_hop = snapshot.next_hops.get(back.next_hop.into())?;
        rewrite::decrement_hop_limit::<A>(frame);
        if connection.flags.is_masq() {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            if let Err(reason) = rewrite::translate(frame, packet, End::Source, address, port) {
                return Some(Err(reason));
            }
        }
        count_reply(conn_counts, snapshot, connection.destination, packet.length);
        let step = plain_step(steps, connection, Direction::Reply, packet);
        if !connection.apply_step(step, *now_ms) {
            let step = *step;
            self.apply_transition::<A>(id, step);
        }
        Some(Ok((&next_hop.adjacency, A::ETHER_TYPE)))
    }
}
