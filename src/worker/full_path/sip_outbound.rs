//! SIP calls opened by a server (`--pe sip`): a datagram from a NAT destination of a SIP service opens the connection
//! for the reply, and is sent with the VIP as source.

use super::choice::{Choice, NewFlow, connect};
use super::{persistence, reply, schedule};
use crate::conn::NO_TEMPLATE;
use crate::io::Frame;
use crate::model::{DestinationId, Protocol, ServiceKey};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Fragment, Packet, Tuple, sip};
use crate::snapshot::{Service, Snapshot};
use crate::worker::engine::Engine;
use crate::worker::handoff::Handoff;
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use crate::worker::verdict::Verdict;
use std::sync::Arc;

/// The destination that sent a datagram, with its service.
struct Caller<'w> {
    service: &'w Arc<Service>,
    destination: DestinationId,
    address: std::net::IpAddr,
    port: u16,
}

/// `None`: the packet is not from such a server, or has no Call-ID.
pub(super) fn sip_outbound<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
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
    let caller = caller(snapshot, &packet.flow)?;
    let request = Tuple {
        source: packet.flow.destination,
        destination: A::from_ip(caller.address)?,
        source_port: packet.flow.destination_port,
        destination_port: caller.port,
        protocol: packet.protocol,
    };
    // The reply arrives at the worker that receives the client's requests.
    match engine.owners.steering.owners(&request).first() {
        Some(to) if to != engine.owners.me.0 && handoff != Handoff::Final => {
            return Some(Verdict::HandOff { to });
        }
        _ => {}
    }
    let one_packet = caller.service.one_packet;
    let mut template = NO_TEMPLATE;
    if let Some(persistence) = caller.service.persistence {
        let call_id = sip::call_id_of(&frame.bytes()[ETHERNET..], packet);
        let new = NewFlow { one_packet, call_id };
        let service = caller.service;
        let wanted = persistence::wanted(&engine.accounts, service, persistence, &request, new);
        let to = (caller.destination, packet.flow.source_port);
        let suits = |destination| destination == caller.destination;
        let bound =
            persistence::bind_template(engine, snapshot, &wanted.ok()?, suits, |_| Some(to))
                .ok()?;
        template = if one_packet { NO_TEMPLATE } else { bound.id.0 };
    }
    let port = packet.flow.source_port;
    let choice = Choice { destination: caller.destination, port, template };
    let connection = connect(snapshot, caller.service, request, &choice);
    let id = schedule::insert_newest(engine, snapshot, connection).ok()?;
    let verdict = reply::reply(engine, snapshot, frame, packet, id);
    if one_packet {
        track::remove_connection::<F, A>(engine, snapshot, id);
    }
    Some(verdict)
}

/// The sender of the datagram, if it is a NAT destination of a SIP service with address and port.
fn caller<'w, A: WorkerFamily>(snapshot: &'w Snapshot, flow: &Tuple<A>) -> Option<Caller<'w>> {
    let found = snapshot.replies.sip_caller(flow)?;
    let ServiceKey::Address { address, port, .. } = found.service else { return None };
    let service = snapshot.services.get(&found.service)?;
    Some(Caller { service, destination: found.destination, address, port })
}
