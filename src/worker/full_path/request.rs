//! A client's packets of a known connection: check that the connection may be used, count, update the state, forward.

use super::forward::forward;
use super::{mss, transit};
use crate::conn::template::TemplateId;
use crate::conn::{Connection, ConnectionId, Direction, Flags, NO_TEMPLATE, sctp, tcp};
use crate::io::Frame;
use crate::model::Protocol;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::snapshot::{Destination, Snapshot};
use crate::worker::engine::{Engine, destination_of};
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use crate::worker::verdict::Verdict;

/// `None` if the connection is finished and the packet must be processed as one without a connection. A backup director
/// handles only replies (`backup_only`).
pub(super) fn request<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
) -> Option<Verdict> {
    if snapshot.settings.inbound_off {
        return Some(Verdict::UNSERVED);
    }
    let connection = A::table(&engine.tables).get(id);
    let Some(destination) = destination_of(snapshot, connection) else {
        return Some(forward_bypass(engine, snapshot, frame, packet, id));
    };
    if connection.flags.contains(Flags::FULL_PATH) {
        keep_template::<F, A>(engine, id);
    }
    let connection = A::table(&engine.tables).get(id);
    if packet.opens_connection() {
        if is_replaceable(snapshot, connection, destination) {
            return None;
        }
        if snapshot.settings.mss_clamp.is_on() {
            mss::clamp_request(&engine.accounts.counters, snapshot, frame, packet, connection);
        }
    }
    if !destination.available {
        return match snapshot.settings.sysctls.expire_nodest_conn {
            0 => Some(Verdict::Drop(DropReason::DestinationUnavailable)),
            _ => None,
        };
    }
    track::count_request(engine, frame, packet, id);
    let connection = A::table(&engine.tables).get(id);
    let encapsulator = &mut engine.encapsulator;
    Some(forward(encapsulator, snapshot, frame, packet, connection, destination))
}

/// The second packet of a UDP client whose replies do not pass: a flood with forged sources sends one from each. Later
/// packets take the fast path.
#[cold]
fn keep_template<F: Frame, A: WorkerFamily>(engine: &mut Engine<F>, id: ConnectionId) {
    let connection = A::table_mut(&mut engine.tables).get_mut(id);
    if connection.template != NO_TEMPLATE && connection.protocol == Protocol::Udp.number() {
        connection.flags.remove(Flags::FULL_PATH);
        engine.accounts.templates.confirm(TemplateId(connection.template));
    }
}

/// Forwards a packet of a connection without destination to the packet's own destination.
#[cold]
fn forward_bypass<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    packet: &Packet<A>,
    id: ConnectionId,
) -> Verdict {
    track::advance(engine, frame, packet, id, Direction::Original);
    transit::route_clamped(&engine.accounts.counters, snapshot, frame, packet)
}

/// True if a new SYN or INIT may replace the connection: `conn_reuse_mode`, and `expire_nodest_conn` for quiesced
/// destinations.
#[inline(never)]
fn is_replaceable<A: WorkerFamily>(
    snapshot: &Snapshot,
    connection: &Connection<A>,
    destination: &Destination,
) -> bool {
    let sysctls = &snapshot.settings.sysctls;
    if sysctls.expire_nodest_conn != 0 && destination.weight == 0 {
        return true;
    }
    if sysctls.conn_reuse_mode == 0 || connection.template != NO_TEMPLATE {
        return false;
    }
    match Protocol::from_number(connection.protocol) {
        Some(Protocol::Tcp) => match tcp::TcpState::from_number(connection.state) {
            tcp::TcpState::TimeWait | tcp::TcpState::Close => true,
            tcp::TcpState::FinWait => {
                sysctls.conn_reuse_mode & 2 != 0 && connection.flags.contains(Flags::NOOUTPUT)
            }
            _ => false,
        },
        Some(Protocol::Sctp) => {
            sctp::SctpState::from_number(connection.state) == sctp::SctpState::Closed
        }
        Some(Protocol::Udp) | None => false,
    }
}
