//! A client's packet of a known connection: may it still use it, then count, state, forward. What has no question to
//! ask goes the `straight` forwarding, which ends the same.

use crate::conn::{Connection, ConnectionId, Direction, Flags, NO_TEMPLATE, sctp, tcp};
use crate::io::Frame;
use crate::model::{DestinationId, Family, Protocol};
use crate::packet::Packet;
use crate::packet::ethernet::ETHERNET;
use crate::reason::{DropReason, PuntReason};
use crate::rewrite::{self, End, Outer};
use crate::snapshot::{Destination, Encapsulation, Snapshot};
use crate::worker::engine::{Engine, LOCAL, opens};
use crate::worker::full_path::mss;
use crate::worker::steering::Steering;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// How a connection's packets are forwarded. Read field by field: the entry was just written, and copying it whole
/// would wait for that.
#[derive(Clone, Copy)]
pub(in crate::worker) struct Forwarding<A> {
    pub(in crate::worker) flags: Flags,
    address: A,
    port: u16,
}

impl<A: WorkerFamily> Forwarding<A> {
    #[inline]
    pub(in crate::worker) fn of(connection: &Connection<A>) -> Self {
        Forwarding {
            flags: connection.flags,
            address: connection.destination_address,
            port: connection.destination_port,
        }
    }

    /// NAT's part: the destination's address and port become the packet's.
    #[inline(always)]
    pub(in crate::worker) fn translate_if_masq(
        self,
        frame: &mut impl Frame,
        packet: &Packet<A>,
    ) -> Result<(), DropReason> {
        match self.flags.is_masq() {
            true => rewrite::translate(frame, packet, End::Destination, self.address, self.port),
            false => Ok(()),
        }
    }
}

impl<F: Frame> Engine<F> {
    /// `over`: the connection has ended, and the packet is handled as if it had never been. Backups take part in
    /// replies only (`backup_only`).
    pub(in crate::worker) fn request<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
        over: impl FnOnce(&mut Self, &mut F) -> Verdict,
    ) -> Verdict {
        if snapshot.settings.inbound_off {
            return LOCAL;
        }
        let connection = A::table_mut(&mut self.tables).get_mut(id);
        let Some(destination) = Self::destination_of(snapshot, connection) else {
            return self.forward_bypass(snapshot, frame, packet, id);
        };
        if opens(packet) {
            if is_replaceable(snapshot, connection, destination) {
                return over(self, frame);
            }
            if snapshot.settings.mss_clamp.is_on() {
                mss::clamp_request(&self.counters, snapshot, frame, packet, connection);
            }
        }
        if !destination.available {
            return match snapshot.settings.sysctls.expire_nodest_conn {
                0 => Verdict::Drop(DropReason::DestinationUnavailable),
                _ => over(self, frame),
            };
        }
        let forwarding = Forwarding::of(connection);
        self.count_request(frame, packet, id);
        self.forward(snapshot, frame, packet, forwarding, destination)
    }

    /// Counts a client's packet and takes its connection a step on.
    pub(in crate::worker) fn count_request<A: WorkerFamily>(
        &mut self,
        frame: &F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) {
        let connection = A::table_mut(&mut self.tables).get_mut(id);
        connection.in_packets = connection.in_packets.saturating_add(1);
        if let Some(stats) = self.conn_counts.own().get(DestinationId(connection.destination)) {
            stats.count_in(packet.length);
        }
        self.advance(id, frame, packet, Direction::Original);
    }

    /// Sends a client's packet to the connection's destination by the connection's method.
    #[inline]
    pub(in crate::worker) fn forward<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        forwarding: Forwarding<A>,
        destination: &Destination,
    ) -> Verdict {
        if destination.is_local {
            return to_own_stack(forwarding.flags, destination);
        }
        if destination.mtu == 0 {
            return Verdict::Punt(PuntReason::DestinationUnreachable);
        }
        if packet.ttl <= 1 {
            return Verdict::Punt(PuntReason::TtlExpired);
        }
        if forwarding.flags.is_tunnel() {
            return self.forward_through_tunnel(snapshot, frame, packet, destination);
        }
        let (next_hop, mtu, ether_type) = (destination.next_hop, destination.mtu, A::ETHER_TYPE);
        let is_large = packet.length > mtu;
        if is_large && let Err(verdict) = fits_link(packet, mtu) {
            return verdict;
        }
        rewrite::decrement_hop_limit::<A>(frame);
        if let Err(reason) = forwarding.translate_if_masq(frame, packet) {
            return Verdict::Drop(reason);
        }
        if is_large {
            return Verdict::Fragment { next_hop, ether_type, mtu };
        }
        Verdict::Send { next_hop, ether_type }
    }

    #[inline]
    fn forward_through_tunnel<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        destination: &Destination,
    ) -> Verdict {
        if let Err(verdict) = fits_tunnel(snapshot, packet, destination) {
            return verdict;
        }
        rewrite::decrement_hop_limit::<A>(frame);
        self.tunnel(snapshot, frame, packet, destination)
    }

    /// Puts the outer headers in front and sends the packet to the destination.
    #[inline(always)]
    pub(in crate::worker) fn tunnel<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        destination: &Destination,
    ) -> Verdict {
        let Engine { identification, steering, .. } = self;
        let outer = outer(snapshot, destination, packet, identification, steering);
        match rewrite::encapsulate(frame, packet, &outer) {
            Ok(ether_type) => {
                let length = frame.bytes().len().saturating_sub(ETHERNET) as u16;
                Verdict::send(destination.next_hop, ether_type, length, destination.mtu)
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// A connection without destination: its packets go where they were addressed to.
    #[cold]
    fn forward_bypass<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Verdict {
        self.advance(id, frame, packet, Direction::Original);
        self.route_clamped(snapshot, frame, packet)
    }
}

/// What goes in front of a packet to a tunnel's end. `identification`: of the last one.
#[inline(always)]
pub(in crate::worker) fn outer<'w, A: WorkerFamily>(
    snapshot: &Snapshot,
    destination: &'w Destination,
    packet: &Packet<A>,
    identification: &mut u16,
    steering: &Steering,
) -> Outer<'w> {
    *identification = identification.wrapping_add(1);
    Outer {
        destination,
        copy_dont_fragment: A::FAMILY == Family::Ipv4 && snapshot.settings.sysctls.pmtu_disc != 0,
        identification: *identification,
        flow: match destination.encapsulation {
            Encapsulation::Gue { .. } => steering.spread(&packet.tuple),
            Encapsulation::Ipip | Encapsulation::Gre { .. } => 0,
        },
    }
}

