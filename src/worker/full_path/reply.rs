//! A packet back to the client, of a known connection: translate (NAT), count, state, route.

use crate::conn::{CachedReplyRoute, ConnectionId, Direction};
use crate::io::Frame;
use crate::model::DestinationId;
use crate::packet::Packet;
use crate::reason::PuntReason;
use crate::rewrite::{self, End};
use crate::snapshot::{ResolvedRoute, Snapshot};
use crate::worker::engine::{Engine, opens};
use crate::worker::full_path::mss;
use crate::worker::stats::conn_counts::ConnCounts;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

impl<F: Frame> Engine<F> {
    /// The order is a router's that has IPVS behind its TTL and MTU checks: only what can be sent on is
    /// translated and counted.
    #[inline]
    pub(in crate::worker) fn reply<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Verdict {
        if packet.ttl <= 1 {
            return Verdict::Punt(PuntReason::TtlExpired);
        }
        let Some(route_to) = snapshot.resolve_route(packet.tuple.destination) else {
            return Verdict::Punt(PuntReason::NoRoute);
        };
        let verdict = send_routed(route_to, frame, packet);
        if !verdict.is_sent() {
            return verdict;
        }
        let connection = A::table_mut(&mut self.tables).get_mut(id);
        connection.cached_reply_route = cacheable_route(snapshot, route_to);
        let (slot, is_masq) = (connection.destination, connection.flags.is_masq());
        if is_masq {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            if let Err(reason) = rewrite::translate(frame, packet, End::Source, address, port) {
                return Verdict::Drop(reason);
            }
        }
        count_reply(&self.conn_counts, snapshot, slot, packet.length);
        self.advance(id, frame, packet, Direction::Reply);
        if opens(packet) && snapshot.settings.mss_clamp.is_on() {
            let connection = A::table(&self.tables).get(id);
            mss::clamp_reply(&self.counters, snapshot, frame, packet, connection);
        }
        verdict
    }

    /// Routes a packet towards `to` as it is: TTL, MTU, next hop.
    #[inline]
    pub(in crate::worker) fn route<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        to: A,
    ) -> Verdict {
        if packet.ttl <= 1 {
            return Verdict::Punt(PuntReason::TtlExpired);
        }
        match snapshot.resolve_route(to) {
            Some(route_to) => send_routed(route_to, frame, packet),
            None => Verdict::Punt(PuntReason::NoRoute),
        }
    }

    /// [`Self::route_checked`] of a whole packet to its own destination: a router's work, with its clamp.
    pub(in crate::worker) fn route_clamped<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
    ) -> Verdict {
        let verdict = self.route_checked(snapshot, frame, packet, packet.tuple.destination);
        if opens(packet) && snapshot.settings.mss_clamp.is_on() && verdict.is_sent() {
            mss::clamp_passing(&self.counters, snapshot, frame, packet);
        }
        verdict
    }
}

/// A removed destination's connections go on while they may, but are not counted any more.
#[inline(always)]
pub(in crate::worker) fn count_reply(
    conn_counts: &ConnCounts,
    snapshot: &Snapshot,
    destination: u32,
    length: u16,
) {
    let available = snapshot.destinations.get(destination as usize).is_some_and(|to| to.available);
    if available && let Some(stats) = conn_counts.own().get(DestinationId(destination)) {
        stats.count_out(length);
    }
}

/// Sends a packet that may live on along its route_to.
#[inline]
fn send_routed<A: WorkerFamily>(
    route_to: ResolvedRoute,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    let ResolvedRoute { next_hop, mtu } = route_to;
    if packet.length > mtu && packet.dont_fragment {
        return Verdict::TooBig(mtu);
    }
    rewrite::decrement_hop_limit::<A>(frame);
    match next_hop {
        Some(next_hop) => Verdict::send(next_hop, A::ETHER_TYPE, packet.length, mtu),
        None => Verdict::Resolve,
    }
}

/// What the connection's next reply need not find out again.
#[inline]
fn cacheable_route(snapshot: &Snapshot, route_to: ResolvedRoute) -> CachedReplyRoute {
    match route_to.next_hop.map(|next_hop| u16::try_from(next_hop.0)) {
        Some(Ok(next_hop)) if snapshot.forwarding != 0 => {
            CachedReplyRoute { forwarding: snapshot.forwarding, next_hop, mtu: route_to.mtu }
        }
        _ => CachedReplyRoute::default(),
    }
}
