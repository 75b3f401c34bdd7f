//! Persistence: the client's template (with the sip engine the call's) determines the destination of a new connection.

use super::choice::{Choice, NewFlow, NoChoice};
use crate::conn::template::{Bound, NewTemplate, Use};
use crate::conn::{NO_TEMPLATE, TemplateKey};
use crate::io::Frame;
use crate::model::{DestinationId, Persistence, Protocol};
use crate::packet::Tuple;
use crate::reason::DropReason;
use crate::snapshot::{Service, Snapshot};
use crate::worker::accounts::Accounts;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use arrayvec::ArrayVec;
use std::sync::Arc;

/// A template lookup.
pub(super) struct Wanted<'a> {
    service: &'a Service,
    persistence: Persistence,
    key: TemplateKey,
    call_id: &'a [u8],
    one_packet: bool,
    /// The packet opens a handshake of its protocol.
    half_open: bool,
}

/// For a persistent service: the destination of the client's template, or a new template with the result of `pick`.
pub(super) fn persist<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    service: &Service,
    flow: &Tuple<A>,
    persistence: Persistence,
    new: NewFlow<'_>,
    pick: impl FnOnce(&mut Engine<F>) -> Option<DestinationId>,
) -> Result<Choice, NoChoice> {
    let wanted = wanted(&engine.accounts, service, persistence, flow, new)?;
    let pick = |engine: &mut Engine<F>| {
        let destination = pick(engine)?;
        let configured = snapshot.destinations.get(destination.index())?.port;
        Some((destination, configured))
    };
    let bound = bind_template(engine, snapshot, &wanted, |_| true, pick)?;
    let destination = bound.template.destination;
    let configured = snapshot.destinations.get(destination as usize).map_or(0, |to| to.port);
    let port = match flow.destination_port {
        port if port == service.key.port() && configured != 0 => configured,
        port => port,
    };
    let template = if new.one_packet { NO_TEMPLATE } else { bound.id.0 };
    Ok(Choice { destination: DestinationId(destination), port, template })
}

/// The template of a flow.
///
/// # Errors
/// If the service has the sip engine and the packet has no Call-ID; it is dropped.
pub(super) fn wanted<'a, A: WorkerFamily>(
    accounts: &Accounts,
    service: &'a Service,
    persistence: Persistence,
    flow: &Tuple<A>,
    new: NewFlow<'a>,
) -> Result<Wanted<'a>, NoChoice> {
    let (client, address) = (flow.source.to_ip(), flow.destination.to_ip());
    let port = flow.destination_port;
    let mut key = TemplateKey::new(&service.key, persistence.mask, client, address, port);
    let mut call_id = &[][..];
    if service.by_call_id {
        call_id = new.call_id.ok_or(NoChoice::Drop(DropReason::NoCallId))?;
        key.call = accounts.templates.call(call_id);
    }
    let half_open = flow.protocol != Protocol::Udp.number();
    Ok(Wanted { service, persistence, key, call_id, one_packet: new.one_packet, half_open })
}

/// The template, if its destination is usable and `suits`; otherwise a new one for the destination and configured port
/// from `pick`.
///
/// # Errors
/// If `pick` returned none, or the table of templates is full.
pub(super) fn bind_template<F: Frame>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    suits: impl FnOnce(DestinationId) -> bool,
    pick: impl FnOnce(&mut Engine<F>) -> Option<(DestinationId, u16)>,
) -> Result<Bound, NoChoice> {
    let quiescent_ends = snapshot.settings.sysctls.expire_quiescent_template != 0;
    let templates = Arc::clone(&engine.accounts.templates);
    let mut ended = ArrayVec::<u32, 2>::new();
    let bound = templates.bind(
        &wanted.key,
        if wanted.one_packet { Use::OnePacket } else { Use::Connection },
        engine.clock.now,
        |template| {
            let destination = snapshot.destinations.get(template.destination as usize);
            destination.is_some_and(|to| to.available && !(quiescent_ends && to.weight == 0))
                && suits(DestinationId(template.destination))
        },
        || {
            let (destination, configured) = pick(engine)?;
            Some(NewTemplate {
                destination: destination.0,
                destination_port: wanted.key.destination_port(configured),
                service: wanted.service.id.0,
                timeout_s: wanted.persistence.timeout_s,
                call_id: wanted.call_id,
                half_open: wanted.half_open,
            })
        },
        |template| ended.push(template.destination),
    );
    let accounts = &engine.accounts;
    for stats in ended.into_iter().filter_map(|destination| accounts.stats_of(destination)) {
        stats.template_removed();
    }
    let bound = match bound {
        Ok(Some(bound)) => bound,
        Ok(None) => return Err(NoChoice::NoDestination),
        Err(_) => return Err(NoChoice::Drop(DropReason::TemplateTableFull)),
    };
    if bound.created
        && let Some(stats) = accounts.stats_of(bound.template.destination)
    {
        stats.template_added();
    }
    Ok(bound)
}
