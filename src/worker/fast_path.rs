//! The fast path: handles almost every packet of an established connection.
//!
//! If the hint is right, and neither packet, connection nor destination needs a further check, the packet is rewritten,
//! counted and sent. Otherwise it returns `None` with packet and connection unchanged, and the full path produces the
//! same result.

use crate::conn::{Connection, ConnectionId, Direction, Method};
use crate::io::Frame;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rewrite;
use crate::snapshot::{Adjacency, Destination, Snapshot};
use crate::worker::batch::Rx;
use crate::worker::engine::Engine;
use crate::worker::method::{self, Encapsulator};
use crate::worker::tables::WorkerFamily;
use crate::worker::track::{advance_plain, apply_transition, count_request};

/// Next hop and EtherType of a rewritten packet, or why it is dropped.
pub(super) type Sent<'w> = Result<&'w Adjacency, DropReason>;

/// `None`: the packet takes the full path.
#[inline(always)]
pub(super) fn fast_path<'w, F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &'w Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Option<Sent<'w>> {
    let Rx { packet, hint, .. } = rx;
    if !packet.fast_path_eligible {
        return None;
    }
    match A::table(&engine.tables).verify_hint(*hint, &packet.flow)? {
        (id, Direction::Original) => fast_request(engine, snapshot, frame, packet, id),
        (id, Direction::Reply) => fast_reply(engine, snapshot, frame, packet, id),
    }
}

/// A client's packet.
#[inline(always)]
fn fast_request<'w, F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &'w Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
) -> Option<Sent<'w>> {
    let Engine { tables, accounts, policy, encapsulator, clock, .. } = engine;
    let connection = A::table_mut(tables).get_mut(id);
    let destination = snapshot.destinations.get(connection.destination as usize)?;
    // In each arm the method is a constant, so that matches on it cost nothing.
    let rewritten = match connection.flags.fast_path_method()? {
        Method::Route => {
            let method = Method::Route;
            rewrite_request(method, encapsulator, snapshot, frame, packet, connection, destination)
        }
        Method::Masq => {
            let method = Method::Masq;
            rewrite_request(method, encapsulator, snapshot, frame, packet, connection, destination)
        }
        Method::Tunnel => {
            let method = Method::Tunnel;
            rewrite_request(method, encapsulator, snapshot, frame, packet, connection, destination)
        }
        Method::LocalNode | Method::Bypass => None,
    }?;
    if let Err(reason) = rewritten {
        return Some(Err(drop_counted(engine, frame, packet, id, reason)));
    }
    connection.in_packets = connection.in_packets.saturating_add(1);
    if let Some(stats) = accounts.stats_of(connection.destination) {
        stats.count_in(packet.length);
    }
    let (steps, now_ms) = (&policy.steps, clock.now_ms);
    if let Some(step) = advance_plain(steps, connection, packet, Direction::Original, now_ms) {
        apply_transition(A::table_mut(tables), accounts, id, step, now_ms);
    }
    Some(Ok(&destination.adjacency))
}

/// Rewrites a client's packet; `None`, with the packet unchanged, if it is too long for the fast path.
#[inline(always)]
fn rewrite_request<A: WorkerFamily>(
    method: Method,
    encapsulator: &mut Encapsulator,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
    destination: &Destination,
) -> Option<Result<(), DropReason>> {
    if packet.length > method::fast_path_mtu(method, destination) {
        return None;
    }
    rewrite::decrement_hop_limit::<A>(frame);
    Some(method::rewrite_request(
        method,
        encapsulator,
        snapshot,
        frame,
        packet,
        connection,
        destination,
    ))
}

/// Counts a client's packet that could not be rewritten.
#[cold]
#[inline(never)]
fn drop_counted<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    frame: &F,
    packet: &Packet<A>,
    id: ConnectionId,
    reason: DropReason,
) -> DropReason {
    count_request(engine, frame, packet, id);
    reason
}

/// A reply whose cached route is still valid. A separate function, so that it uses no registers of requests. A
/// connection that must take the full path has no cached route.
#[inline(never)]
fn fast_reply<'w, F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &'w Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
) -> Option<Sent<'w>> {
    let Engine { tables, accounts, policy, clock, .. } = engine;
    let connection = A::table_mut(tables).get_mut(id);
    let cached = connection.cached_reply_route();
    if packet.length > cached.mtu || cached.forwarding != snapshot.forwarding {
        return None;
    }
    let next_hop = snapshot.next_hops.get(cached.next_hop.into())?;
    rewrite::decrement_hop_limit::<A>(frame);
    if let Err(reason) = method::rewrite_reply(frame, packet, connection) {
        return Some(Err(reason));
    }
    accounts.count_reply(snapshot, connection.destination, packet.length);
    let (steps, now_ms) = (&policy.steps, clock.now_ms);
    if let Some(step) = advance_plain(steps, connection, packet, Direction::Reply, now_ms) {
        apply_transition(A::table_mut(tables), accounts, id, step, now_ms);
    }
    Some(Ok(&next_hop.adjacency))
}
