//! A packet that opens a connection: find the service, keep to the client's template, else ask the scheduler.

use crate::conn::template::TemplateId;
use crate::conn::{Connection, Direction, Flags, Method, NO_TEMPLATE};
use crate::io::Frame;
use crate::model::{DestinationId, ForwardMethod, Protocol};
use crate::packet::{Packet, Tuple, sctp, tcp};
use crate::reason::{DropReason, PuntReason};
use crate::scheduler::Flow;
use crate::snapshot::{Service, Snapshot};
use crate::worker::engine::{Engine, LOCAL};
use crate::worker::full_path::mss;
use crate::worker::full_path::persistence::call_id;
use crate::worker::full_path::request::Forwarding;
use crate::worker::stats::conn_counts::ServiceLoad;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;
use std::sync::Arc;

/// Connections from this port are FTP's and never scheduled.
const FTP_DATA_PORT: u16 = 20;

/// Where a new connection goes.
pub(in crate::worker) struct Choice {
    pub(in crate::worker) destination: DestinationId,
    pub(in crate::worker) port: u16,
    pub(in crate::worker) template: u32,
}

/// What of a packet decides about its connection, besides the tuple.
#[derive(Clone, Copy)]
pub(in crate::worker) struct NewFlow<'a> {
    pub(in crate::worker) one_packet: bool,
    /// Only looked for where the service tells calls apart.
    pub(in crate::worker) call_id: Option<&'a [u8]>,
}

/// Why none was made.
pub(in crate::worker) enum NoChoice {
    /// No destination is usable.
    NoDestination,
    Drop(DropReason),
}

