//! The chosen destination of a new connection, and the connection itself.

use crate::conn::{Connection, Flags, Method, NO_TEMPLATE};
use crate::model::{DestinationId, Protocol};
use crate::packet::Tuple;
use crate::reason::DropReason;
use crate::snapshot::{Service, Snapshot};
use crate::worker::tables::WorkerFamily;

/// Destination of a new connection.
pub(super) struct Choice {
    pub(super) destination: DestinationId,
    pub(super) port: u16,
    pub(super) template: u32,
}

/// What the choice depends on besides the tuple.
#[derive(Clone, Copy)]
pub(super) struct NewFlow<'a> {
    pub(super) one_packet: bool,
    /// Read from the packet only with the sip engine.
    pub(super) call_id: Option<&'a [u8]>,
}

/// Why no destination was chosen.
pub(super) enum NoChoice {
    /// No usable destination.
    NoDestination,
    Drop(DropReason),
}

/// Creates the connection of a flow to the chosen destination of a service.
pub(super) fn connect<A: WorkerFamily>(
    snapshot: &Snapshot,
    service: &Service,
    flow: Tuple<A>,
    choice: &Choice,
) -> Connection<A> {
    let mut connection = towards(snapshot, flow, choice.destination, choice.port);
    connection.service = service.id.0;
    connection.template = choice.template;
    // The client's second packet keeps the template: see `request`. A reply would, but none is expected.
    if choice.template != NO_TEMPLATE
        && flow.protocol == Protocol::Udp.number()
        && connection.flags.contains(Flags::NOOUTPUT)
    {
        connection.require_full_path();
    }
    connection
}

/// Creates the connection of a flow to a destination, without a service.
pub(super) fn towards<A: WorkerFamily>(
    snapshot: &Snapshot,
    flow: Tuple<A>,
    to: DestinationId,
    port: u16,
) -> Connection<A> {
    let destination = snapshot.destinations.get(to.index());
    let method = destination.map_or(Method::Route, |to| Method::of(to.method));
    let mut connection = Connection::new(flow, method);
    connection.destination = to.0;
    connection.destination_port = port;
    connection.destination_address =
        destination.and_then(|to| A::from_ip(to.address)).unwrap_or_default();
    connection
}
