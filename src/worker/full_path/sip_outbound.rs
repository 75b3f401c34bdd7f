//! Calls that a server begins (`--pe sip`): a datagram from a NAT destination of a SIP service makes the connection that
//! the answer will come by, and leaves from the virtual address.

use crate::conn::NO_TEMPLATE;
use crate::io::Frame;
use crate::model::{DestinationId, ForwardMethod, Protocol, ServiceKey};
use crate::packet::{Fragment, Packet, Tuple};
use crate::snapshot::{Origin, Service, Snapshot};
use crate::worker::engine::Engine;
use crate::worker::full_path::persistence::call_id;
use crate::worker::full_path::schedule::{Choice, NewFlow, connect};
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::{Handoff, Verdict};
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
    pub(in crate::worker) fn sip_outbound<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        handoff: Handoff,
    ) -> Option<Verdict> {
        if !snapshot.services.has_sip_services()
            || packet.protocol != Protocol::Udp.number()
            || packet.fragment != Fragment::Whole
        {
            return None;
        }
        let caller = caller(snapshot, &packet.tuple)?;
        let request = Tuple {
            source: packet.tuple.destination,
            destination: A::from_ip(caller.address)?,
            source_port: packet.tuple.destination_port,
            destination_port: caller.port,
            protocol: packet.protocol,
        };
        // The answer arrives where the client's requests do.
        match self.steering.owners(&request).first() {
            Some(to) if to != self.worker.0 && handoff != Handoff::Final => {
                return Some(Verdict::HandOff { to });
            }
            _ => {}
        }
        let one_packet = caller.service.one_packet;
        let mut template = NO_TEMPLATE;
        if let Some(persistence) = caller.service.persistence {
            let opening = NewFlow { one_packet, call_id: call_id(frame, packet) };
            let wanted = self.wanted(caller.service, persistence, &request, opening).ok()?;
            let to = (caller.destination, packet.tuple.source_port);
            let suits = |destination| destination == caller.destination;
            let bound = self.template_added(snapshot, &wanted, suits, |_| Some(to)).ok()?;
            template = if one_packet { NO_TEMPLATE } else { bound.id.0 };
        }
        let choice =
            Choice { destination: caller.destination, port: packet.tuple.source_port, template };
        let connection = connect(snapshot, caller.service, request, &choice);
        let id = self.insert(snapshot, connection).ok()?;
        let verdict = self.reply(snapshot, frame, packet, id);
        if one_packet {
            self.remove_connection::<A>(snapshot, id);
        }
        Some(verdict)
    }
}

/// Who sent the datagram, if that is a NAT destination of a SIP service with an address and a port.
fn caller<'w, A: WorkerFamily>(snapshot: &'w Snapshot, tuple: &Tuple<A>) -> Option<Caller<'w>> {
    let protocol = Protocol::from_number(tuple.protocol)?;
    let source = tuple.source.to_ip();
    snapshot.replies.origins(tuple).find_map(|origin| {
        let Origin::Virtual { address, port } = origin else { return None };
        let key = ServiceKey::Address { protocol, address, port };
        let service =
            snapshot.services.get(&key).filter(|service| service.by_call_id && port != 0)?;
        let at = |id: DestinationId| snapshot.destinations.get(id.index());
        let candidate = service.scheduler.candidates().iter().find(|candidate| {
            (candidate.address, candidate.port) == (source, tuple.source_port)
                && at(candidate.id)
                    .is_some_and(|to| to.available && to.method == ForwardMethod::Masq)
        })?;
        Some(Caller { service, destination: candidate.id, address, port })
    })
}
