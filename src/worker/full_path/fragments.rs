//! Fragments: the first one of a datagram has the ports and is processed; the others take the same route. A fragment
//! that arrives before its first is held for a short time.

use super::forward::forward;
use super::{choice, process, transit};
use crate::conn::{Connection, ConnectionId, Direction};
use crate::io::{Frame, Queue};
use crate::model::DestinationId;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Fragment, Packet, Role, icmp};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::Snapshot;
use crate::worker::accounts::Accounts;
use crate::worker::batch::Rx;
use crate::worker::egress::Egress;
use crate::worker::engine::{Engine, destination_of};
use crate::worker::fragment_ranges::Piece;
use crate::worker::fragment_table::{DatagramKey, FragmentRoute};
use crate::worker::handoff::Handoff;
use crate::worker::method::{self, Encapsulator};
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// Processes a fragment and carries out the verdict, also on held fragments of its datagram.
#[cold]
#[inline(never)]
pub(in crate::worker) fn process_fragment<Q: Queue, A: WorkerFamily>(
    engine: &mut Engine<Q::Frame>,
    snapshot: &Snapshot,
    egress: &mut Egress<Q>,
    mut frame: Q::Frame,
    rx: &Rx<A>,
) {
    let datagram = DatagramKey::of(&rx.packet);
    let Some(piece) = Piece::of(&frame, &rx.packet) else {
        return egress.drop_frame(rx.port(), DropReason::BadIpLength);
    };
    let now_ms = engine.clock.now_ms;
    if rx.packet.fragment == Fragment::First
        && !A::fragments_mut(&mut engine.fragments).takes_first(
            &datagram,
            piece,
            rx.handoff != Handoff::None,
            now_ms,
        )
    {
        return egress.drop_frame(rx.port(), DropReason::FragmentOverlap);
    }
    let verdict = process(engine, snapshot, &mut frame, rx);
    match (verdict, rx.packet.fragment) {
        (Verdict::Hold, _) => {
            let table = A::fragments_mut(&mut engine.fragments);
            if let Some(replaced) = table.hold(datagram, frame, rx.ingress, now_ms) {
                egress.drop_frame(replaced.port(), DropReason::FragmentTableFull);
            }
        }
        (_, Fragment::First) => {
            let route = route_of_others(engine, rx, verdict);
            A::fragments_mut(&mut engine.fragments).remember(datagram, route, piece, now_ms);
            egress.execute(snapshot, frame, rx, verdict);
            release(engine, snapshot, egress, &datagram);
        }
        _ => egress.execute(snapshot, frame, rx, verdict),
    }
}

/// The route of the other fragments, after this verdict on the first.
fn route_of_others<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    rx: &Rx<A>,
    verdict: Verdict,
) -> FragmentRoute {
    let one_packet = engine.fragments.one_packet.take();
    match verdict {
        Verdict::HandOff { to } => FragmentRoute::Worker(to),
        Verdict::Probe(workers) => {
            workers.first().map_or(FragmentRoute::Transit, FragmentRoute::Worker)
        }
        Verdict::Drop(reason) => FragmentRoute::Dropped(reason),
        Verdict::Punt(reason) => FragmentRoute::Punted(reason),
        // A fragmented ICMP error belongs to no connection.
        _ if rx.packet.role == Role::IcmpError => FragmentRoute::Transit,
        _ => match A::table(&engine.tables).find(rx.hash, &rx.packet.flow) {
            Some((id, direction)) => FragmentRoute::Connection(id, direction),
            None => one_packet
                .map_or(FragmentRoute::Transit, |(to, port)| FragmentRoute::Destination(to, port)),
        },
    }
}

/// Sends the held fragments of a datagram after the first.
fn release<Q: Queue, A: WorkerFamily>(
    engine: &mut Engine<Q::Frame>,
    snapshot: &Snapshot,
    egress: &mut Egress<Q>,
    datagram: &DatagramKey<A>,
) {
    while let Some((mut frame, ingress)) = A::fragments_mut(&mut engine.fragments).release(datagram)
    {
        let mut held = Rx::new(ingress, Handoff::None);
        match A::parse_into(&frame.bytes()[ETHERNET..], &mut held.packet) {
            Ok(()) => {
                let verdict = process(engine, snapshot, &mut frame, &held);
                egress.execute(snapshot, frame, &held, verdict);
            }
            Err(reason) => egress.drop_frame(ingress.port(), reason),
        }
    }
}

