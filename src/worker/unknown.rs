//! A packet that no connection of this worker takes: another worker's, a new connection's, or nobody's.

use super::engine::{Engine, LOCAL};
use super::martian::is_martian;
use super::steer::Workers;
use super::tables::Flows;
use super::verdict::{Verdict, Visit};
use crate::model::{Family, PortId, Protocol};
use crate::packet::{Fragment, Packet, Role, Tuple, icmp, sctp, tcp};
use crate::port::Frame;
use crate::service::Snapshot;
use crate::stop::{DropReason, PuntReason};

impl<F: Frame> Engine<F> {
    #[inline(never)]
    pub(super) fn unknown<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        port: PortId,
        visit: Visit,
    ) -> Verdict {
        let mark = world.marks.find(port, &packet.tuple);
        let is_ours = world.local.contains(packet.tuple.destination)
            || world.services.serves_mark(A::FAMILY, mark);
        if !is_ours && let Some(verdict) = self.call_out(world, frame, packet, visit) {
            return verdict;
        }
        let is_whole = packet.fragment == Fragment::Whole;
        if let Some(elsewhere) =
            self.elsewhere(world, &packet.tuple, is_ours, is_whole, port, visit)
        {
            return elsewhere;
        }
        if is_ours {
            return match world.settings.inbound_off {
                _ if is_martian(world, packet.tuple.source, packet.tuple.destination) => {
                    Verdict::Drop(DropReason::Martian)
                }
                true => LOCAL,
                false => self.schedule(world, frame, packet, mark),
            };
        }
        // A router first, so a packet that is refused had its TTL lowered.
        let verdict = self.pass_through(world, frame, packet);
        match verdict.is_sent() && is_refused(world, packet) {
            true => Verdict::Punt(PuntReason::NatIcmpSend),
            false => verdict,
        }
    }

    /// The next worker to ask for the connection of a packet with `tuple`, if there is one left to ask.
    ///
    /// Where the port's device has placed the packet by ports it is here already, unless it is a NAT reply. Else the
    /// software hash gives the home, which has the last word.
    pub(super) fn elsewhere<A: Flows>(
        &self,
        world: &Snapshot,
        tuple: &Tuple<A>,
        is_ours: bool,
        is_placed_by_ports: bool,
        port: PortId,
        visit: Visit,
    ) -> Option<Verdict> {
        let me = self.worker.0;
        if self.steering.workers() == 1 || visit == Visit::Last {
            return None;
        }
        let home = match self.steering.is_placed(port) && is_placed_by_ports {
            true => None,
            false => Some(self.steering.home(port, tuple)),
        };
        let left = match visit {
            Visit::Passed(left) => left,
            _ if is_ours => Workers::default(),
            _ => self.steering.homes_of_reply(&world.replies, tuple),
        };
        let left = left.without(me);
        // The home decides, so it is asked last.
        let before = home.map_or(left, |home| left.without(home));
        if before.first().is_some() {
            return Some(Verdict::Ask(before));
        }
        match home {
            Some(home) if home != me => Some(Verdict::HandOff { to: home }),
            _ => None,
        }
    }

    /// ICMP other than errors, and protocols that are never balanced.
    pub(super) fn uncontrolled<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        port: PortId,
        visit: Visit,
    ) -> Verdict {
        if let Some(verdict) = self.carried(world, frame, packet, port, visit) {
            return verdict;
        }
        self.stray(world, frame, packet)
    }

    /// No connection's, and never to be one: the director's own, or on its way through.
    pub(super) fn stray<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
    ) -> Verdict {
        let destination = packet.tuple.destination;
        if world.local.contains(destination) || world.local.is_group(destination) {
            return Verdict::Punt(match (packet.role, A::FAMILY, packet.icmp_type) {
                (Role::Icmp, Family::Ipv4, icmp::v4::ECHO_REQUEST)
                | (Role::Icmp, Family::Ipv6, icmp::v6::ECHO_REQUEST) => PuntReason::IcmpEcho,
                (Role::Icmp, Family::Ipv6, 133..=137) => PuntReason::NeighbourDiscovery,
                (Role::Icmp, ..) => PuntReason::LocalOther,
                _ => PuntReason::UnservedPort,
            });
        }
        self.pass_on(world, frame, packet, destination)
    }
}

/// A NAT server's packet of no connection, and the server is to be told so (`nat_icmp_send`).
fn is_refused<A: Flows>(world: &Snapshot, packet: &Packet<A>) -> bool {
    let is_abort = packet.tcp_flags & tcp::RST != 0
        || packet.protocol == Protocol::Sctp.number() && packet.sctp_chunk == sctp::ABORT;
    world.settings.sysctls.nat_icmp_send != 0
        && world.services.serves(A::FAMILY)
        && !is_abort
        && world.replies.has_server(&packet.tuple)
}
