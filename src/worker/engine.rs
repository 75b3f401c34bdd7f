//! What one worker knows and decides with: its tables, its place in every scheduler's order, its counts. The
//! other files of this room add one step of a packet's way each.

use crate::conn::template::{TemplateId, Templates};
use crate::conn::{
    self, Connection, ConnectionId, Direction, Mode, NO_TEMPLATE, Step, Steps, sctp,
};
use crate::io::Frame;
use crate::model::{DestinationId, Family, Protocol, WorkerId};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, Role, ipv4};
use crate::reason::PuntReason;
use crate::scheduler::Cursor;
use crate::snapshot::{Destination, Snapshot};
use crate::time::Instant;
use crate::worker::batch::Parsed;
use crate::worker::full_path::fragments::FragmentTable;
use crate::worker::stats::conn_counts::ConnCounts;
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::stats::destination_stats::DestinationStats;
use crate::worker::steering::Steering;
use crate::worker::tables::{Tables, WorkerFamily};
use crate::worker::upkeep::drop_entry::IdleSampler;
use crate::worker::verdict::Verdict;
use std::sync::Arc;

/// See the module.
pub(super) struct Engine<F> {
    pub(super) worker: WorkerId,
    pub(super) tables: Tables,
    pub(super) templates: Arc<Templates>,
    pub(super) conn_counts: ConnCounts,
    pub(super) steering: Arc<Steering>,
    pub(super) counters: Arc<WorkerCounters>,
    /// By service.
    pub(super) cursors: Box<[Cursor]>,
    pub(super) fragments_ipv4: FragmentTable<u32, F>,
    pub(super) fragments_ipv6: FragmentTable<u128, F>,
    /// Under the current snapshot: the steps of the state machines, and by family whether packets may belong to
    /// connections at all, and go the straight way of those.
    pub(super) steps: Steps,
    pub(super) looks_up: [bool; 2],
    pub(super) fast_path_on: [bool; 2],
    pub(super) now: Instant,
    /// `now` as connections stamp it.
    pub(super) now_ms: u32,
    /// Packets until the next one that `drop_packet` takes.
    pub(super) until_drop: u32,
    /// Identification of the next outer header that may be fragmented.
    pub(super) identification: u16,
    /// State of the defence's random numbers; never zero.
    pub(super) random: u32,
    /// Of connections.
    pub(super) idle_sampler: IdleSampler,
}

impl<F: Frame> Engine<F> {
    pub(super) fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.now_ms = now.as_millis() as u32;
    }

    /// What follows from a snapshot and is not looked up anew for every packet.
    pub(super) fn adopt_snapshot(&mut self, snapshot: &Snapshot) {
        let mode = if snapshot.settings.secure_tcp { Mode::Secure } else { Mode::Normal };
        self.steps.adopt(mode, snapshot.settings.timeouts);
        for family in [Family::Ipv4, Family::Ipv6] {
            let serves = snapshot.services.serves(family);
            self.looks_up[family as usize] = serves;
            self.fast_path_on[family as usize] = serves && !snapshot.settings.inbound_off;
        }
        // Modes 1 and 2 of `drop_packet` set the count anew each time they are judged; mode 3 goes on counting.
        if matches!(snapshot.settings.sysctls.drop_packet, 1 | 2) {
            self.until_drop = snapshot.settings.drop_packet_rate;
        }
    }

    /// Decides about any packet, and rewrites it.
    #[inline(never)]
    pub(super) fn process<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
    ) -> Verdict {
        let Parsed { packet, hash, port, handoff, .. } = parsed;
        if packet.role != Role::Transport {
            return self.process_portless(snapshot, frame, parsed);
        }
        if self.looks_up[A::FAMILY as usize] {
            match A::table(&self.tables).find(*hash, &packet.tuple) {
                Some((id, Direction::Original)) => {
                    return self.request(snapshot, frame, packet, id, |engine, frame| {
                        engine.reschedule(snapshot, frame, parsed, id)
                    });
                }
                Some((id, Direction::Reply)) => return self.reply(snapshot, frame, packet, id),
                None => {}
            }
        }
        self.no_connection(snapshot, frame, packet, *port, *handoff)
    }

    /// Decides about a packet that has no ports.
    fn process_portless<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
    ) -> Verdict {
        let Parsed { packet, hash, port, handoff, .. } = parsed;
        match packet.role {
            Role::IcmpError => self.icmp_error(snapshot, frame, packet, *hash, *port, *handoff),
            Role::LaterFragment => self.later_fragment(snapshot, frame, packet, *handoff),
            Role::Transport | Role::Icmp | Role::Other => {
                self.never_balanced(snapshot, frame, packet, *port, *handoff)
            }
        }
    }

    /// A connection is over and its packet handled as if it had never been. Like the kernel's, whose timers end
    /// connections between packets, the old one still counts while its successor is scheduled.
    #[cold]
    fn reschedule<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
        id: ConnectionId,
    ) -> Verdict {
        let Parsed { packet, port, handoff, .. } = parsed;
        let old = A::table_mut(&mut self.tables).remove(id);
        let verdict = self.no_connection(snapshot, frame, packet, *port, *handoff);
        release_counts(&self.conn_counts, &self.templates, snapshot, &old, self.now);
        verdict
    }

    /// The destination of a connection, its stats in this worker's ledger, and its slot.
    #[inline]
    pub(super) fn destination_of<'w, A: WorkerFamily>(
        snapshot: &'w Snapshot,
        connection: &Connection<A>,
    ) -> Option<&'w Destination> {
        // Nothing is ever kept at NO_DESTINATION.
        snapshot.destinations.get(connection.destination as usize)
    }

    #[inline]
    pub(super) fn stats_of(&self, destination: u32) -> Option<&DestinationStats> {
        self.conn_counts.own().get(DestinationId(destination))
    }

    /// Runs the state machine over one packet of a connection and restarts its timer.
    pub(super) fn advance<A: WorkerFamily>(
        &mut self,
        id: ConnectionId,
        frame: &F,
        packet: &Packet<A>,
        direction: Direction,
    ) {
        if Protocol::from_number(packet.protocol).is_none() {
            return;
        }
        let connection = A::table_mut(&mut self.tables).get_mut(id);
        let step = step(&self.steps, connection, direction, frame, packet);
        if !connection.apply_step(step, self.now_ms) {
            let step = *step;
            self.apply_transition::<A>(id, step);
        }
    }

    /// What a step does beyond the connection's state: another timeout, another count, a template that is assured.
    #[inline(never)]
    pub(super) fn apply_transition<A: WorkerFamily>(&mut self, id: ConnectionId, step: Step) {
        let table = A::table_mut(&mut self.tables);
        let connection = table.get_mut(id);
        let turns = connection.is_active() != step.is_active();
        let (destination, template) = (connection.destination, connection.template);
        if turns {
            connection.flags.toggle(conn::Flags::INACTIVE);
        }
        table.set_timeout(id, step.timeout_s, self.now_ms);
        if turns && let Some(stats) = self.stats_of(destination) {
            stats.conn_removed(!step.is_active());
            stats.conn_added(step.is_active());
        }
        if step.assures_template && template != NO_TEMPLATE {
            self.templates.assure(TemplateId(template));
        }
    }

    /// Takes a connection out of the table and off every count.
    pub(super) fn remove_connection<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        id: ConnectionId,
    ) {
        let connection = A::table_mut(&mut self.tables).remove(id);
        release_counts(&self.conn_counts, &self.templates, snapshot, &connection, self.now);
    }
}

