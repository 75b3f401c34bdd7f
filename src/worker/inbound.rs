//! A client's packet of a known connection: may it still use it, then count, state, forward.

use super::engine::{Engine, LOCAL, event_of, opens};
use super::tables::Flows;
use super::verdict::Verdict;
use crate::conn::{Connection, ConnectionId, Direction, Flags, Method, NO_TEMPLATE, sctp, tcp};
use crate::forward::{self, End, Outer};
use crate::model::{Family, Protocol};
use crate::packet::{Address, Packet};
use crate::port::Frame;
use crate::service::{Destination, Encapsulation, Snapshot};
use crate::stop::{DropReason, PuntReason};
use std::net::IpAddr;

/// Least MTU inside a tunnel (RFC 791, RFC 8200 section 5); below it nothing is sent.
const LEAST_MTU_IPV4: u16 = 68;
const LEAST_MTU_IPV6: u16 = 1280;

/// How a connection's packets are forwarded. Read field by field: the entry was just written, and copying it whole
/// would wait for that.
#[derive(Clone, Copy)]
pub(super) struct Way<A> {
    method: Method,
    address: A,
    port: u16,
}

impl<A: Address> Way<A> {
    #[inline]
    pub(super) fn of(connection: &Connection<A>) -> Self {
        Way {
            method: connection.flags.method(),
            address: connection.destination_address,
            port: connection.destination_port,
        }
    }
}

impl<F: Frame> Engine<F> {
    /// `None`: the connection is over, and the packet is to be handled as if it had never been.
    /// Backups take part in replies only (`backup_only`).
    #[inline(always)]
    pub(super) fn request<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Option<Verdict> {
        if world.settings.inbound_off {
            return Some(LOCAL);
        }
        let connection = A::table_mut(&mut self.tables).get_mut(id);
        let Some(destination) = Self::destination_of(world, connection) else {
            return Some(self.bypassed(world, frame, packet, id));
        };
        if opens(packet) && is_replaceable(world, connection, destination) {
            return None;
        }
        if !destination.available {
            if world.settings.sysctls.expire_nodest_conn == 0 {
                return Some(Verdict::Drop(DropReason::DestinationUnavailable));
            }
            return None;
        }
        connection.in_packets = connection.in_packets.saturating_add(1);
        let (slot, way) = (connection.destination, Way::of(connection));
        if let Some(line) = self.line(slot) {
            line.count_in(packet.length);
        }
        if let Some(event) = event_of(frame, packet) {
            self.advance::<A>(id, event, Direction::Original);
        }
        Some(self.forward(world, frame, packet, way, destination))
    }

    /// Sends a client's packet to the connection's destination by the connection's method.
    #[inline(always)]
    pub(super) fn forward<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        way: Way<A>,
        destination: &Destination,
    ) -> Verdict {
        if destination.is_local {
            return to_own_stack(way.method, destination);
        }
        if destination.mtu == 0 {
            return Verdict::Punt(PuntReason::DestinationUnreachable);
        }
        if packet.ttl <= 1 {
            return Verdict::Punt(PuntReason::TtlExpired);
        }
        let Way { method, address, port } = way;
        if (method == Method::Tunnel || packet.length > destination.mtu)
            && let Err(verdict) = fits(world, packet, method, destination)
        {
            return verdict;
        }
        forward::decrement_hop_limit::<A>(frame);
        let mut ethertype = A::ETHERTYPE;
        if method == Method::Masq {
            let rewritten = forward::translate(frame, packet, End::Destination, address, port);
            if let Err(reason) = rewritten {
                return Verdict::Drop(reason);
            }
        } else if method == Method::Tunnel {
            match self.tunnel(world, frame, packet, destination) {
                Ok(outer) => ethertype = outer,
                Err(reason) => return Verdict::Drop(reason),
            }
        }
        Verdict::Send { next_hop: destination.next_hop, ethertype, mtu: destination.mtu }
    }

    #[inline(always)]
    pub(super) fn tunnel<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        destination: &Destination,
    ) -> Result<u16, DropReason> {
        self.identification = self.identification.wrapping_add(1);
        let outer = Outer {
            source: destination.tunnel_source,
            destination: destination.address,
            encapsulation: destination.encapsulation,
            copy_dont_fragment: A::FAMILY == Family::Ipv4 && world.settings.sysctls.pmtu_disc != 0,
            identification: self.identification,
            flow: match destination.encapsulation {
                Encapsulation::Gue { .. } => self.steering.spread(&packet.tuple),
                Encapsulation::Ipip | Encapsulation::Gre { .. } => 0,
            },
        };
        forward::encapsulate(frame, packet, &outer)
    }

    /// A connection without destination: its packets go where they were addressed to.
    #[cold]
    fn bypassed<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        id: ConnectionId,
    ) -> Verdict {
        if let Some(event) = event_of(frame, packet) {
            self.advance::<A>(id, event, Direction::Original);
        }
        self.transit(world, frame, packet, packet.tuple.destination)
    }
}

/// A destination that is the director itself: handed to its own stack, where nobody listens. What came from outside is
/// never rewritten to a loopback address.
#[cold]
fn to_own_stack(method: Method, destination: &Destination) -> Verdict {
    match method == Method::Masq && destination.address.is_loopback() {
        true => Verdict::Drop(DropReason::Martian),
        false => LOCAL,
    }
}

/// The MTU rules of IPVS: what is too large and may not be fragmented is answered, not sent.
#[inline]
pub(super) fn fits<A: Flows>(
    world: &Snapshot,
    packet: &Packet<A>,
    method: Method,
    destination: &Destination,
) -> Result<(), Verdict> {
    let mut mtu = destination.mtu;
    if method == Method::Tunnel {
        let (header, least) = match destination.address {
            IpAddr::V4(_) => (20, LEAST_MTU_IPV4),
            IpAddr::V6(_) => (40, LEAST_MTU_IPV6),
        };
        mtu = mtu.saturating_sub(header + destination.encapsulation.overhead());
        if mtu < least {
            return Err(Verdict::Drop(DropReason::TooBig));
        }
    }
    if packet.length <= mtu {
        return Ok(());
    }
    match A::FAMILY {
        Family::Ipv4 if method == Method::Tunnel && world.settings.sysctls.pmtu_disc == 0 => Ok(()),
        Family::Ipv4 if !packet.dont_fragment => Ok(()),
        Family::Ipv4 | Family::Ipv6 => Err(Verdict::TooBig(mtu)),
    }
}

/// A new SYN or INIT may take the place of the connection: `conn_reuse_mode`, and `expire_nodest_conn` for quiesced
/// destinations.
#[inline(never)]
fn is_replaceable<A: Flows>(
    world: &Snapshot,
    connection: &Connection<A>,
    destination: &Destination,
) -> bool {
    let sysctls = &world.settings.sysctls;
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
