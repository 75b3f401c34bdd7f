//! What each forwarding method does to packets: one function per question, each with an exhaustive `match`, so that a
//! new method does not compile until every question has an answer.
//!
//! Questions without a packet are answered at the types: `conn::Method` (method of a new connection, source of replies)
//! and `model::ForwardMethod` (configuration of a destination).

use crate::conn::{Connection, Method};
use crate::io::Frame;
use crate::model::Family;
use crate::packet::Packet;
use crate::reason::{DropReason, PuntReason};
use crate::rewrite::{self, End, Outer};
use crate::snapshot::{Destination, Encapsulation, Snapshot};
use crate::worker::steering::Steering;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;
use std::sync::Arc;

/// What outer headers need besides packet and destination.
pub(super) struct Encapsulator {
    pub(super) steering: Arc<Steering>,
    /// Identification of the last outer IPv4 header.
    pub(super) identification: u16,
}

impl Encapsulator {
    /// Writes the outer headers of the destination's tunnel in front of the packet.
    #[inline(always)]
    fn encapsulate<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut impl Frame,
        packet: &Packet<A>,
        destination: &Destination,
    ) -> Result<(), DropReason> {
        self.identification = self.identification.wrapping_add(1);
        let outer = Outer {
            destination,
            copy_dont_fragment: A::FAMILY == Family::Ipv4
                && snapshot.settings.sysctls.pmtu_disc != 0,
            identification: self.identification,
            flow: match destination.encapsulation {
                Encapsulation::Gue { .. } => self.steering.spread(&packet.flow),
                Encapsulation::Ipip | Encapsulation::Gre { .. } => 0,
            },
        };
        rewrite::encapsulate(frame, packet, &outer)
    }
}

/// Maximum packet in bytes that the fast path may send to the destination; 0 if all packets take the full path.
#[inline(always)]
pub(super) fn fast_path_mtu(method: Method, destination: &Destination) -> u16 {
    match method {
        Method::Tunnel => destination.fast_path_mtu.tunnel,
        Method::Masq | Method::LocalNode | Method::Route | Method::Bypass => {
            destination.fast_path_mtu.link
        }
    }
}

/// Maximum packet in bytes that reaches the destination unfragmented.
#[inline]
pub(super) fn mtu_inside(method: Method, destination: &Destination) -> u16 {
    match method {
        Method::Tunnel => destination.mtu_inside_tunnel(),
        Method::Masq | Method::LocalNode | Method::Route | Method::Bypass => destination.mtu,
    }
}

/// `Ok` if the packet may be sent to the destination, as a whole or in fragments; otherwise the verdict.
#[inline]
pub(super) fn fits<A: WorkerFamily>(
    method: Method,
    snapshot: &Snapshot,
    packet: &Packet<A>,
    destination: &Destination,
) -> Result<(), Verdict> {
    match method {
        Method::Tunnel => fits_tunnel(snapshot, packet, destination),
        Method::Masq | Method::LocalNode | Method::Route | Method::Bypass => {
            match packet.length > destination.mtu && packet.dont_fragment {
                true => Err(Verdict::TooBig(destination.mtu)),
                false => Ok(()),
            }
        }
    }
}

/// The MTU rules of IPVS for tunnels.
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
    let may_be_fragmented = A::FAMILY == Family::Ipv4
        && (snapshot.settings.sysctls.pmtu_disc == 0 || !packet.dont_fragment);
    match packet.length > mtu && !may_be_fragmented {
        true => Err(Verdict::TooBig(mtu)),
        false => Ok(()),
    }
}

/// The verdict on a client's packet if the destination is the director itself. Packets are never rewritten to a
/// loopback address.
pub(super) fn deliver_locally(method: Method, destination: &Destination) -> Verdict {
    match method {
        Method::Masq if destination.address.is_loopback() => Verdict::Drop(DropReason::Martian),
        Method::Masq | Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => {
            Verdict::Punt(PuntReason::UnservedPort)
        }
    }
}

/// Rewrites a client's packet, with its TTL decremented already, for the destination of its connection. Returns the
/// EtherType of the result.
///
/// # Errors
/// Why the packet cannot be rewritten; it may be partly rewritten.
#[inline(always)]
pub(super) fn rewrite_request<A: WorkerFamily>(
    method: Method,
    encapsulator: &mut Encapsulator,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
    destination: &Destination,
) -> Result<(), DropReason> {
    match method {
        Method::Tunnel => encapsulator.encapsulate(snapshot, frame, packet, destination),
        Method::Masq => {
            let (address, port) = (connection.destination_address, connection.destination_port);
            rewrite::translate_destination(frame, packet, address, port)
        }
        Method::LocalNode | Method::Route | Method::Bypass => Ok(()),
    }
}

/// Rewrites a packet back to the client.
///
/// # Errors
/// Why the packet cannot be rewritten; it may be partly rewritten.
#[inline(always)]
pub(super) fn rewrite_reply<A: WorkerFamily>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) -> Result<(), DropReason> {
    match connection.flags.method() {
        Method::Masq => {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            rewrite::translate_source(frame, packet, address, port)
        }
        Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => Ok(()),
    }
}

/// True if ICMP errors about the connection's packets are rewritten, so that their checksum must be verified first.
pub(super) fn rewrites_errors(method: Method) -> bool {
    match method {
        Method::Masq => true,
        Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => false,
    }
}

/// Rewrites an ICMP error about a reply, with its TTL decremented already, for the destination of the connection.
///
/// # Errors
/// As [`rewrite_request`].
pub(super) fn rewrite_error_to_server<A: WorkerFamily>(
    encapsulator: &mut Encapsulator,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
    destination: &Destination,
) -> Result<(), DropReason> {
    match connection.flags.method() {
        Method::Masq => {
            let (address, port) = (connection.destination_address, connection.destination_port);
            rewrite::translate_error(frame, packet, End::Destination, address, port);
            Ok(())
        }
        Method::Tunnel => encapsulator.encapsulate(snapshot, frame, packet, destination),
        Method::LocalNode | Method::Route | Method::Bypass => Ok(()),
    }
}

/// Rewrites an ICMP error about a request for the client, with the VIP as its source.
pub(super) fn rewrite_error_to_client<A: WorkerFamily>(
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
) {
    match connection.flags.method() {
        Method::Masq => {
            let (address, port) = (connection.virtual_address, connection.virtual_port);
            rewrite::translate_error(frame, packet, End::Source, address, port);
        }
        Method::LocalNode | Method::Tunnel | Method::Route | Method::Bypass => {}
    }
}
