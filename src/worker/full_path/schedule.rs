//! Packets that open a connection: find the service, use the client's template, otherwise the scheduler.

use super::choice::{Choice, NewFlow, NoChoice, connect};
use super::forward::forward;
use super::{mss, persistence, transit};
use crate::conn::template::TemplateId;
use crate::conn::{Connection, ConnectionId, Direction, Flags, Method, NO_TEMPLATE, TableFull};
use crate::io::Frame;
use crate::model::{DestinationId, Family, Protocol};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Fragment, Packet, Tuple, sctp, sip, tcp};
use crate::reason::{DropReason, PuntReason};
use crate::scheduler::Flow;
use crate::snapshot::{Service, Snapshot};
use crate::worker::engine::{Engine, destination_of};
use crate::worker::stats::conn_counts::ServiceLoad;
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use crate::worker::verdict::Verdict;
use std::sync::Arc;

/// Connections from this port belong to FTP and are never scheduled.
const FTP_DATA_PORT: u16 = 20;

/// Processes a packet to a virtual address or with a service's mark.
pub(super) fn schedule<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    mark: u32,
) -> Verdict {
    let counters = &engine.accounts.counters;
    if !may_open(snapshot, packet) {
        return transit::deliver_or_route_clamped(counters, snapshot, frame, packet);
    }
    let Some(service) = snapshot.services.find(&packet.flow, mark) else {
        return transit::deliver_or_route_clamped(counters, snapshot, frame, packet);
    };
    if engine.defence.drops_packet(snapshot) {
        return Verdict::Drop(DropReason::DropPacket);
    }
    if packet.flow.source_port == FTP_DATA_PORT {
        return transit::deliver_or_route_clamped(counters, snapshot, frame, packet);
    }
    let one_packet = service.one_packet && packet.protocol == Protocol::Udp.number();
    let call_id = match service.by_call_id {
        true => sip::call_id_of(&frame.bytes()[ETHERNET..], packet),
        false => None,
    };
    let new = NewFlow { one_packet, call_id };
    let choice = match choose(engine, snapshot, service, &packet.flow, new) {
        Ok(choice) => choice,
        Err(NoChoice::Drop(reason)) => return Verdict::Drop(reason),
        Err(NoChoice::NoDestination) => {
            return no_destination(engine, snapshot, frame, packet, service);
        }
    };
    let connection = connect(snapshot, service, packet.flow, &choice);
    match one_packet {
        true => forward_once(engine, snapshot, frame, packet, &connection),
        false => open(engine, snapshot, frame, packet, connection),
    }
}

/// A connection opened by an ICMP error.
pub(super) struct OpenedByError {
    pub(super) id: ConnectionId,
    /// One-packet scheduling: the connection ends with the error.
    pub(super) one_packet: bool,
}

/// Opens a connection for an ICMP error (`schedule_icmp`), from its quoted flow. `None` if no service takes it.
///
/// # Errors
/// Why the error is dropped.
pub(super) fn schedule_error<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    flow: &Tuple<A>,
    mark: u32,
) -> Option<Result<OpenedByError, DropReason>> {
    let service = snapshot.services.find(flow, mark)?;
    if engine.defence.drops_packet(snapshot) {
        return Some(Err(DropReason::DropPacket));
    }
    if flow.source_port == FTP_DATA_PORT {
        return None;
    }
    let one_packet = service.one_packet && flow.protocol == Protocol::Udp.number();
    let new = NewFlow { one_packet, call_id: None };
    let choice = match choose(engine, snapshot, service, flow, new) {
        Ok(choice) => choice,
        Err(NoChoice::Drop(reason)) => return Some(Err(reason)),
        Err(NoChoice::NoDestination) if is_beside_ftp(service, flow) => return None,
        Err(NoChoice::NoDestination) => return Some(Err(DropReason::NoDestination)),
    };
    let connection = connect(snapshot, service, *flow, &choice);
    let inserted = insert(engine, snapshot, connection);
    Some(inserted.map(|id| OpenedByError { id, one_packet }))
}