impl<F: Frame> Engine<F> {
    pub(in crate::worker) fn schedule<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        mark: u32,
    ) -> Verdict {
        if !may_open(snapshot, packet) {
            return self.deliver_or_route_clamped(snapshot, frame, packet);
        }
        let Some(service) = snapshot.services.find(&packet.tuple, mark) else {
            return self.deliver_or_route_clamped(snapshot, frame, packet);
        };
        if self.is_dropped_by_rate(snapshot) {
            return Verdict::Drop(DropReason::DropPacket);
        }
        if packet.tuple.source_port == FTP_DATA_PORT {
            return self.deliver_or_route_clamped(snapshot, frame, packet);
        }
        let one_packet = service.one_packet && packet.protocol == Protocol::Udp.number();
        let call_id = if service.by_call_id { call_id(frame, packet) } else { None };
        let opening = NewFlow { one_packet, call_id };
        let choice = match self.choose(snapshot, service, &packet.tuple, opening) {
            Ok(choice) => choice,
            Err(NoChoice::Drop(reason)) => return Verdict::Drop(reason),
            Err(NoChoice::NoDestination) => {
                return self.no_destination(snapshot, frame, packet, service);
            }
        };
        let connection = connect(snapshot, service, packet.tuple, &choice);
        match one_packet {
            true => self.forward_once(snapshot, frame, packet, connection),
            false => self.open(snapshot, frame, packet, connection),
        }
    }

    /// An ICMP error about a connection nobody knows makes one (`schedule_icmp`), from its quoted tuple. `None`: the
    /// error is nobody's.
    pub(in crate::worker) fn schedule_error<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        flow: &Tuple<A>,
        mark: u32,
    ) -> Option<Verdict> {
        let service = snapshot.services.find(flow, mark)?;
        if self.is_dropped_by_rate(snapshot) {
            return Some(Verdict::Drop(DropReason::DropPacket));
        }
        if flow.source_port == FTP_DATA_PORT {
            return None;
        }
        let one_packet = service.one_packet && flow.protocol == Protocol::Udp.number();
        let opening = NewFlow { one_packet, call_id: None };
        let choice = match self.choose(snapshot, service, flow, opening) {
            Ok(choice) => choice,
            Err(NoChoice::Drop(reason)) => return Some(Verdict::Drop(reason)),
            Err(NoChoice::NoDestination) if is_beside_ftp(service, flow) => return None,
            Err(NoChoice::NoDestination) => return Some(Verdict::Drop(DropReason::NoDestination)),
        };
        let connection = connect(snapshot, service, *flow, &choice);
        let id = match self.insert(snapshot, connection) {
            Ok(id) => id,
            Err(reason) => return Some(Verdict::Drop(reason)),
        };
        let verdict = self.error_to_server(snapshot, frame, packet, id);
        if one_packet {
            self.remove_connection::<A>(snapshot, id);
        }
        Some(verdict)
    }

    /// Not IPVS's: the host's own stack answers, or a router forwards.
    fn deliver_or_route_clamped<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
    ) -> Verdict {
        match snapshot.local.contains(packet.tuple.destination) {
            true => LOCAL,
            false => self.route_clamped(snapshot, frame, packet),
        }
    }

    /// The `drop_packet` defence: every so many-th packet that would be scheduled.
    fn is_dropped_by_rate(&mut self, snapshot: &Snapshot) -> bool {
        let rate = snapshot.settings.drop_packet_rate;
        if rate == 0 {
            return false;
        }
        self.until_drop = self.until_drop.saturating_sub(1);
        if self.until_drop > 0 {
            return false;
        }
        self.until_drop = rate;
        true
    }

    fn choose<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        service: &Arc<Service>,
        tuple: &Tuple<A>,
        opening: NewFlow<'_>,
    ) -> Result<Choice, NoChoice> {
        if !opening.one_packet && A::table(&self.tables).is_full() {
            return Err(NoChoice::Drop(DropReason::ConnectionTableFull));
        }
        if let Some(persistence) = service.persistence {
            return self.persist(snapshot, service, tuple, persistence, opening);
        }
        // FTP data and port-0 services exist for persistent ones only.
        if !service.key.is_fwmark() && tuple.destination_port != service.key.port() {
            return Err(NoChoice::NoDestination);
        }
        let destination = self.pick(snapshot, service, tuple).ok_or(NoChoice::NoDestination)?;
        let port = match snapshot.destinations.get(destination.index()).map_or(0, |to| to.port) {
            0 => tuple.destination_port,
            port => port,
        };
        Ok(Choice { destination, port, template: NO_TEMPLATE })
    }

    pub(in crate::worker) fn pick<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        service: &Service,
        tuple: &Tuple<A>,
    ) -> Option<DestinationId> {
        self.conn_counts.refresh(service, self.now);
        let candidates = service.scheduler.candidates();
        let flow = Flow {
            source: tuple.source.to_ip(),
            destination: tuple.destination.to_ip(),
            source_port: tuple.source_port,
            destination_port: tuple.destination_port,
        };
        let cursor = self.cursors.get_mut(service.id.index())?;
        let load = ServiceLoad {
            conn_counts: &self.conn_counts,
            candidates,
            destinations: &snapshot.destinations,
        };
        let index = service.scheduler.pick(cursor, &load, &flow, self.now)?;
        Some(candidates[index].id)
    }

    /// Enters a connection into the table and on its destination's counts.
    pub(in crate::worker) fn insert<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        connection: Connection<A>,
    ) -> Result<crate::conn::ConnectionId, DropReason> {
        let slot = connection.destination;
        let inserted = A::table_mut(&mut self.tables).insert(connection, self.now_ms);
        let Ok(id) = inserted else {
            if connection.template != NO_TEMPLATE {
                self.templates.release(TemplateId(connection.template), self.now);
            }
            return Err(DropReason::ConnectionTableFull);
        };
        self.count_new(snapshot, slot);
        Ok(id)
    }

    fn count_new(&self, snapshot: &Snapshot, slot: u32) {
        if let Some(stats) = self.stats_of(slot) {
            stats.count_connection();
            stats.conn_added(false);
        }
        if let Some(destination) = snapshot.destinations.get(slot as usize) {
            self.conn_counts.update_overload(DestinationId(slot), destination);
        }
    }

    fn open<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        connection: Connection<A>,
    ) -> Verdict {
        let id = match self.insert(snapshot, connection) {
            Ok(id) => id,
            Err(reason) => return Verdict::Drop(reason),
        };
        let Some(destination) = Self::destination_of(snapshot, &connection) else {
            return self.route_clamped(snapshot, frame, packet);
        };
        if let Some(stats) = self.stats_of(connection.destination) {
            stats.count_in(packet.length);
        }
        self.advance(id, frame, packet, Direction::Original);
        A::table_mut(&mut self.tables).get_mut(id).in_packets = 1;
        if snapshot.settings.mss_clamp.is_on() {
            mss::clamp_request(&self.counters, snapshot, frame, packet, &connection);
        }
        self.forward(snapshot, frame, packet, Forwarding::of(&connection), destination)
    }

    /// One-packet scheduling: counted, forwarded, forgotten.
    fn forward_once<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        connection: Connection<A>,
    ) -> Verdict {
        let slot = connection.destination;
        let Some(destination) = Self::destination_of(snapshot, &connection) else {
            return Verdict::Drop(DropReason::NoDestination);
        };
        self.count_new(snapshot, slot);
        if let Some(stats) = self.stats_of(slot) {
            stats.count_in(packet.length);
            stats.conn_removed(false);
        }
        self.conn_counts.update_overload(DestinationId(slot), destination);
        self.forward(snapshot, frame, packet, Forwarding::of(&connection), destination)
    }

    /// No destination can take it: bypass where that is asked for, else an ICMP answer.
    #[cold]
    fn no_destination<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        service: &Service,
    ) -> Verdict {
        let is_local = snapshot.local.contains(packet.tuple.destination);
        if snapshot.settings.sysctls.cache_bypass != 0
            && service.key.is_fwmark()
            && !is_local
            && !snapshot.local.is_group(packet.tuple.destination)
        {
            let mut connection = Connection::new(packet.tuple, Method::Bypass);
            connection.service = service.id.0;
            // Only a destination's method makes the kernel expect no replies, and here is no destination.
            connection.flags.remove(Flags::NOOUTPUT);
            let one_packet = service.one_packet && packet.protocol == Protocol::Udp.number();
            if !one_packet {
                let inserted = A::table_mut(&mut self.tables).insert(connection, self.now_ms);
                let Ok(id) = inserted else {
                    return Verdict::Drop(DropReason::ConnectionTableFull);
                };
                self.advance(id, frame, packet, Direction::Original);
            }
            return self.route_clamped(snapshot, frame, packet);
        }
        if is_beside_ftp(service, &packet.tuple) {
            return self.deliver_or_route_clamped(snapshot, frame, packet);
        }
        Verdict::Punt(PuntReason::NoDestination)
    }
}