/// Takes a connection that is no longer in the table off its destination's and its template's counts.
pub(super) fn release_counts<A: WorkerFamily>(
    conn_counts: &ConnCounts,
    templates: &Templates,
    snapshot: &Snapshot,
    connection: &Connection<A>,
    now: Instant,
) {
    if connection.template != NO_TEMPLATE {
        templates.release(TemplateId(connection.template), now);
    }
    let id = DestinationId(connection.destination);
    if let Some(stats) = conn_counts.own().get(id) {
        stats.conn_removed(connection.is_active());
        if let Some(destination) = snapshot.destinations.get(id.index()) {
            conn_counts.update_overload(id, destination);
        }
    }
}

/// Where a packet of TCP, UDP or SCTP takes its connection.
pub(super) fn step<'s, A: WorkerFamily>(
    steps: &'s Steps,
    connection: &mut Connection<A>,
    direction: Direction,
    frame: &impl Frame,
    packet: &Packet<A>,
) -> &'s Step {
    if packet.protocol != ipv4::SCTP {
        return plain_step(steps, connection, direction, packet);
    }
    let side = connection.side(direction);
    steps.sctp(side, sctp_event(frame, packet), connection.state)
}

/// [`step`] of TCP and UDP, which needs no look into the frame.
#[inline(always)]
pub(super) fn plain_step<'s, A: WorkerFamily>(
    steps: &'s Steps,
    connection: &mut Connection<A>,
    direction: Direction,
    packet: &Packet<A>,
) -> &'s Step {
    let side = connection.side(direction);
    match packet.protocol {
        ipv4::UDP => steps.udp(side),
        _ => steps.tcp(side, packet.tcp_flags, connection.state),
    }
}

#[inline(never)]
fn sctp_event<A: WorkerFamily>(frame: &impl Frame, packet: &Packet<A>) -> sctp::SctpEvent {
    let transport = &frame.bytes()
        [ETHERNET + usize::from(packet.header)..ETHERNET + usize::from(packet.length)];
    sctp::SctpEvent::from_chunks(packet.sctp_chunk, second_chunk(transport))
}

/// Type of the second chunk of an SCTP packet (RFC 9260 section 3.2: chunks are padded to four bytes).
fn second_chunk(packet: &[u8]) -> Option<u8> {
    let chunks = packet.get(crate::packet::sctp::HEADER..)?;
    let length = usize::from(u16::from_be_bytes([*chunks.get(2)?, *chunks.get(3)?]));
    let is_sound = length >= crate::packet::sctp::CHUNK_HEADER;
    let second = chunks.get(length.next_multiple_of(4)..).filter(|_| is_sound)?;
    second.first_chunk::<{ crate::packet::sctp::CHUNK_HEADER }>().map(|header| header[0])
}

/// The packet opens a connection: a SYN, or an INIT chunk. What is of another protocol has neither.
#[inline(always)]
pub(super) fn opens<A: WorkerFamily>(packet: &Packet<A>) -> bool {
    let is_syn = packet.tcp_flags & crate::packet::tcp::SYN != 0;
    is_syn || packet.sctp_chunk == crate::packet::sctp::INIT
}

/// Nothing balances the packet: it is the director's own to answer.
pub(super) const LOCAL: Verdict = Verdict::Punt(PuntReason::UnservedPort);
