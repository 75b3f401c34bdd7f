//! The MSS clamp: a SYN announces at most the segment size that fits the path MTU between both ends.
//!
//! The MSS in a SYN limits the segments sent back by its receiver. As Linux's clamp to the path MTU does, both SYNs are
//! clamped to the smaller MTU of the two directions, so that no link or tunnel must fragment or refuse a segment.

use crate::conn::{Connection, NO_DESTINATION};
use crate::io::Frame;
use crate::packet::{Packet, ipv4, tcp};
use crate::rewrite;
use crate::snapshot::Snapshot;
use crate::worker::method;
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::tables::WorkerFamily;

/// Clamps a client's SYN before it is forwarded to its connection's destination. A SYN that will not be sent is
/// unchanged, because an ICMP error may quote it.
#[cold]
#[inline(never)]
pub(super) fn clamp_request<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) {
    let method = connection.flags.method();
    let is_sent = snapshot.destinations.get(connection.destination as usize).is_some_and(|to| {
        let fits = method::fits(method, snapshot, packet, to).is_ok();
        to.available && !to.is_local && packet.ttl > 1 && fits
    });
    if is_sent {
        clamp(counters, snapshot, frame, packet, mtu_of(snapshot, connection));
    }
}

/// Clamps a server's SYN to the client, for all methods.
#[cold]
#[inline(never)]
pub(super) fn clamp_reply<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) {
    clamp(counters, snapshot, frame, packet, mtu_of(snapshot, connection));
}

/// Clamps a SYN that is routed without a connection.
#[cold]
#[inline(never)]
pub(super) fn clamp_routed<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) {
    let (from, to) = (packet.source(), packet.destination());
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

/// Maximum packet in bytes between the connection's client and its destination.
fn mtu_of<A: WorkerFamily>(snapshot: &Snapshot, connection: &Connection<A>) -> u16 {
    let inside = match connection.destination {
        NO_DESTINATION => None,
        slot => snapshot.destinations.get(slot as usize),
    };
    let inside = inside.map(|to| method::mtu_inside(connection.flags.method(), to));
    known(inside).min(mtu_towards(snapshot, connection.client))
}

/// Maximum packet in bytes on the route to an address.
fn mtu_towards<A: WorkerFamily>(snapshot: &Snapshot, address: A) -> u16 {
    known(snapshot.routes.find(address).and_then(|route| snapshot.mtu_of(route)))
}

/// A missing route sets no limit.
fn known(mtu: Option<u16>) -> u16 {
    mtu.filter(|&mtu| mtu > 0).unwrap_or(u16::MAX)
}