/// The destination of a new connection.
fn choose<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    service: &Arc<Service>,
    flow: &Tuple<A>,
    new: NewFlow<'_>,
) -> Result<Choice, NoChoice> {
    if !new.one_packet && A::table(&engine.tables).is_full() {
        return Err(NoChoice::Drop(DropReason::ConnectionTableFull));
    }
    if let Some(persistence) = service.persistence {
        return persistence::persist(engine, snapshot, service, flow, persistence, new, |engine| {
            pick(engine, snapshot, service, flow)
        });
    }
    // Only persistent services take FTP data connections and port 0.
    if !service.key.is_fwmark() && flow.destination_port != service.key.port() {
        return Err(NoChoice::NoDestination);
    }
    let destination = pick(engine, snapshot, service, flow).ok_or(NoChoice::NoDestination)?;
    let port = match snapshot.destinations.get(destination.index()).map_or(0, |to| to.port) {
        0 => flow.destination_port,
        port => port,
    };
    Ok(Choice { destination, port, template: NO_TEMPLATE })
}

/// Asks the service's scheduler.
fn pick<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    service: &Service,
    flow: &Tuple<A>,
) -> Option<DestinationId> {
    let Engine { accounts, cursors, clock, .. } = engine;
    accounts.conn_counts.refresh(service, clock.now);
    let candidates = service.scheduler.candidates();
    let flow = Flow {
        source: flow.source.to_ip(),
        destination: flow.destination.to_ip(),
        source_port: flow.source_port,
        destination_port: flow.destination_port,
    };
    let cursor = cursors.get_mut(service.id.index())?;
    let load = ServiceLoad {
        conn_counts: &accounts.conn_counts,
        candidates,
        destinations: &snapshot.destinations,
    };
    let index = service.scheduler.pick(cursor, &load, &flow, clock.now)?;
    Some(candidates[index].id)
}

/// Adds a connection to the table and to its destination's counts.
///
/// # Errors
/// If the table is full; the connection's template is released.
pub(super) fn insert<F, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    connection: Connection<A>,
) -> Result<ConnectionId, DropReason> {
    let inserted = A::table_mut(&mut engine.tables).insert(connection, engine.clock.now_ms);
    account(engine, snapshot, &connection, inserted)
}

/// As [`insert`], but there may be connections with the same original tuple: the new one replaces them for the client's
/// packets.
///
/// # Errors
/// As [`insert`].
pub(super) fn insert_newest<F, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    connection: Connection<A>,
) -> Result<ConnectionId, DropReason> {
    let table = A::table_mut(&mut engine.tables);
    let inserted = table.insert_newest(connection, engine.clock.now_ms);
    account(engine, snapshot, &connection, inserted)
}

/// Counts an inserted connection, or releases the template of one that found the table full.
fn account<F, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    connection: &Connection<A>,
    inserted: Result<ConnectionId, TableFull>,
) -> Result<ConnectionId, DropReason> {
    let Ok(id) = inserted else {
        if connection.template != NO_TEMPLATE {
            let template = TemplateId(connection.template);
            engine.accounts.templates.release(template, engine.clock.now);
        }
        return Err(DropReason::ConnectionTableFull);
    };
    engine.accounts.conn_added(snapshot, connection.destination);
    Ok(id)
}

/// Opens the connection and forwards its first packet.
fn open<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    mut connection: Connection<A>,
) -> Verdict {
    if A::FAMILY == Family::Ipv4 {
        // `is_martian` has shown that the client's address is not the director's.
        connection.client_is_elsewhere(snapshot.forwarding);
    }
    let id = match insert(engine, snapshot, connection) {
        Ok(id) => id,
        Err(reason) => return Verdict::Drop(reason),
    };
    let Some(destination) = destination_of(snapshot, &connection) else {
        return transit::route_clamped(&engine.accounts.counters, snapshot, frame, packet);
    };
    track::count_request(engine, frame, packet, id);
    if snapshot.settings.mss_clamp.is_on() {
        mss::clamp_request(&engine.accounts.counters, snapshot, frame, packet, &connection);
    }
    forward(&mut engine.encapsulator, snapshot, frame, packet, &connection, destination)
}

