//! The MSS clamp: a SYN that passes announces no more than the way between both ends takes in one packet.
//!
//! What a SYN announces bounds what its receiver sends back, so a client's SYN bounds the server's segments and the
//! server's SYN the client's. As with Linux's clamp to the path MTU, either is lowered to the smaller of both
//! directions' MTUs: whoever sends, neither link nor tunnel has to cut or refuse a segment.

use super::counters::WorkerCounters;
use super::inbound::{fits, mtu_inside};
use super::tables::Flows;
use crate::conn::{Connection, NO_DESTINATION};
use crate::forward;
use crate::packet::{Packet, ipv4, tcp};
use crate::port::Frame;
use crate::service::Snapshot;

/// A client's SYN, before it is forwarded to its connection's destination. One that will not be sent stays as it came,
/// for it may be quoted.
#[cold]
#[inline(never)]
pub(super) fn clamp_request<A: Flows>(
    counters: &WorkerCounters,
    world: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) {
    let flags = connection.flags;
    let is_sent = world.destinations.get(connection.destination as usize).is_some_and(|to| {
        to.available && !to.is_local && packet.ttl > 1 && fits(world, packet, flags, to).is_ok()
    });
    if is_sent {
        clamp(counters, world, frame, packet, mtu_of(world, connection));
    }
}

/// A server's SYN back to the client, by any method.
#[cold]
#[inline(never)]
pub(super) fn clamp_reply<A: Flows>(
    counters: &WorkerCounters,
    world: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) {
    clamp(counters, world, frame, packet, mtu_of(world, connection));
}

/// A SYN that is routed as it is.
#[cold]
#[inline(never)]
pub(super) fn clamp_passing<A: Flows>(
    counters: &WorkerCounters,
    world: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) {
    let (from, to) = (packet.tuple.source, packet.tuple.destination);
    clamp(counters, world, frame, packet, mtu_towards(world, from).min(mtu_towards(world, to)));
}

fn clamp<A: Flows>(
    counters: &WorkerCounters,
    world: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    mtu: u16,
) {
    let is_syn =
        packet.protocol == ipv4::TCP && packet.tcp_flags & (tcp::SYN | tcp::RST) == tcp::SYN;
    let headers = (A::HEADER + tcp::HEADER) as u16;
    let limit = world.settings.mss_clamp.limit(mtu, headers).filter(|_| is_syn);
    if let Some(limit) = limit
        && forward::clamp_mss(frame, packet, limit)
    {
        counters.mss_clamped.add(1);
    }
}

/// Longest packet between the connection's client and its destination.
fn mtu_of<A: Flows>(world: &Snapshot, connection: &Connection<A>) -> u16 {
    let inside = match connection.destination {
        NO_DESTINATION => None,
        slot => world.destinations.get(slot as usize),
    };
    let inside = inside.map(|to| mtu_inside(connection.flags, to));
    known(inside).min(mtu_towards(world, connection.client))
}

/// Longest packet on the way to an address.
fn mtu_towards<A: Flows>(world: &Snapshot, address: A) -> u16 {
    known(world.routes.find(address).and_then(|route| world.mtu_of(route)))
}

/// A way that is not there bounds nothing.
fn known(mtu: Option<u16>) -> u16 {
    mtu.filter(|&mtu| mtu > 0).unwrap_or(u16::MAX)
}
