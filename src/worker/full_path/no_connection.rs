//! A packet that no connection of this worker takes: another worker's, a new connection's, or nobody's.

use crate::io::Frame;
use crate::model::{Family, PortId, Protocol};
use crate::packet::{Fragment, Packet, Role, Tuple, icmp, sctp, tcp};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::Snapshot;
use crate::worker::engine::{Engine, LOCAL};
use crate::worker::full_path::martian::is_martian;
use crate::worker::steering::Workers;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::{Handoff, Verdict};

impl<F: Frame> Engine<F> {
    #[inline(never)]
    pub(in crate::worker) fn no_connection<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        port: PortId,
        handoff: Handoff,
    ) -> Verdict {
        let mark = snapshot.marks.find(port, &packet.tuple);
        let is_ours = snapshot.local.contains(packet.tuple.destination)
            || snapshot.services.serves_mark(A::FAMILY, mark);
        if !is_ours && let Some(verdict) = self.sip_outbound(snapshot, frame, packet, handoff) {
            return verdict;
        }
        let is_whole = packet.fragment == Fragment::Whole;
        if let Some(owner) =
            self.next_owner(snapshot, &packet.tuple, is_ours, is_whole, port, handoff)
        {
            return owner;
        }
        if is_ours {
            return match snapshot.settings.inbound_off {
                _ if is_martian(snapshot, packet.tuple.source, packet.tuple.destination) => {
                    Verdict::Drop(DropReason::Martian)
                }
                true => LOCAL,
                false => self.schedule(snapshot, frame, packet, mark),
            };
        }
        // A router first, so a packet that is refused had its TTL lowered.
        let verdict = self.route_clamped(snapshot, frame, packet);
        match verdict.is_sent() && is_refused(snapshot, packet) {
            true => Verdict::Punt(PuntReason::NatIcmpSend),
            false => verdict,
        }
    }

    /// The next worker to ask for the connection of a packet with `tuple`, if there is one left to ask.
    ///
    /// Where the port's device has placed the packet by ports it is here already, unless it is a NAT reply. Else the
    /// software hash gives the owner, which has the last word.
    pub(in crate::worker) fn next_owner<A: WorkerFamily>(
        &self,
        snapshot: &Snapshot,
        tuple: &Tuple<A>,
        is_ours: bool,
        is_placed_by_ports: bool,
        port: PortId,
        handoff: Handoff,
    ) -> Option<Verdict> {
        let me = self.worker.0;
        if self.steering.workers() == 1 || handoff == Handoff::Final {
            return None;
        }
        let owner = match self.steering.is_placed(port) && is_placed_by_ports {
            true => None,
            false => Some(self.steering.owner(port, tuple)),
        };
        let left = match handoff {
            Handoff::Probing(left) => left,
            _ if is_ours => Workers::default(),
            _ => self.steering.owners_of_reply(&snapshot.replies, tuple),
        };
        let left = left.without(me);
        // The owner decides, so it is asked last.
        let before = owner.map_or(left, |owner| left.without(owner));
        if before.first().is_some() {
            return Some(Verdict::Probe(before));
        }
        match owner {
            Some(owner) if owner != me => Some(Verdict::HandOff { to: owner }),
            _ => None,
        }
    }

    /// ICMP other than errors, and protocols that are never balanced.
    pub(in crate::worker) fn never_balanced<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        port: PortId,
        handoff: Handoff,
    ) -> Verdict {
        if let Some(verdict) = self.ipsec(snapshot, frame, packet, port, handoff) {
            return verdict;
        }
        self.deliver_or_route(snapshot, frame, packet)
    }

    /// No connection's, and never to be one: the director's own, or on its way through.
    pub(in crate::worker) fn deliver_or_route<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
    ) -> Verdict {
        let destination = packet.tuple.destination;
        if snapshot.local.contains(destination) || snapshot.local.is_group(destination) {
            return Verdict::Punt(match (packet.role, A::FAMILY, packet.icmp_type) {
                (Role::Icmp, Family::Ipv4, icmp::v4::ECHO_REQUEST)
                | (Role::Icmp, Family::Ipv6, icmp::v6::ECHO_REQUEST) => PuntReason::IcmpEcho,
                (Role::Icmp, Family::Ipv6, 133..=137) => PuntReason::NeighbourDiscovery,
                (Role::Icmp, ..) => PuntReason::LocalOther,
                _ => PuntReason::UnservedPort,
            });
        }
        self.route_checked(snapshot, frame, packet, destination)
    }
}

/// A NAT server's packet of no connection, and the server is to be told so (`nat_icmp_send`).
fn is_refused<A: WorkerFamily>(snapshot: &Snapshot, packet: &Packet<A>) -> bool {
    let is_abort = packet.tcp_flags & tcp::RST != 0
        || packet.protocol == Protocol::Sctp.number() && packet.sctp_chunk == sctp::ABORT;
    snapshot.settings.sysctls.nat_icmp_send != 0
        && snapshot.services.serves(A::FAMILY)
        && !is_abort
        && snapshot.replies.has_server(&packet.tuple)
}