/// Routes a fragment without ports like its first.
pub(super) fn later_fragment<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Verdict {
    let packet = &rx.packet;
    let Some(piece) = Piece::of(frame, packet) else {
        return Verdict::Drop(DropReason::BadIpLength);
    };
    let table = A::fragments_mut(&mut engine.fragments);
    match table.route_later(&DatagramKey::of(packet), piece, engine.clock.now_ms) {
        Some(FragmentRoute::Connection(id, direction)) => {
            follow(engine, snapshot, frame, packet, id, direction)
        }
        Some(FragmentRoute::Destination(to, port)) => {
            follow_one_packet(engine, snapshot, frame, packet, to, port)
        }
        Some(FragmentRoute::Worker(to)) if rx.handoff == Handoff::None => Verdict::HandOff { to },
        Some(FragmentRoute::Worker(_)) => Verdict::Drop(DropReason::FragmentTimedOut),
        Some(FragmentRoute::Dropped(reason)) => Verdict::Drop(reason),
        // The host's stack gets all fragments, or none.
        Some(FragmentRoute::Punted(
            reason @ (PuntReason::UnservedPort | PuntReason::LocalOther),
        )) if snapshot.interfaces.has_kernel(rx.ingress.interface()) => Verdict::Punt(reason),
        None if is_for_host(snapshot, rx) => Verdict::Hold,
        // The director reassembles ICMP for itself.
        _ if packet.protocol == icmp::protocol(A::FAMILY)
            && snapshot.local.contains(packet.destination()) =>
        {
            Verdict::Punt(PuntReason::IcmpEcho)
        }
        // The first one was answered; later fragments never are (RFC 1122 section 3.2.2).
        Some(FragmentRoute::Punted(reason)) => Verdict::Drop(reason.drop_reason()),
        None if may_be_balanced(snapshot, packet) => Verdict::Hold,
        // Only the first fragment of a datagram for the director is answered, and none is routed out.
        Some(FragmentRoute::Transit) | None if snapshot.local.contains(packet.destination()) => {
            Verdict::Drop(DropReason::UnservedPort)
        }
        Some(FragmentRoute::Transit) | None => transit::route_checked(snapshot, frame, packet),
    }
}

/// True if the first fragment decides whether the host's stack gets the datagram.
fn is_for_host<A: WorkerFamily>(snapshot: &Snapshot, rx: &Rx<A>) -> bool {
    snapshot.interfaces.has_kernel(rx.ingress.interface())
        && snapshot.local.contains(rx.packet.destination())
}

/// True if the datagram may belong to a connection: it is to or from one of our addresses (a reply by direct routing),
/// or there are NAT servers that may have sent it.
fn may_be_balanced<A: WorkerFamily>(snapshot: &Snapshot, packet: &Packet<A>) -> bool {
    snapshot.services.serves(A::FAMILY)
        && (snapshot.local.contains(packet.destination())
            || snapshot.local.contains(packet.source())
            || !snapshot.replies.is_empty())
}

/// Forwards a later fragment on the connection of its first.
fn follow<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
    direction: Direction,
) -> Verdict {
    let Engine { tables, accounts, encapsulator, .. } = engine;
    let table = A::table(tables);
    if !table.contains(id) {
        return Verdict::Drop(DropReason::FragmentTimedOut);
    }
    let connection = table.get(id);
    let flow = match direction {
        Direction::Original => connection.original_tuple(),
        Direction::Reply => connection.reply_tuple(),
    };
    if (flow.source, flow.destination) != (packet.source(), packet.destination()) {
        return Verdict::Drop(DropReason::FragmentTimedOut);
    }
    match direction {
        Direction::Original => {
            forward_fragment(accounts, encapsulator, snapshot, frame, packet, connection)
        }
        Direction::Reply => {
            let verdict = route_later(snapshot, frame, packet);
            if !verdict.is_sent() {
                return verdict;
            }
            if let Err(reason) = method::rewrite_reply(frame, packet, connection) {
                return Verdict::Drop(reason);
            }
            if let Some(stats) = accounts.stats_of(connection.destination) {
                stats.count_out_fragment(packet.length - packet.header);
            }
            verdict
        }
    }
}

/// Routes a later fragment. One for the director is never answered.
fn route_later<A: WorkerFamily>(
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    match transit::route(snapshot, frame, packet) {
        Verdict::UNSERVED => Verdict::Drop(DropReason::UnservedPort),
        verdict => verdict,
    }
}

/// Forwards a later fragment of a datagram with one-packet scheduling.
fn follow_one_packet<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    to: DestinationId,
    port: u16,
) -> Verdict {
    let connection = choice::towards(snapshot, packet.flow, to, port);
    let Engine { accounts, encapsulator, .. } = engine;
    forward_fragment(accounts, encapsulator, snapshot, frame, packet, &connection)
}

/// Counts a client's later fragment and forwards it on this connection.
fn forward_fragment<A: WorkerFamily>(
    accounts: &Accounts,
    encapsulator: &mut Encapsulator,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) -> Verdict {
    let Some(destination) = destination_of(snapshot, connection) else {
        return route_later(snapshot, frame, packet);
    };
    if !destination.available {
        return Verdict::Drop(DropReason::DestinationUnavailable);
    }
    if let Some(stats) = accounts.stats_of(connection.destination) {
        stats.count_in_fragment(packet.length - packet.header);
    }
    forward(encapsulator, snapshot, frame, packet, connection, destination)
}
