//! Calls that a server begins (`--pe sip`): a datagram from a NAT destination of a SIP service makes the connection that
//! the answer will come by, and leaves from the virtual address.

use super::engine::Engine;
use super::persist::call_id;
use super::schedule::{Choice, Opening, connect};
use super::tables::Flows;
use super::verdict::{Verdict, Visit};
use crate::conn::NO_TEMPLATE;
use crate::model::{DestinationId, ForwardMethod, Protocol, ServiceKey};
use crate::packet::{Fragment, Packet, Tuple};
use crate::port::Frame;
use crate::service::{Origin, Service, Snapshot};
use std::sync::Arc;

/// The destination a datagram comes from, and the service it is one of.
struct Caller<'w> {
    service: &'w Arc<Service>,
    destination: DestinationId,
    address: std::net::IpAddr,
    port: u16,
}

impl<F: Frame> Engine<F> {
    /// `None`: the packet is from no such server, or does not tell its call.
    pub(super) fn call_out<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        visit: Visit,
    ) -> Option<Verdict> {
        if !world.services.tells_calls_apart()
            || packet.protocol != Protocol::Udp.number()
            || packet.fragment != Fragment::Whole
        {
            return None;
        }
        let caller = caller(world, &packet.tuple)?;
        let request = Tuple {
            source: packet.tuple.destination,
            destination: A::from_ip(caller.address)?,
            source_port: packet.tuple.destination_port,
            destination_port: caller.port,
            protocol: packet.protocol,
        };
        // The answer arrives where the client's requests do.
        match self.steering.homes(&request).first() {
            Some(to) if to != self.worker.0 && visit != Visit::Last => {
                return Some(Verdict::HandOff { to });
            }
            _ => {}
        }
        let one_packet = caller.service.one_packet;
        let mut template = NO_TEMPLATE;
        if let Some(persistence) = caller.service.persistence {
            let opening = Opening { one_packet, call_id: call_id(frame, packet) };
            let wanted = self.wanted(caller.service, persistence, &request, opening).ok()?;
            let to = (caller.destination, packet.tuple.source_port);
            let suits = |destination| destination == caller.destination;
            let bound = self.bind_template(world, &wanted, suits, |_| Some(to)).ok()?;
            template = if one_packet { NO_TEMPLATE } else { bound.id.0 };
        }
        let choice =
            Choice { destination: caller.destination, port: packet.tuple.source_port, template };
        let connection = connect(world, caller.service, request, &choice);
        let id = self.insert(world, connection).ok()?;
        let verdict = self.reply(world, frame, packet, id);
        if one_packet {
            self.end::<A>(world, id);
        }
        Some(verdict)
    }
}

/// Who sent the datagram, if that is a NAT destination of a SIP service with an address and a port.
fn caller<'w, A: Flows>(world: &'w Snapshot, tuple: &Tuple<A>) -> Option<Caller<'w>> {
    let protocol = Protocol::from_number(tuple.protocol)?;
    let source = tuple.source.to_ip();
    world.replies.origins(tuple).find_map(|origin| {
        let Origin::Virtual { address, port } = origin else { return None };
        let key = ServiceKey::Address { protocol, address, port };
        let service = world.services.get(&key).filter(|service| service.by_call_id && port != 0)?;
        let at = |id: DestinationId| world.destinations.get(id.index());
        let candidate = service.scheduler.candidates().iter().find(|candidate| {
            (candidate.address, candidate.port) == (source, tuple.source_port)
                && at(candidate.id)
                    .is_some_and(|to| to.available && to.method == ForwardMethod::Masq)
        })?;
        Some(Caller { service, destination: candidate.id, address, port })
    })
}
