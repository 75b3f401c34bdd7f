//! ICMP errors: they belong to the connection whose packet they quote (RFC 792, RFC 4443; RFC 5508 for NAT).

use crate::conn::{ConnectionId, Direction, Hash, Method};
use crate::io::Frame;
use crate::model::{Family, PortId};
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Fragment, Packet, icmp};
use crate::reason::{DropReason, PuntReason};
use crate::rewrite::{self, End};
use crate::snapshot::Snapshot;
use crate::worker::engine::Engine;
use crate::worker::full_path::ipsec::key_exchange;
use crate::worker::full_path::martian::is_martian;
use crate::worker::full_path::request::fits;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::{Handoff, Verdict};

impl<F: Frame> Engine<F> {
    /// The quoted packet went the other way, so the error belongs to the flow of its reversed tuple.
    pub(in crate::worker) fn icmp_error<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        hash: Hash,
        port: PortId,
        handoff: Handoff,
    ) -> Verdict {
        let to = outer_destination::<A>(frame);
        if is_martian(snapshot, A::read(&frame.bytes()[ETHERNET + A::SOURCE..]), to) {
            return Verdict::Drop(DropReason::Martian);
        }
        let is_ours = snapshot.local.contains(to);
        if !is_translated::<A>(packet.icmp_type) || !snapshot.services.serves(A::FAMILY) {
            return self.unrelated_error(snapshot, frame, packet, to, port, handoff);
        }
        if has_fragment_header(packet) {
            return Verdict::Drop(DropReason::BadTransport);
        }
        let table = A::table(&self.tables);
        let quoted = packet.tuple.reversed();
        let (flow, hash) = match key_exchange(&quoted) {
            Some(exchange) => (exchange, table.hash(&exchange)),
            None => (quoted, hash),
        };
        match table.find(hash, &flow) {
            Some((_, Direction::Original)) if snapshot.settings.inbound_off => {
                return self.unrelated_error(snapshot, frame, packet, to, port, handoff);
            }
            // Its checksum covers what is not here; Linux drops such of IPv6, and senders of IPv4's keep them short.
            Some(_) if packet.fragment != Fragment::Whole => {
                return Verdict::Drop(DropReason::BadTransport);
            }
            Some((id, Direction::Original)) => {
                return self.error_to_server(snapshot, frame, packet, id);
            }
            Some((id, Direction::Reply)) => {
                return self.error_to_client(snapshot, frame, packet, id, to);
            }
            None => {}
        }
        let is_request = snapshot.local.contains(flow.destination);
        if let Some(owner) = self.next_owner(snapshot, &flow, is_request, false, port, handoff) {
            return owner;
        }
        let is_whole = packet.fragment == Fragment::Whole;
        // AH and ESP follow a connection but never make one.
        let is_schedulable = flow.protocol == quoted.protocol;
        let may_schedule = is_ours && is_whole && is_schedulable && !snapshot.settings.inbound_off;
        if may_schedule && snapshot.settings.sysctls.schedule_icmp != 0 {
            let mark = snapshot.marks.find(port, &flow);
            if let Some(verdict) = self.schedule_error(snapshot, frame, packet, &flow, mark) {
                return verdict;
            }
        }
        self.unrelated_error(snapshot, frame, packet, to, port, handoff)
    }

    /// From a client's side, about a reply: the server is to learn of it.
    pub(in crate::worker) fn error_to_server<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Verdict {
        let connection = A::table_mut(&mut self.tables).get_mut(id);
        let method = connection.flags.method();
        // In IPv6 only what is to be translated is looked at.
        let is_checked = A::FAMILY == Family::Ipv4 || method == Method::Masq;
        if is_checked && !is_sound(frame, packet) {
            return Verdict::Drop(DropReason::BadIcmpChecksum);
        }
        if method != Method::Masq {
            connection.in_packets = connection.in_packets.saturating_add(1);
        }
        let connection = *connection;
        let Some(destination) = Self::destination_of(snapshot, &connection) else {
            let to = outer_destination::<A>(frame);
            return self.route(snapshot, frame, packet, to);
        };
        // A removed destination's connections still learn of errors; they are not counted any more.
        if destination.available
            && let Some(stats) = self.stats_of(connection.destination)
        {
            stats.count_in(packet.length);
        }
        if packet.ttl <= 1 {
            return Verdict::Punt(PuntReason::TtlExpired);
        }
        if destination.mtu == 0 {
            return Verdict::Drop(DropReason::NoRoute);
        }
        match fits(snapshot, packet, connection.flags, destination) {
            // An error about an error is never due; IPv4's is fragmented whatever its DF says.
            Err(Verdict::TooBig(_)) if A::FAMILY == Family::Ipv4 => {}
            Err(_) => return Verdict::Drop(DropReason::TooBig),
            Ok(()) => {}
        }
        rewrite::decrement_hop_limit::<A>(frame);
        let (next_hop, mtu) = (destination.next_hop, destination.mtu);
        let ether_type = match method {
            Method::Masq => {
                let (address, port) = (connection.destination_address, connection.destination_port);
                rewrite::translate_error(frame, packet, End::Destination, address, port);
                A::ETHER_TYPE
            }
            Method::Tunnel => return self.tunnel(snapshot, frame, packet, destination),
            Method::Route | Method::Bypass | Method::LocalNode => A::ETHER_TYPE,
        };
        Verdict::send(next_hop, ether_type, packet.length, mtu)
    }

    /// From a server's side, about a request: the client is to learn of it, from the VIP.
    fn error_to_client<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
        to: A,
    ) -> Verdict {
        let connection = *A::table(&self.tables).get(id);
        let is_masq = connection.flags.is_masq();
        if is_masq && !is_sound(frame, packet) {
            return Verdict::Drop(DropReason::BadIcmpChecksum);
        }
        let verdict = self.route(snapshot, frame, packet, to);
        if !verdict.is_sent() {
            return verdict;
        }
        let slot = connection.destination;
        if is_masq {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            rewrite::translate_error(frame, packet, End::Source, address, port);
        }
        let available = snapshot.destinations.get(slot as usize).is_some_and(|to| to.available);
        if available && let Some(stats) = self.stats_of(slot) {
            stats.count_out(packet.length);
        }
        verdict
    }

    /// No connection's: the director's own, or on its way through.
    fn unrelated_error<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        to: A,
        port: PortId,
        handoff: Handoff,
    ) -> Verdict {
        if !snapshot.local.contains(to) {
            return self.route_checked(snapshot, frame, packet, to);
        }
        self.tunnel_error(snapshot, frame, packet, port, handoff)
            .unwrap_or(Verdict::Punt(PuntReason::LocalOther))
    }
}

