//! ICMP errors, handled with the connection of the packet they quote (RFC 792, RFC 4443; RFC 5508 for NAT).

use super::martian::is_martian;
use super::{ipsec, schedule, transit, tunnel_error};
use crate::conn::{ConnectionId, Direction};
use crate::io::Frame;
use crate::model::Family;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Fragment, Packet, icmp, icmp_error};
use crate::reason::{DropReason, PuntReason};
use crate::rewrite;
use crate::snapshot::Snapshot;
use crate::worker::batch::Rx;
use crate::worker::engine::{Engine, destination_of};
use crate::worker::method;
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use crate::worker::verdict::Verdict;

/// Handles an ICMP error. The quoted packet went in the other direction, so the error has the reversed quoted flow.
pub(super) fn icmp_error<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Verdict {
    let packet = &rx.packet;
    if is_martian(snapshot, packet.source(), packet.destination()) {
        return Verdict::Drop(DropReason::Martian);
    }
    if !is_translated::<A>(packet.icmp_type) || !snapshot.services.serves(A::FAMILY) {
        return unrelated_error(engine, snapshot, frame, rx);
    }
    if has_fragment_header(packet) {
        return Verdict::Drop(DropReason::BadTransport);
    }
    let table = A::table(&engine.tables);
    let quoted = packet.flow.reversed();
    let (flow, hash) = match ipsec::key_exchange(&quoted) {
        Some(exchange) => (exchange, table.hash(&exchange)),
        None => (quoted, rx.hash),
    };
    match table.find(hash, &flow) {
        Some((_, Direction::Original)) if snapshot.settings.inbound_off => {
            return unrelated_error(engine, snapshot, frame, rx);
        }
        // The checksum covers bytes of other fragments. Linux drops such IPv6 errors, and IPv4 senders keep errors
        // short.
        Some(_) if packet.fragment != Fragment::Whole => {
            return Verdict::Drop(DropReason::BadTransport);
        }
        Some((id, Direction::Original)) => {
            return error_to_server(engine, snapshot, frame, packet, id);
        }
        // An error to the director itself about a client's request is delivered to the host.
        Some((_, Direction::Reply)) if snapshot.local.contains(packet.destination()) => {
            return unrelated_error(engine, snapshot, frame, rx);
        }
        Some((id, Direction::Reply)) => {
            return error_to_client(engine, snapshot, frame, packet, id);
        }
        None => {}
    }
    let is_request = snapshot.local.contains(flow.destination);
    let owner = engine.owners.next(snapshot, &flow, is_request, false, rx.port(), rx.handoff);
    if let Some(owner) = owner {
        return owner;
    }
    let is_ours = snapshot.local.contains(packet.destination());
    let is_whole = packet.fragment == Fragment::Whole;
    // AH and ESP follow a connection but never create one.
    let is_schedulable = flow.protocol == quoted.protocol;
    let may_schedule = is_ours && is_whole && is_schedulable && !snapshot.settings.inbound_off;
    if may_schedule && snapshot.settings.sysctls.schedule_icmp != 0 {
        // The error itself determines the mark, not the quoted packet.
        let mark = snapshot.marks.find(rx.ingress.interface(), &packet.own_tuple());
        match schedule::schedule_error(engine, snapshot, &flow, mark) {
            Some(Ok(opened)) => {
                let verdict = error_to_server(engine, snapshot, frame, packet, opened.id);
                if opened.one_packet {
                    track::remove_connection::<F, A>(engine, snapshot, opened.id);
                }
                return verdict;
            }
            Some(Err(reason)) => return Verdict::Drop(reason),
            None => {}
        }
    }
    unrelated_error(engine, snapshot, frame, rx)
}