/// One-packet scheduling: the packet is counted and forwarded without a connection in the table. The overload mark is
/// updated with the connection counted and again without it, as for any connection that opens and ends.
fn forward_once<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    connection: &Connection<A>,
) -> Verdict {
    let Some(destination) = destination_of(snapshot, connection) else {
        return Verdict::Drop(DropReason::NoDestination);
    };
    if packet.fragment == Fragment::First {
        let to = (DestinationId(connection.destination), connection.destination_port);
        engine.fragments.one_packet = Some(to);
    }
    let Engine { accounts, encapsulator, .. } = engine;
    accounts.conn_added(snapshot, connection.destination);
    if let Some(stats) = accounts.stats_of(connection.destination) {
        stats.count_in(packet.length);
        stats.conn_removed(false);
    }
    accounts.update_overload(snapshot, connection.destination);
    forward(encapsulator, snapshot, frame, packet, connection, destination)
}

/// Without a destination the packet bypasses the service if the settings say so; otherwise it is answered with an ICMP
/// error.
#[cold]
fn no_destination<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    service: &Service,
) -> Verdict {
    let to = packet.flow.destination;
    let may_bypass = snapshot.settings.sysctls.cache_bypass != 0
        && service.key.is_fwmark()
        && !snapshot.local.contains(to)
        && !snapshot.local.is_group(to);
    if may_bypass {
        return bypass(engine, snapshot, frame, packet, service);
    }
    if is_beside_ftp(service, &packet.flow) {
        let counters = &engine.accounts.counters;
        return transit::deliver_or_route_clamped(counters, snapshot, frame, packet);
    }
    Verdict::Punt(PuntReason::NoDestination)
}

/// `cache_bypass`: the packet goes to its own destination, on a connection without destination.
fn bypass<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    service: &Service,
) -> Verdict {
    let mut connection = Connection::new(packet.flow, Method::Bypass);
    connection.service = service.id.0;
    // The kernel derives NOOUTPUT from the destination's method; a bypass connection has no destination.
    connection.flags.remove(Flags::NOOUTPUT);
    let one_packet = service.one_packet && packet.protocol == Protocol::Udp.number();
    if !one_packet {
        let inserted = A::table_mut(&mut engine.tables).insert(connection, engine.clock.now_ms);
        let Ok(id) = inserted else {
            return Verdict::Drop(DropReason::ConnectionTableFull);
        };
        track::advance(engine, frame, packet, id, Direction::Original);
    }
    transit::route_clamped(&engine.accounts.counters, snapshot, frame, packet)
}

/// True if the flow matched an FTP service as a possible data connection, on another port than 21.
fn is_beside_ftp<A>(service: &Service, flow: &Tuple<A>) -> bool {
    const FTP_PORT: u16 = 21;
    service.key.port() == FTP_PORT && flow.destination_port != FTP_PORT
}

/// True if the packet may open a connection in its protocol.
fn may_open<A: WorkerFamily>(snapshot: &Snapshot, packet: &Packet<A>) -> bool {
    let sysctls = &snapshot.settings.sysctls;
    match Protocol::from_number(packet.protocol) {
        Some(Protocol::Tcp) => {
            packet.tcp_flags & tcp::RST == 0
                && (packet.tcp_flags & tcp::SYN != 0 || sysctls.sloppy_tcp != 0)
        }
        Some(Protocol::Sctp) => {
            packet.sctp_chunk != sctp::ABORT
                && (packet.sctp_chunk == sctp::INIT || sysctls.sloppy_sctp != 0)
        }
        Some(Protocol::Udp) => true,
        None => false,
    }
}
