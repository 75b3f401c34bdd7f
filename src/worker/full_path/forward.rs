//! Sends a client's packet to the destination of its connection.

use crate::conn::Connection;
use crate::io::Frame;
use crate::packet::Packet;
use crate::packet::ethernet::ETHERNET;
use crate::reason::PuntReason;
use crate::rewrite;
use crate::snapshot::{Destination, Snapshot};
use crate::worker::method::{self, Encapsulator};
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// Rewrites a client's packet by the connection's method. The caller has counted it.
#[inline]
pub(super) fn forward<A: WorkerFamily>(
    encapsulator: &mut Encapsulator,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
    connection: &Connection<A>,
    destination: &Destination,
) -> Verdict {
    let method = connection.flags.method();
    if destination.is_local {
        return method::deliver_locally(method, destination);
    }
    if destination.mtu == 0 {
        return Verdict::Punt(PuntReason::DestinationUnreachable);
    }
    if packet.ttl <= 1 {
        return Verdict::Punt(PuntReason::TtlExpired);
    }
    if let Err(verdict) = method::fits(method, snapshot, packet, destination) {
        return verdict;
    }
    rewrite::decrement_hop_limit::<A>(frame);
    let rewritten = method::rewrite_request(
        method,
        encapsulator,
        snapshot,
        frame,
        packet,
        connection,
        destination,
    );
    match rewritten {
        Ok(()) => {
            let length = frame.bytes().len().saturating_sub(ETHERNET) as u16;
            Verdict::send(destination.next_hop, length, destination.mtu)
        }
        Err(reason) => Verdict::Drop(reason),
    }
}