/// A destination that is the director itself: handoff_rings to its own stack, where nobody listens. What came from outside is
/// never rewritten to a loopback address.
#[cold]
fn to_own_stack(flags: Flags, destination: &Destination) -> Verdict {
    match flags.is_masq() && destination.address.is_loopback() {
        true => Verdict::Drop(DropReason::Martian),
        false => LOCAL,
    }
}

/// Longest packet that reaches the destination whole by this method.
#[inline]
pub(in crate::worker) fn mtu_inside(flags: Flags, destination: &Destination) -> u16 {
    if flags.is_tunnel() { destination.mtu_inside_tunnel() } else { destination.mtu }
}

/// The packet, of a connection with these flags, fits on its forwarding to the destination; else what becomes of it.
pub(in crate::worker) fn fits<A: WorkerFamily>(
    snapshot: &Snapshot,
    packet: &Packet<A>,
    flags: Flags,
    destination: &Destination,
) -> Result<(), Verdict> {
    match flags.is_tunnel() {
        true => fits_tunnel(snapshot, packet, destination),
        false => fits_link(packet, destination.mtu),
    }
}

/// What is too large for the link and may not be fragmented is answered.
#[inline]
fn fits_link<A: WorkerFamily>(packet: &Packet<A>, mtu: u16) -> Result<(), Verdict> {
    match packet.length > mtu && packet.dont_fragment {
        true => Err(Verdict::TooBig(mtu)),
        false => Ok(()),
    }
}

/// The MTU rules of IPVS for tunnels: what is too large and may not be fragmented is answered, not sent.
#[inline]
fn fits_tunnel<A: WorkerFamily>(
    snapshot: &Snapshot,
    packet: &Packet<A>,
    destination: &Destination,
) -> Result<(), Verdict> {
    let mtu = destination.mtu_inside_tunnel();
    if mtu < destination.least_mtu_inside_tunnel() {
        return Err(Verdict::Drop(DropReason::TooBig));
    }
    let is_cut = A::FAMILY == Family::Ipv4
        && (snapshot.settings.sysctls.pmtu_disc == 0 || !packet.dont_fragment);
    match packet.length > mtu && !is_cut {
        true => Err(Verdict::TooBig(mtu)),
        false => Ok(()),
    }
}

/// A new SYN or INIT may take the place of the connection: `conn_reuse_mode`, and `expire_nodest_conn` for quiesced
/// destinations.
#[inline(never)]
fn is_replaceable<A: WorkerFamily>(
    snapshot: &Snapshot,
    connection: &Connection<A>,
    destination: &Destination,
) -> bool {
    let sysctls = &snapshot.settings.sysctls;
    if sysctls.expire_nodest_conn != 0 && destination.weight == 0 {
        return true;
    }
    if sysctls.conn_reuse_mode == 0 || connection.template != NO_TEMPLATE {
        return false;
    }
    match Protocol::from_number(connection.protocol) {
        Some(Protocol::Tcp) => match tcp::TcpState::from_number(connection.state) {
            tcp::TcpState::TimeWait | tcp::TcpState::Close => true,
            tcp::TcpState::FinWait => {
                sysctls.conn_reuse_mode & 2 != 0 && connection.flags.contains(Flags::NOOUTPUT)
            }
            _ => false,
        },
        Some(Protocol::Sctp) => {
            sctp::SctpState::from_number(connection.state) == sctp::SctpState::Closed
        }
        Some(Protocol::Udp) | None => false,
    }
}
