//! Persistence: the client's template says where its next connection goes, and for SIP the call's.

use crate::conn::template::{Bound, NewTemplate, Use};
use crate::conn::{NO_TEMPLATE, TemplateKey};
use crate::io::Frame;
use crate::model::{DestinationId, Persistence, Protocol};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, Tuple, sip, udp};
use crate::reason::DropReason;
use crate::snapshot::{Service, Snapshot};
use crate::worker::engine::Engine;
use crate::worker::full_path::schedule::{Choice, NewFlow, NoChoice};
use crate::worker::tables::WorkerFamily;
use std::sync::Arc;

/// A template that is looked for.
pub(in crate::worker) struct Wanted<'a> {
    pub(in crate::worker) service: &'a Service,
    pub(in crate::worker) persistence: Persistence,
    pub(in crate::worker) key: TemplateKey,
    pub(in crate::worker) call_id: &'a [u8],
    pub(in crate::worker) one_packet: bool,
}

impl<F: Frame> Engine<F> {
    /// A persistent service: the client's template, or a new one with what the scheduler picks.
    pub(in crate::worker) fn persist<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        service: &Service,
        tuple: &Tuple<A>,
        persistence: Persistence,
        opening: NewFlow<'_>,
    ) -> Result<Choice, NoChoice> {
        let wanted = self.wanted(service, persistence, tuple, opening)?;
        let one_packet = wanted.one_packet;
        let pick = |engine: &mut Self| {
            let destination = engine.pick(snapshot, service, tuple)?;
            let configured = snapshot.destinations.get(destination.index())?.port;
            Some((destination, configured))
        };
        let bound = self.template_added(snapshot, &wanted, |_| true, pick)?;
        let slot = bound.template.destination;
        let configured = snapshot.destinations.get(slot as usize).map_or(0, |to| to.port);
        let port = match tuple.destination_port {
            port if port == service.key.port() && configured != 0 => configured,
            port => port,
        };
        let template = if one_packet { NO_TEMPLATE } else { bound.id.0 };
        Ok(Choice { destination: DestinationId(slot), port, template })
    }

    /// What the template of a flow is known by. A packet that bears no name of a call is dropped where calls are told
    /// apart.
    pub(in crate::worker) fn wanted<'a, A: WorkerFamily>(
        &self,
        service: &'a Service,
        persistence: Persistence,
        tuple: &Tuple<A>,
        opening: NewFlow<'a>,
    ) -> Result<Wanted<'a>, NoChoice> {
        let (client, address) = (tuple.source.to_ip(), tuple.destination.to_ip());
        let port = tuple.destination_port;
        let mut key = TemplateKey::new(&service.key, persistence.mask, client, address, port);
        let mut call_id = &[][..];
        if service.by_call_id {
            call_id = opening.call_id.ok_or(NoChoice::Drop(DropReason::NoCallId))?;
            key.call = self.templates.call(call_id);
        }
        Ok(Wanted { service, persistence, key, call_id, one_packet: opening.one_packet })
    }

    /// The template that is wanted, if its destination is usable and `suits`; else a new one to what `pick` gives: a
    /// destination and the port it is configured with.
    pub(in crate::worker) fn template_added(
        &mut self,
        snapshot: &Snapshot,
        wanted: &Wanted<'_>,
        suits: impl FnOnce(DestinationId) -> bool,
        pick: impl FnOnce(&mut Self) -> Option<(DestinationId, u16)>,
    ) -> Result<Bound, NoChoice> {
        let quiescent_ends = snapshot.settings.sysctls.expire_quiescent_template != 0;
        let templates = Arc::clone(&self.templates);
        let mut ended = None;
        let bound = templates.bind(
            &wanted.key,
            if wanted.one_packet { Use::OnePacket } else { Use::Connection },
            self.now,
            |template| {
                snapshot.destinations.get(template.destination as usize).is_some_and(
                    |destination| {
                        destination.available && !(quiescent_ends && destination.weight == 0)
                    },
                ) && suits(DestinationId(template.destination))
            },
            || {
                let (destination, configured) = pick(self)?;
                Some(NewTemplate {
                    destination: destination.0,
                    destination_port: wanted.key.destination_port(configured),
                    service: wanted.service.id.0,
                    timeout_s: wanted.persistence.timeout_s,
                    call_id: wanted.call_id,
                })
            },
            |template| ended = Some(template.destination),
        );
        if let Some(stats) = ended.and_then(|destination| self.stats_of(destination)) {
            stats.template_removed();
        }
        let bound = match bound {
            Ok(Some(bound)) => bound,
            Ok(None) => return Err(NoChoice::NoDestination),
            Err(_) => return Err(NoChoice::Drop(DropReason::TemplateTableFull)),
        };
        if bound.created
            && let Some(stats) = self.stats_of(bound.template.destination)
        {
            stats.template_added();
        }
        Ok(bound)
    }
}

/// The name of the call that a SIP message belongs to. SIP over TCP or SCTP is not looked into, as in IPVS.
pub(in crate::worker) fn call_id<'f, A>(
    frame: &'f impl Frame,
    packet: &Packet<A>,
) -> Option<&'f [u8]> {
    if packet.protocol != Protocol::Udp.number() {
        return None;
    }
    let start = ETHERNET + usize::from(packet.header) + udp::HEADER;
    sip::call_id(frame.bytes().get(start..ETHERNET + usize::from(packet.length))?)
}
