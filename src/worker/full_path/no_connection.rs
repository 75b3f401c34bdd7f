//! Packets with ports that belong to no connection of this worker: they belong to another worker, open a connection, or
//! are delivered or routed.

use super::martian::is_martian;
use super::{schedule, sip_outbound, transit};
use crate::io::Frame;
use crate::model::Protocol;
use crate::packet::{Fragment, Packet, sctp, tcp};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::Snapshot;
use crate::worker::batch::Rx;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// Processes a packet without a connection.
#[inline(never)]
pub(super) fn no_connection<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &mut F,
    rx: &Rx<A>,
) -> Verdict {
    let Rx { packet, ingress, handoff, .. } = rx;
    let mark = snapshot.marks.find(ingress.interface(), &packet.flow);
    let is_ours = snapshot.local.contains(packet.flow.destination)
        || snapshot.services.serves_mark(A::FAMILY, mark);
    if !is_ours
        && let Some(verdict) = sip_outbound::sip_outbound(engine, snapshot, frame, packet, *handoff)
    {
        return verdict;
    }
    let is_whole = packet.fragment == Fragment::Whole;
    let owner = engine.owners.next(snapshot, &packet.flow, is_ours, is_whole, rx.port(), *handoff);
    if let Some(owner) = owner {
        return owner;
    }
    if is_ours {
        return match snapshot.settings.inbound_off {
            _ if is_martian(snapshot, packet.flow.source, packet.flow.destination) => {
                Verdict::Drop(DropReason::Martian)
            }
            true => Verdict::UNSERVED,
            false => schedule::schedule(engine, snapshot, frame, packet, mark),
        };
    }
    // As in a router, the TTL of a refused packet has been decremented.
    let verdict = transit::route_clamped(&engine.accounts.counters, snapshot, frame, packet);
    match verdict.is_sent() && is_refused(snapshot, packet) {
        true => Verdict::Punt(PuntReason::NatIcmpSend),
        false => verdict,
    }
}

/// A NAT server's packet of no connection that is answered with an ICMP error (`nat_icmp_send`).
fn is_refused<A: WorkerFamily>(snapshot: &Snapshot, packet: &Packet<A>) -> bool {
    let is_abort = packet.tcp_flags & tcp::RST != 0
        || packet.protocol == Protocol::Sctp.number() && packet.sctp_chunk == sctp::ABORT;
    snapshot.settings.sysctls.nat_icmp_send != 0
        && snapshot.services.serves(A::FAMILY)
        && !is_abort
        && snapshot.replies.has_server(&packet.flow)
}
