//! A packet back to the client, of a known connection: translate (NAT), count, state, route.

use super::engine::{Engine, opens};
use super::mss;
use super::tables::Flows;
use super::verdict::Verdict;
use crate::conn::{ConnectionId, Direction};
use crate::forward::{self, End};
use crate::packet::Packet;
use crate::port::Frame;
use crate::service::Snapshot;
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
        let verdict = self.transit(world, frame, packet, packet.tuple.destination);
        if !verdict.is_sent() {
            return verdict;
        }
        let connection = A::table(&self.tables).get(id);
        let (slot, is_masq) = (connection.destination, connection.flags.is_masq());
        if is_masq {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            if let Err(reason) = forward::translate(frame, packet, End::Source, address, port) {
                return Verdict::Drop(reason);
            }
        }
        let available = world.destinations.get(slot as usize).is_some_and(|to| to.available);
        if available && let Some(line) = self.line(slot) {
            line.count_out(packet.length);
        }
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
        let Some(route) = world.routes.find(to) else {
            return Verdict::Punt(PuntReason::NoRoute);
        };
        let Some(mtu) = world.mtu_of(route) else {
            return Verdict::Punt(PuntReason::NoRoute);
        };
        if packet.length > mtu && packet.dont_fragment {
            return Verdict::TooBig(mtu);
        }
        forward::decrement_hop_limit::<A>(frame);
        let next = route.next_hop.unwrap_or(to);
        match world.neighbours.find(route.port, next) {
            Some(next_hop) => Verdict::send(next_hop, A::ETHERTYPE, packet.length, mtu),
            None => Verdict::Resolve,
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
