//! Packets to the client of a known connection: route, translate (NAT), count, update the state.

use super::{martian, mss, transit};
use crate::conn::{CachedReplyRoute, ConnectionId, Direction};
use crate::io::Frame;
use crate::model::Family;
use crate::packet::Packet;
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::{ResolvedRoute, Snapshot};
use crate::worker::engine::Engine;
use crate::worker::method;
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use crate::worker::verdict::Verdict;

/// As in a router with IPVS, TTL and MTU are checked first: only a packet that can be sent is translated and counted. A
/// client with an address of the director is nobody: it was a forged source, or the address is new here. The fast path
/// needs neither check: an answer that is not sent here leaves no cached route.
#[inline]
pub(super) fn reply<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
) -> Verdict {
    if martian::is_dropped_answer(snapshot, packet.source()) {
        return Verdict::Drop(DropReason::Martian);
    }
    let connection = A::table_mut(&mut engine.tables).get_mut(id);
    let known = connection.cached_reply_route().forwarding;
    if (A::FAMILY == Family::Ipv6 || known != snapshot.forwarding)
        && snapshot.local.contains(packet.destination())
    {
        return Verdict::UNSERVED;
    }
    if packet.ttl <= 1 {
        return Verdict::Punt(PuntReason::TtlExpired);
    }
    let Some(resolved) = snapshot.resolve_route(packet.destination()) else {
        return Verdict::Punt(PuntReason::NoRoute);
    };
    let verdict = transit::send_routed(resolved, frame, packet);
    if !verdict.is_sent() {
        return verdict;
    }
    connection.cache_reply_route(cacheable_route(snapshot, resolved));
    if let Err(reason) = method::rewrite_reply(frame, packet, connection) {
        return Verdict::Drop(reason);
    }
    let destination = connection.destination;
    engine.accounts.count_reply(snapshot, destination, packet.length);
    track::advance(engine, frame, packet, id, Direction::Reply);
    if packet.opens_connection() && snapshot.settings.mss_clamp.is_on() {
        let connection = A::table(&engine.tables).get(id);
        mss::clamp_reply(&engine.accounts.counters, snapshot, frame, packet, connection);
    }
    verdict
}

/// The route to cache for the connection's next reply.
#[inline]
fn cacheable_route(snapshot: &Snapshot, resolved: ResolvedRoute) -> CachedReplyRoute {
    match resolved.next_hop.map(|next_hop| u16::try_from(next_hop.0)) {
        Some(Ok(next_hop)) if snapshot.forwarding != 0 => {
            CachedReplyRoute { forwarding: snapshot.forwarding, next_hop, mtu: resolved.mtu }
        }
        _ => CachedReplyRoute::default(),
    }
}
