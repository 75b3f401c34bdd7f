//! What one worker knows and decides with: its tables, its place in every scheduler's order, its counts. The
//! other files of this room add one step of a packet's way each.

use super::aged::Aged;
use super::batch::Parsed;
use super::counters::WorkerCounters;
use super::fragments::Fragments;
use super::ledger::Line;
use super::load::Loads;
use super::steer::Steering;
use super::tables::{Flows, Tables};
use super::verdict::Verdict;
use crate::conn::template::{TemplateId, Templates};
use crate::conn::{
    self, Connection, ConnectionId, Direction, Mode, NO_TEMPLATE, Step, Steps, sctp,
};
use crate::model::{DestinationId, Family, Protocol, WorkerId};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, Role, ipv4};
use crate::port::Frame;
use crate::scheduler::Cursor;
use crate::service::{Destination, Snapshot};
use crate::stop::PuntReason;
use crate::time::Instant;
use std::sync::Arc;

/// See the module.
pub(super) struct Engine<F> {
    pub(super) worker: WorkerId,
    pub(super) tables: Tables,
    pub(super) templates: Arc<Templates>,
    pub(super) loads: Loads,
    pub(super) steering: Arc<Steering>,
    pub(super) counters: Arc<WorkerCounters>,
    /// By service.
    pub(super) cursors: Box<[Cursor]>,
    pub(super) fragments_ipv4: Fragments<u32, F>,
    pub(super) fragments_ipv6: Fragments<u128, F>,
    /// Under the current snapshot: the steps of the state machines, and by family whether packets may belong to
    /// connections at all, and go the straight way of those.
    pub(super) steps: Steps,
    pub(super) looks_up: [bool; 2],
    pub(super) is_straight: [bool; 2],
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
    pub(super) aged: Aged,
}

impl<F: Frame> Engine<F> {
    pub(super) fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.now_ms = now.as_millis() as u32;
    }

    /// What follows from a snapshot and is not looked up anew for every packet.
    pub(super) fn adopted(&mut self, world: &Snapshot) {
        let mode = if world.settings.secure_tcp { Mode::Secure } else { Mode::Normal };
        self.steps.adopt(mode, world.settings.timeouts);
        for family in [Family::Ipv4, Family::Ipv6] {
            let serves = world.services.serves(family);
            self.looks_up[family as usize] = serves;
            self.is_straight[family as usize] = serves && !world.settings.inbound_off;
        }
        // Modes 1 and 2 of `drop_packet` set the count anew each time they are judged; mode 3 goes on counting.
        if matches!(world.settings.sysctls.drop_packet, 1 | 2) {
            self.until_drop = world.settings.drop_packet_rate;
        }
    }

    /// Decides about any packet, and rewrites it.
    #[inline(never)]
    pub(super) fn judge<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
    ) -> Verdict {
        let Parsed { packet, hash, port, visit, .. } = parsed;
        if packet.role != Role::Transport {
            return self.judge_other(world, frame, parsed);
        }
        if self.looks_up[A::FAMILY as usize] {
            match A::table(&self.tables).find(*hash, &packet.tuple) {
                Some((id, Direction::Original)) => {
                    return self.request(world, frame, packet, id, |engine, frame| {
                        engine.succeed(world, frame, parsed, id)
                    });
                }
                Some((id, Direction::Reply)) => return self.reply(world, frame, packet, id),
                None => {}
            }
        }
        self.unknown(world, frame, packet, *port, *visit)
    }

    /// Decides about a packet that has no ports.
    fn judge_other<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
    ) -> Verdict {
        let Parsed { packet, hash, port, visit, .. } = parsed;
        match packet.role {
            Role::IcmpError => self.related(world, frame, packet, *hash, *port, *visit),
            Role::LaterFragment => self.later_fragment(world, frame, packet, *visit),
            Role::Transport | Role::Icmp | Role::Other => {
                self.uncontrolled(world, frame, packet, *port, *visit)
            }
        }
    }

    /// A connection is over and its packet handled as if it had never been. Like the kernel's, whose timers end
    /// connections between packets, the old one still counts while its successor is scheduled.
    #[cold]
    fn succeed<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        parsed: &Parsed<A>,
        id: ConnectionId,
    ) -> Verdict {
        let Parsed { packet, port, visit, .. } = parsed;
        let old = A::table_mut(&mut self.tables).remove(id);
        let verdict = self.unknown(world, frame, packet, *port, *visit);
        forget(&self.loads, &self.templates, world, &old, self.now);
        verdict
    }

    /// The destination of a connection, its line in this worker's ledger, and its slot.
    #[inline]
    pub(super) fn destination_of<'w, A: Flows>(
        world: &'w Snapshot,
        connection: &Connection<A>,
    ) -> Option<&'w Destination> {
        // Nothing is ever kept at NO_DESTINATION.
        world.destinations.get(connection.destination as usize)
    }

    #[inline]
    pub(super) fn line(&self, destination: u32) -> Option<&Line> {
        self.loads.own().get(DestinationId(destination))
    }

    /// Runs the state machine over one packet of a connection and restarts its timer.
    pub(super) fn advance<A: Flows>(
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
        if !connection.take(step, self.now_ms) {
            let step = *step;
            self.turn::<A>(id, step);
        }
    }

    /// What a step does beyond the connection's state: another timeout, another count, a template that is assured.
    #[inline(never)]
    pub(super) fn turn<A: Flows>(&mut self, id: ConnectionId, step: Step) {
        let table = A::table_mut(&mut self.tables);
        let connection = table.get_mut(id);
        let turns = connection.is_active() != step.is_active();
        let (destination, template) = (connection.destination, connection.template);
        if turns {
            connection.flags.toggle(conn::Flags::INACTIVE);
        }
        table.set_timeout(id, step.timeout_s, self.now_ms);
        if turns && let Some(line) = self.line(destination) {
            line.unbind(!step.is_active());
            line.bind(step.is_active());
        }
        if step.assures_template && template != NO_TEMPLATE {
            self.templates.assure(TemplateId(template));
        }
    }

    /// Takes a connection out of the table and off every count.
    pub(super) fn end<A: Flows>(&mut self, world: &Snapshot, id: ConnectionId) {
        let connection = A::table_mut(&mut self.tables).remove(id);
        forget(&self.loads, &self.templates, world, &connection, self.now);
    }
}

/// Takes a connection that is no longer in the table off its destination's and its template's counts.
pub(super) fn forget<A: Flows>(
    loads: &Loads,
    templates: &Templates,
    world: &Snapshot,
    connection: &Connection<A>,
    now: Instant,
) {
    if connection.template != NO_TEMPLATE {
        templates.release(TemplateId(connection.template), now);
    }
    let id = DestinationId(connection.destination);
    if let Some(line) = loads.own().get(id) {
        line.unbind(connection.is_active());
        if let Some(destination) = world.destinations.get(id.index()) {
            loads.judge(id, destination);
        }
    }
}

/// Where a packet of TCP, UDP or SCTP takes its connection.
pub(super) fn step<'s, A: Flows>(
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
pub(super) fn plain_step<'s, A: Flows>(
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
fn sctp_event<A: Flows>(frame: &impl Frame, packet: &Packet<A>) -> sctp::SctpEvent {
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
pub(super) fn opens<A: Flows>(packet: &Packet<A>) -> bool {
    let is_syn = packet.tcp_flags & crate::packet::tcp::SYN != 0;
    is_syn || packet.sctp_chunk == crate::packet::sctp::INIT
}

/// Nothing balances the packet: it is the director's own to answer.
pub(super) const LOCAL: Verdict = Verdict::Punt(PuntReason::UnservedPort);