/// The error's own destination; the packet's tuple is the quoted one's.
fn outer_destination<A: WorkerFamily>(frame: &impl Frame) -> A {
    A::read(&frame.bytes()[ETHERNET + A::DESTINATION..])
}

/// The checksum of an ICMP error holds. IPVS looks at it for connections' errors only: what is on its way through is
/// judged where it arrives.
pub(in crate::worker) fn is_sound<A: WorkerFamily>(frame: &impl Frame, packet: &Packet<A>) -> bool {
    if packet.fragment != Fragment::Whole {
        return true;
    }
    let ip = &frame.bytes()[ETHERNET..ETHERNET + usize::from(packet.length)];
    let message = &ip[usize::from(packet.header)..];
    icmp::verify(A::read(&ip[A::SOURCE..]), A::read(&ip[A::DESTINATION..]), message) == 0
}

/// An ICMPv6 error in fragments: none is ever that long (RFC 4443 section 2.4 c).
fn has_fragment_header<A: WorkerFamily>(packet: &Packet<A>) -> bool {
    A::FAMILY == Family::Ipv6 && (packet.fragment != Fragment::Whole || packet.identification != 0)
}

/// The errors that IPVS takes for a connection's: not redirects nor, in IPv4, parameter problems.
fn is_translated<A: WorkerFamily>(icmp_type: u8) -> bool {
    match A::FAMILY {
        Family::Ipv4 => matches!(
            icmp_type,
            icmp::v4::DESTINATION_UNREACHABLE | icmp::v4::SOURCE_QUENCH | icmp::v4::TIME_EXCEEDED
        ),
        Family::Ipv6 => icmp_type < 128,
    }
}
