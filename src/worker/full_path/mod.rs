//! The full path: decides about every packet that the fast path does not handle, and rewrites it.
//!
//! The questions, in the order in which a packet with ports meets them:
//!
//! 1. Is it of a known connection? `request` from the client, `reply` to it. A connection that is over is replaced
//! 2. Does it begin a call from a SIP server? `sip_outbound`
//! 3. Does another worker own its flow? `handoff`, above this folder
//! 4. Does it open a connection? `schedule` finds service and destination, with `persistence` and `choice`
//! 5. None of these: `transit` delivers it to the director's own IP host or routes it; `martian` is checked first
//!
//! Packets without ports: `icmp_error` (and `tunnel_error`), `ipsec`, `fragments`. Used by several steps: `forward` sends a
//! client's packet to its destination, `mss` clamps SYNs.
//!
//! Every step is a function of the engine's parts, the snapshot, the frame and what is known about it. It returns a
//! verdict, which `egress` carries out.

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

use crate::conn::{ConnectionId, Direction};
use crate::io::Frame;
use crate::packet::Role;
use crate::snapshot::Snapshot;
use crate::worker::batch::Rx;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// Decides about a packet and rewrites it.
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

/// Decides about a packet with ports.
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

/// Removes a connection that is over and decides about its packet as one without a connection. As in the kernel, whose
/// timers end connections between packets, the old connection is still counted while the new destination is chosen.
#[cold]
#[inline(never)]
fn replace<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
    id: ConnectionId,
) -> Verdict {
    let old = A::table_mut(&mut engine.tables).remove(id);
    let verdict = no_connection::no_connection(engine, snapshot, frame, rx);
    engine.accounts.conn_removed(snapshot, &old, engine.clock.now);
    verdict
}
