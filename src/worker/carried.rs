//! AH and ESP: never scheduled, but carried along the key exchange (UDP, port 500 at both ends) between the same two
//! hosts, so that a client's security associations are with the server that made them.

use super::engine::Engine;
use super::tables::Flows;
use super::verdict::{Verdict, Visit};
use crate::conn::Direction;
use crate::model::{PortId, Protocol};
use crate::packet::{Packet, Role, Tuple, ipv6};
use crate::port::Frame;
use crate::service::Snapshot;

/// IKE (RFC 7296 section 2).
const KEY_EXCHANGE: u16 = 500;

impl<F: Frame> Engine<F> {
    /// `None`: another protocol, or hosts that exchanged no keys through here.
    pub(super) fn carried<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        port: PortId,
        visit: Visit,
    ) -> Option<Verdict> {
        if packet.role != Role::Other || !world.services.serves(A::FAMILY) {
            return None;
        }
        let exchange = key_exchange(&packet.tuple)?;
        let table = A::table(&self.tables);
        let Some((id, direction)) = table.find(table.hash(&exchange), &exchange) else {
            let is_ours = world.local.contains(exchange.destination);
            return self.elsewhere(world, &exchange, is_ours, false, port, visit);
        };
        let verdict = match direction {
            Direction::Reply => self.reply(world, frame, packet, id),
            Direction::Original => self.request(world, frame, packet, id, |engine, frame| {
                engine.end::<A>(world, id);
                engine.stray(world, frame, packet)
            }),
        };
        if !matches!(verdict, Verdict::Drop(_)) && A::table(&self.tables).contains(id) {
            A::table_mut(&mut self.tables).touch(id, self.now_ms);
        }
        Some(verdict)
    }
}

/// The key exchange between the hosts of an AH or ESP packet; `None`: another protocol.
pub(super) fn key_exchange<A: Copy>(tuple: &Tuple<A>) -> Option<Tuple<A>> {
    matches!(tuple.protocol, ipv6::ESP | ipv6::AUTHENTICATION).then_some(Tuple {
        source_port: KEY_EXCHANGE,
        destination_port: KEY_EXCHANGE,
        protocol: Protocol::Udp.number(),
        ..*tuple
    })
}
