//! The full path: processes and rewrites every packet that the fast path does not handle.
//!
//! Steps for a packet with ports, in this order:
//!
//! 1. It belongs to a known connection: `request` from the client, `reply` to it. A finished connection is replaced
//! 2. It opens a call from a SIP server: `sip_outbound`
//! 3. Another worker owns its flow: `handoff`, above this folder
//! 4. It opens a connection: `schedule` finds service and destination, with `persistence` and `choice`
//! 5. Otherwise `transit` delivers it to the host or routes it, after the check in `martian`
//!
//! Packets without ports: `icmp_error` (and `tunnel_error`), `ipsec`, `fragments`. Used by several steps: `forward`
//! sends a client's packet to its destination, `mss` clamps SYNs.
//!
//! The director's own ICMP errors are made in `host::errors`; those of other hosts are translated in `rewrite::icmp`. The
//! cached route of replies is `conn::CachedReplyRoute`; `reply` fills it and `fast_path` uses it.
//!
//! Every step is a function of the engine's parts, the snapshot, the frame and its metadata. It returns a verdict,
//! which `egress` carries out.

mod choice;
mod forward;
mod fragments;
mod icmp_error;
mod ipsec;
mod martian;
mod mss;
mod no_connection;
mod persistence;
mod reply;
mod request;
mod schedule;
mod sip_outbound;
mod transit;
mod tunnel_error;

pub(super) use fragments::process_fragment;

use crate::conn::{Connection, ConnectionId, Direction};
use crate::io::Frame;
use crate::model::ReplySource;
use crate::packet::{Packet, Role, ipv4, tcp};
use crate::snapshot::Snapshot;
use crate::worker::batch::Rx;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// Processes a packet: decides about it and rewrites it.
#[inline(never)]
pub(super) fn process<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Verdict {
    engine.accounts.counters.full_path.add(1);
    match rx.packet.role {
        Role::Transport => process_transport(engine, snapshot, frame, rx),
        Role::IcmpError => icmp_error::icmp_error(engine, snapshot, frame, rx),
        Role::LaterFragment => fragments::later_fragment(engine, snapshot, frame, rx),
        Role::Icmp => transit::deliver_or_route(snapshot, frame, &rx.packet),
        Role::Other => ipsec::ipsec(engine, snapshot, frame, rx)
            .unwrap_or_else(|| transit::deliver_or_route(snapshot, frame, &rx.packet)),
    }
}

/// Processes a packet with ports.
#[inline]
fn process_transport<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Verdict {
    if engine.policy.looks_up[A::FAMILY as usize] {
        match A::table(&engine.tables).find(rx.hash, &rx.packet.flow) {
            Some((id, Direction::Original)) => {
                return request::request(engine, snapshot, frame, &rx.packet, id)
                    .unwrap_or_else(|| replace(engine, snapshot, frame, rx, id));
            }
            Some((id, Direction::Reply)) => {
                return reply::reply(engine, snapshot, frame, &rx.packet, id);
            }
            None => {}
        }
    }
    no_connection::no_connection(engine, snapshot, frame, rx)
}

/// Removes a finished connection and processes its packet as one without a connection. As in the kernel, whose timers
/// end connections between packets, the old connection still counts while the new destination is chosen.
#[cold]
#[inline(never)]
fn replace<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
    id: ConnectionId,
) -> Verdict {
    let mut old = A::table_mut(&mut engine.tables).remove(id);
    let verdict = no_connection::no_connection(engine, snapshot, frame, rx);
    // A packet to a local destination has opened a connection, and is refused too.
    let is_alone = || A::table(&engine.tables).find(rx.hash, &rx.packet.flow).is_none();
    if verdict == Verdict::UNSERVED && learns_of_reset(&rx.packet, &old) && is_alone() {
        old.timeout_s = RESET_WITHIN_S;
        // There is room: it was here before.
        if A::table_mut(&mut engine.tables).insert(old, engine.clock.now_ms).is_ok() {
            return verdict;
        }
    }
    engine.accounts.conn_removed(snapshot, &old, engine.clock.now);
    verdict
}

/// How long a connection that is over waits for the director's own reset.
const RESET_WITHIN_S: u32 = 1;

/// The packet is going to be answered by a reset, and the reset is to pass the connection: as in the kernel, where the
/// reset comes before the timer that ends the connection, it takes the connection to its last state once more.
fn learns_of_reset<A: WorkerFamily>(packet: &Packet<A>, old: &Connection<A>) -> bool {
    let is_answered = packet.protocol == ipv4::TCP && packet.tcp_flags & tcp::RST == 0;
    is_answered && old.flags.method().replies_from() == ReplySource::VirtualAddress
}
