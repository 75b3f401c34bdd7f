//! Effects of a packet on its connection: counters, state, timer.

use crate::conn::template::TemplateId;
use crate::conn::{
    Connection, ConnectionId, Direction, Flags, NO_TEMPLATE, Step, Steps, Table, sctp,
};
use crate::io::Frame;
use crate::model::Protocol;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{self, Address, Packet, ipv4};
use crate::snapshot::Snapshot;
use crate::worker::accounts::Accounts;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;

/// Counts a client's packet and applies its state step.
pub(super) fn count_request<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    frame: &F,
    packet: &Packet<A>,
    id: ConnectionId,
) {
    let connection = A::table_mut(&mut engine.tables).get_mut(id);
    connection.in_packets = connection.in_packets.saturating_add(1);
    if let Some(stats) = engine.accounts.stats_of(connection.destination) {
        stats.count_in(packet.length);
    }
    advance(engine, frame, packet, id, Direction::Original);
}

/// Applies the state step of a packet and restarts the connection's timer.
pub(super) fn advance<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    frame: &F,
    packet: &Packet<A>,
    id: ConnectionId,
    direction: Direction,
) {
    if Protocol::from_number(packet.protocol).is_none() {
        return;
    }
    let Engine { tables, policy, accounts, clock, .. } = engine;
    let table = A::table_mut(tables);
    let connection = table.get_mut(id);
    let rest = match packet.protocol {
        ipv4::SCTP => {
            let side = connection.side(direction);
            let step = policy.steps.sctp(side, sctp_event(frame, packet), connection.state);
            (!connection.apply_step(step, clock.now_ms)).then_some(step)
        }
        _ => advance_plain(&policy.steps, connection, packet, direction, clock.now_ms),
    };
    if let Some(step) = rest {
        apply_transition(table, accounts, id, step, clock.now_ms);
    }
}

/// Applies the state step of a TCP or UDP packet. Returns the step if [`apply_transition`] must complete it.
#[inline(always)]
pub(super) fn advance_plain<'s, A: Address>(
    steps: &'s Steps,
    connection: &mut Connection<A>,
    packet: &Packet<A>,
    direction: Direction,
    now_ms: u32,
) -> Option<&'s Step> {
    let side = connection.side(direction);
    let step = match packet.protocol {
        ipv4::UDP => steps.udp(side),
        _ => steps.tcp(side, packet.tcp_flags, connection.state),
    };
    if connection.apply_step(step, now_ms) { None } else { Some(step) }
}

/// Completes a step that changes more than the state: the timeout, the active or inactive count, or the template, which
/// becomes assured.
#[inline(never)]
pub(super) fn apply_transition<A: Address>(
    table: &mut Table<A>,
    accounts: &Accounts,
    id: ConnectionId,
    step: &Step,
    now_ms: u32,
) {
    let connection = table.get_mut(id);
    let is_counted_otherwise = connection.is_active() != step.is_active();
    let (destination, template) = (connection.destination, connection.template);
    if is_counted_otherwise {
        connection.flags.toggle(Flags::INACTIVE);
    }
    table.set_timeout(id, step.timeout_s, now_ms);
    if is_counted_otherwise && let Some(stats) = accounts.stats_of(destination) {
        stats.conn_removed(!step.is_active());
        stats.conn_added(step.is_active());
    }
    if step.assures_template && template != NO_TEMPLATE {
        accounts.templates.assure(TemplateId(template));
    }
}

/// Removes a connection from the table and from all counts.
pub(super) fn remove_connection<F, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    id: ConnectionId,
) {
    let connection = A::table_mut(&mut engine.tables).remove(id);
    engine.accounts.conn_removed(snapshot, &connection, engine.clock.now);
}

#[inline(never)]
fn sctp_event<A: Address>(frame: &impl Frame, packet: &Packet<A>) -> sctp::SctpEvent {
    let transport = &frame.bytes()
        [ETHERNET + usize::from(packet.header)..ETHERNET + usize::from(packet.length)];
    sctp::SctpEvent::from_chunks(packet.sctp_chunk, packet::sctp::second_chunk(transport))
}