/// The packet came to an FTP service in the hope that it was data of one; it is somebody else's.
fn is_beside_ftp<A>(service: &Service, tuple: &Tuple<A>) -> bool {
    const FTP_PORT: u16 = 21;
    service.key.port() == FTP_PORT && tuple.destination_port != FTP_PORT
}

/// The protocol's own condition for opening a connection.
fn may_open<A: WorkerFamily>(snapshot: &Snapshot, packet: &Packet<A>) -> bool {
    let sysctls = &snapshot.settings.sysctls;
    match Protocol::from_number(packet.protocol) {
        Some(Protocol::Tcp) => {
            packet.tcp_flags & tcp::RST == 0
                && (packet.tcp_flags & tcp::SYN != 0 || sysctls.sloppy_tcp != 0)
        }
        Some(Protocol::Sctp) => {
            packet.sctp_chunk != sctp::ABORT
                && (packet.sctp_chunk == sctp::INIT || sysctls.sloppy_sctp != 0)
        }
        Some(Protocol::Udp) => true,
        None => false,
    }
}

/// The connection that a choice makes of a flow.
pub(in crate::worker) fn connect<A: WorkerFamily>(
    snapshot: &Snapshot,
    service: &Service,
    tuple: Tuple<A>,
    choice: &Choice,
) -> Connection<A> {
    let destination = snapshot.destinations.get(choice.destination.index());
    let method = match destination.map(|to| to.method) {
        Some(ForwardMethod::Masq) => Method::Masq,
        Some(ForwardMethod::Tunnel) => Method::Tunnel,
        Some(ForwardMethod::Route) | None => Method::Route,
    };
    let mut connection = Connection::new(tuple, method);
    connection.service = service.id.0;
    connection.destination = choice.destination.0;
    connection.destination_port = choice.port;
    connection.template = choice.template;
    connection.destination_address =
        destination.and_then(|to| A::from_ip(to.address)).unwrap_or_default();
    connection
}
