//! Packets with addresses that none on a link may have. Linux calls them martians and drops them before IPVS could see
//! them (RFC 1122 section 3.2.1.3, RFC 1812 section 5.3.7, RFC 4291 sections 2.5 and 2.7).

use crate::io::Frame;
use crate::model::Family;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, ipv6};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::Snapshot;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;
use std::net::Ipv4Addr;

impl<F: Frame> Engine<F> {
    /// Routes a packet that is nobody's here towards `to`, if its addresses are such as may be routed.
    pub(in crate::worker) fn route_checked<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        to: A,
    ) -> Verdict {
        let from = A::read(&frame.bytes()[ETHERNET + A::SOURCE..]);
        if is_martian(snapshot, from, to) {
            return Verdict::Drop(DropReason::Martian);
        }
        if snapshot.local.is_group(to) {
            return Verdict::Punt(PuntReason::LocalOther);
        }
        if is_link_scoped(from) || is_link_scoped(to) {
            return Verdict::Drop(DropReason::Martian);
        }
        self.route(snapshot, frame, packet, to)
    }
}

/// The packet comes from a group, this host itself, in IPv4 from nobody or one of the director's own addresses; or it
/// goes to nobody or to its sender itself. As Linux has it: a network's broadcast address and the rest of 0.0.0.0/8 may
/// be sources, and in IPv6 so may the director's own addresses and, on the link, the unspecified one.
pub(in crate::worker) fn is_martian<A: WorkerFamily>(snapshot: &Snapshot, from: A, to: A) -> bool {
    match A::FAMILY {
        Family::Ipv4 => {
            let is_never_sent = |address: A| {
                let address = address.bits() as u32;
                address == 0 || address >> 24 == 127
            };
            let source = Ipv4Addr::from_bits(from.bits() as u32);
            is_never_sent(from)
                || is_never_sent(to)
                || source.is_multicast()
                || source.is_broadcast()
                || snapshot.local.contains(from)
        }
        Family::Ipv6 => {
            const LOOPBACK: u128 = 1;
            from.bits() == LOOPBACK || to.bits() <= LOOPBACK || ipv6::is_multicast(from.bits())
        }
    }
}

/// Routers leave such addresses on their link (RFC 4291 sections 2.5.2 and 2.5.6). IPv4's are routed by Linux.
fn is_link_scoped<A: WorkerFamily>(address: A) -> bool {
    A::FAMILY == Family::Ipv6 && (address.bits() == 0 || ipv6::is_link_local(address.bits()))
}