/// From the clients' side, about a reply: forwarded to the server.
fn error_to_server<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
) -> Verdict {
    let connection = A::table_mut(&mut engine.tables).get_mut(id);
    let method = connection.flags.method();
    // As in the kernel, only errors that are rewritten are verified; the receiver verifies others.
    if method::rewrites_errors(method) && !has_valid_checksum(frame, packet) {
        return Verdict::Drop(DropReason::BadIcmpChecksum);
    }
    if !method::rewrites_errors(method) {
        connection.in_packets = connection.in_packets.saturating_add(1);
    }
    let Some(destination) = destination_of(snapshot, connection) else {
        return transit::route(snapshot, frame, packet);
    };
    // Errors still reach connections of a removed destination, without being counted.
    if destination.available
        && let Some(stats) = engine.accounts.stats_of(connection.destination)
    {
        stats.count_in(packet.length);
    }
    if packet.ttl <= 1 {
        return Verdict::Punt(PuntReason::TtlExpired);
    }
    if destination.mtu == 0 {
        return Verdict::Drop(DropReason::NoRoute);
    }
    match method::fits(method, snapshot, packet, destination) {
        // An ICMP error is never answered with another. An IPv4 error above the MTU is fragmented even with DF.
        Err(Verdict::TooBig(_)) if A::FAMILY == Family::Ipv4 => {}
        Err(_) => return Verdict::Drop(DropReason::TooBig),
        Ok(()) => {}
    }
    rewrite::decrement_hop_limit::<A>(frame);
    let encapsulator = &mut engine.encapsulator;
    let rewritten = method::rewrite_error_to_server(
        encapsulator,
        snapshot,
        frame,
        packet,
        connection,
        destination,
    );
    match rewritten {
        Ok(()) => {
            let length = frame.bytes().len().saturating_sub(ETHERNET) as u16;
            Verdict::send(destination.next_hop, length, destination.mtu)
        }
        Err(reason) => Verdict::Drop(reason),
    }
}

/// From the servers' side, about a request: forwarded to the client, with the VIP as source.
fn error_to_client<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
) -> Verdict {
    let connection = A::table(&engine.tables).get(id);
    let is_verified = method::rewrites_errors(connection.flags.method());
    if is_verified && !has_valid_checksum(frame, packet) {
        return Verdict::Drop(DropReason::BadIcmpChecksum);
    }
    let verdict = transit::route(snapshot, frame, packet);
    if !verdict.is_sent() {
        return verdict;
    }
    method::rewrite_error_to_client(frame, packet, connection);
    engine.accounts.count_reply(snapshot, connection.destination, packet.length);
    verdict
}

/// An error of no connection: delivered or routed.
fn unrelated_error<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Verdict {
    if !snapshot.local.contains(rx.packet.destination()) {
        return transit::route_checked(snapshot, frame, &rx.packet);
    }
    tunnel_error::tunnel_error(engine, snapshot, frame, rx)
        .unwrap_or(Verdict::Punt(PuntReason::LocalOther))
}

/// True if the checksum of an ICMP error is correct. IPVS verifies only errors about connections.
fn has_valid_checksum<A: WorkerFamily>(frame: &impl Frame, packet: &Packet<A>) -> bool {
    icmp_error::has_valid_checksum(&frame.bytes()[ETHERNET..], packet)
}

/// True for ICMPv6 errors with a fragment header: valid errors are never that long (RFC 4443 section 2.4 c).
fn has_fragment_header<A: WorkerFamily>(packet: &Packet<A>) -> bool {
    A::FAMILY == Family::Ipv6 && (packet.fragment != Fragment::Whole || packet.identification != 0)
}

/// True for errors that IPVS handles with connections: not redirects and, in IPv4, not parameter problems.
fn is_translated<A: WorkerFamily>(icmp_type: u8) -> bool {
    match A::FAMILY {
        Family::Ipv4 => matches!(
            icmp_type,
            icmp::v4::DESTINATION_UNREACHABLE | icmp::v4::SOURCE_QUENCH | icmp::v4::TIME_EXCEEDED
        ),
        Family::Ipv6 => icmp_type < 128,
    }
}
