//! A packet back to the client, of a known connection: translate (NAT), count, state, route.

use super::engine::{Engine, opens};
use super::load::Loads;
use super::mss;
use super::tables::Flows;
use super::verdict::Verdict;
use crate::conn::{ConnectionId, Direction, WayBack};
use crate::forward::{self, End};
use crate::model::DestinationId;
use crate::packet::Packet;
use crate::port::Frame;
use crate::service::{Snapshot, Way};
use crate::stop::PuntReason;

impl<F: Frame> Engine<F> {
    /// The order is a router's that has IPVS behind its TTL and MTU checks: only what can be sent on is
    /// translated and counted.
    #[inline]
    pub(super) fn reply<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Verdict {
        if packet.ttl <= 1 {
            return Verdict::Punt(PuntReason::TtlExpired);
        }
        let Some(way) = world.way_to(packet.tuple.destination) else {
            return Verdict::Punt(PuntReason::NoRoute);
        };
        let verdict = take(way, frame, packet);
        if !verdict.is_sent() {
            return verdict;
        }
        let connection = A::table_mut(&mut self.tables).get_mut(id);
        connection.way_back = way_back(world, way);
        let (slot, is_masq) = (connection.destination, connection.flags.is_masq());
        if is_masq {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            if let Err(reason) = forward::translate(frame, packet, End::Source, address, port) {
                return Verdict::Drop(reason);
            }
        }
        count_reply(&self.loads, world, slot, packet.length);
        self.advance(id, frame, packet, Direction::Reply);
        if opens(packet) && world.settings.mss_clamp.is_on() {
            let connection = A::table(&self.tables).get(id);
            mss::clamp_reply(&self.counters, world, frame, packet, connection);
        }
        verdict
    }

    /// Routes a packet towards `to` as it is: TTL, MTU, next hop.
    #[inline]
    pub(super) fn transit<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        to: A,
    ) -> Verdict {
        if packet.ttl <= 1 {
            return Verdict::Punt(PuntReason::TtlExpired);
        }
        match world.way_to(to) {
            Some(way) => take(way, frame, packet),
            None => Verdict::Punt(PuntReason::NoRoute),
        }
    }

    /// [`Self::pass_on`] of a whole packet to its own destination: a router's work, with its clamp.
    pub(super) fn pass_through<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
    ) -> Verdict {
        let verdict = self.pass_on(world, frame, packet, packet.tuple.destination);
        if opens(packet) && world.settings.mss_clamp.is_on() && verdict.is_sent() {
            mss::clamp_passing(&self.counters, world, frame, packet);
        }
        verdict
    }
}

/// A removed destination's connections go on while they may, but are not counted any more.
#[inline(always)]
pub(super) fn count_reply(loads: &Loads, world: &Snapshot, destination: u32, length: u16) {
    let available = world.destinations.get(destination as usize).is_some_and(|to| to.available);
    if available && let Some(line) = loads.own().get(DestinationId(destination)) {
        line.count_out(length);
    }
}

/// Sends a packet that may live on along its way.
#[inline]
fn take<A: Flows>(way: Way, frame: &mut impl Frame, packet: &Packet<A>) -> Verdict {
    let Way { next_hop, mtu } = way;
    if packet.length > mtu && packet.dont_fragment {
        return Verdict::TooBig(mtu);
    }
    forward::decrement_hop_limit::<A>(frame);
    match next_hop {
        Some(next_hop) => Verdict::send(next_hop, A::ETHER_TYPE, packet.length, mtu),
        None => Verdict::Resolve,
    }
}

/// What the connection's next reply need not find out again.
#[inline]
fn way_back(world: &Snapshot, way: Way) -> WayBack {
    match way.next_hop.map(|next_hop| u16::try_from(next_hop.0)) {
        Some(Ok(next_hop)) if world.forwarding != 0 => {
            WayBack { forwarding: world.forwarding, next_hop, mtu: way.mtu }
        }
        _ => WayBack::default(),
    }
}
