//! AH and ESP: never scheduled, but ipsec along the key exchange (UDP, port 500 at both ends) between the same two
//! hosts, so that a client's security associations are with the server that made them.

use crate::conn::Direction;
use crate::io::Frame;
use crate::model::{PortId, Protocol};
use crate::packet::{Packet, Role, Tuple, ipv6};
use crate::snapshot::Snapshot;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::{Handoff, Verdict};

/// IKE (RFC 7296 section 2).
const KEY_EXCHANGE: u16 = 500;

impl<F: Frame> Engine<F> {
    /// `None`: another protocol, or hosts that exchanged no keys through here.
    pub(in crate::worker) fn ipsec<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        port: PortId,
        handoff: Handoff,
    ) -> Option<Verdict> {
        if packet.role != Role::Other || !snapshot.services.serves(A::FAMILY) {
            return None;
        }
        let exchange = key_exchange(&packet.tuple)?;
        let table = A::table(&self.tables);
        let Some((id, direction)) = table.find(table.hash(&exchange), &exchange) else {
            let is_ours = snapshot.local.contains(exchange.destination);
            return self.next_owner(snapshot, &exchange, is_ours, false, port, handoff);
        };
        let verdict = match direction {
            Direction::Reply => self.reply(snapshot, frame, packet, id),
            Direction::Original => self.request(snapshot, frame, packet, id, |engine, frame| {
                engine.remove_connection::<A>(snapshot, id);
                engine.deliver_or_route(snapshot, frame, packet)
            }),
        };
        if !matches!(verdict, Verdict::Drop(_)) && A::table(&self.tables).contains(id) {
            A::table_mut(&mut self.tables).touch(id, self.now_ms);
        }
        Some(verdict)
    }
}

/// The key exchange between the hosts of an AH or ESP packet; `None`: another protocol.
pub(in crate::worker) fn key_exchange<A: Copy>(tuple: &Tuple<A>) -> Option<Tuple<A>> {
    matches!(tuple.protocol, ipv6::ESP | ipv6::AUTHENTICATION).then_some(Tuple {
        source_port: KEY_EXCHANGE,
        destination_port: KEY_EXCHANGE,
        protocol: Protocol::Udp.number(),
        ..*tuple
    })
}
