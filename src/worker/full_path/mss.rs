//! The MSS clamp: a SYN that passes announces no more than the way between both ends takes in one packet.
//!
//! What a SYN announces bounds what its receiver sends back, so a client's SYN bounds the server's segments and the
//! server's SYN the client's. As with Linux's clamp to the path MTU, either is lowered to the smaller of both
//! directions' MTUs: whoever sends, neither link nor tunnel has to cut or refuse a segment.

use crate::conn::{Connection, NO_DESTINATION};
use crate::io::Frame;
use crate::packet::{Packet, ipv4, tcp};
use crate::rewrite;
use crate::snapshot::Snapshot;
use crate::worker::full_path::request::{fits, mtu_inside};
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::tables::WorkerFamily;

/// A client's SYN, before it is forwarded to its connection's destination. One that will not be sent stays as it came,
/// for it may be quoted.
#[cold]
#[inline(never)]
pub(in crate::worker) fn clamp_request<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) {
    let flags = connection.flags;
    let is_sent = snapshot.destinations.get(connection.destination as usize).is_some_and(|to| {
        to.available && !to.is_local && packet.ttl > 1 && fits(snapshot, packet, flags, to).is_ok()
    });
    if is_sent {
        clamp(counters, snapshot, frame, packet, mtu_of(snapshot, connection));
    }
}

/// A server's SYN back to the client, by any method.
#[cold]
#[inline(never)]
pub(in crate::worker) fn clamp_reply<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) {
    clamp(counters, snapshot, frame, packet, mtu_of(snapshot, connection));
}

/// A SYN that is routed as it is.
#[cold]
#[inline(never)]
pub(in crate::worker) fn clamp_passing<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) {
    let (from, to) = (packet.tuple.source, packet.tuple.destination);
    clamp(
        counters,
        snapshot,
        frame,
        packet,
        mtu_towards(snapshot, from).min(mtu_towards(snapshot, to)),
    );
}

fn clamp<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    mtu: u16,
) {
    let is_syn =
        packet.protocol == ipv4::TCP && packet.tcp_flags & (tcp::SYN | tcp::RST) == tcp::SYN;
    let headers = (A::HEADER + tcp::HEADER) as u16;
    let limit = snapshot.settings.mss_clamp.limit(mtu, headers).filter(|_| is_syn);
    if let Some(limit) = limit
        && rewrite::clamp_mss(frame, packet, limit)
    {
        counters.mss_clamped.add(1);
    }
}

/// Longest packet between the connection's client and its destination.
fn mtu_of<A: WorkerFamily>(snapshot: &Snapshot, connection: &Connection<A>) -> u16 {
    let inside = match connection.destination {
        NO_DESTINATION => None,
        slot => snapshot.destinations.get(slot as usize),
    };
    let inside = inside.map(|to| mtu_inside(connection.flags, to));
    known(inside).min(mtu_towards(snapshot, connection.client))
}

/// Longest packet on the way to an address.
fn mtu_towards<A: WorkerFamily>(snapshot: &Snapshot, address: A) -> u16 {
    known(snapshot.routes.find(address).and_then(|route| snapshot.mtu_of(route)))
}

/// A way that is not there bounds nothing.
fn known(mtu: Option<u16>) -> u16 {
    mtu.filter(|&mtu| mtu > 0).unwrap_or(u16::MAX)
}
