//! AH and ESP are never scheduled. They follow the IKE connection (UDP, port 500 at both ends) between the same hosts,
//! so that a client's packets reach the server with its security associations.

use super::{reply, request, transit};
use crate::conn::Direction;
use crate::io::Frame;
use crate::model::Protocol;
use crate::packet::{Tuple, ipv6};
use crate::snapshot::Snapshot;
use crate::worker::batch::Rx;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use crate::worker::verdict::Verdict;

/// IKE (RFC 7296 section 2).
const KEY_EXCHANGE: u16 = 500;

/// Handles AH and ESP. `None` for other protocols, or without an IKE connection between these hosts.
pub(super) fn ipsec<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Option<Verdict> {
    let packet = &rx.packet;
    if !snapshot.services.serves(A::FAMILY) {
        return None;
    }
    let exchange = key_exchange(&packet.flow)?;
    let table = A::table(&engine.tables);
    let Some((id, direction)) = table.find(table.hash(&exchange), &exchange) else {
        let is_ours = snapshot.local.contains(exchange.destination);
        return engine.owners.next(snapshot, &exchange, is_ours, false, rx.port(), rx.handoff);
    };
    let verdict = match direction {
        Direction::Reply => reply::reply(engine, snapshot, frame, packet, id),
        Direction::Original => match request::request(engine, snapshot, frame, packet, id) {
            Some(verdict) => verdict,
            None => {
                track::remove_connection::<F, A>(engine, snapshot, id);
                transit::deliver_or_route(snapshot, frame, packet)
            }
        },
    };
    if !matches!(verdict, Verdict::Drop(_)) && A::table(&engine.tables).contains(id) {
        A::table_mut(&mut engine.tables).touch(id, engine.clock.now_ms);
    }
    Some(verdict)
}

/// The IKE flow between the hosts of an AH or ESP packet; `None` for other protocols.
pub(super) fn key_exchange<A: Copy>(flow: &Tuple<A>) -> Option<Tuple<A>> {
    matches!(flow.protocol, ipv6::ESP | ipv6::AUTHENTICATION).then_some(Tuple {
        source_port: KEY_EXCHANGE,
        destination_port: KEY_EXCHANGE,
        protocol: Protocol::Udp.number(),
        ..*flow
    })
}
