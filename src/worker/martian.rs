//! Packets with addresses that none on a link may have. Linux calls them martians and drops them before IPVS could see
//! them (RFC 1122 section 3.2.1.3, RFC 1812 section 5.3.7, RFC 4291 sections 2.5 and 2.7).

use super::engine::Engine;
use super::tables::Flows;
use super::verdict::Verdict;
use crate::model::Family;
use crate::packet::ethernet::ETHERNET;
use crate::packet::{Packet, ipv6};
use crate::port::Frame;
use crate::service::Snapshot;
use crate::stop::{DropReason, PuntReason};

impl<F: Frame> Engine<F> {
    /// Routes a packet that is nobody's here towards `to`, if its addresses are such as may be routed.
    pub(super) fn pass_on<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &mut F,
        packet: &Packet<A>,
        to: A,
    ) -> Verdict {
        let from = A::read(&frame.bytes()[ETHERNET + A::SOURCE..]);
        if is_martian(world, from, to) {
            return Verdict::Drop(DropReason::Martian);
        }
        if world.local.is_group(to) {
            return Verdict::Punt(PuntReason::LocalOther);
        }
        if is_of_one_link(from) || is_of_one_link(to) {
            return Verdict::Drop(DropReason::Martian);
        }
        self.transit(world, frame, packet, to)
    }
}

/// The packet comes from nobody, a group, this host itself, or in IPv4 from one of the director's own addresses; or it
/// goes to nobody or to its sender itself. (Linux looks for its own addresses in IPv4 alone.)
pub(super) fn is_martian<A: Flows>(world: &Snapshot, from: A, to: A) -> bool {
    match A::FAMILY {
        Family::Ipv4 => {
            let is_never_sent = |address: A| matches!(address.bits() as u32 >> 24, 0 | 127);
            is_never_sent(from)
                || is_never_sent(to)
                || world.local.is_group(from)
                || world.local.contains(from)
        }
        Family::Ipv6 => {
            // The unspecified address and the loopback address.
            let is_never_sent = |address: A| address.bits() <= 1;
            is_never_sent(from) || is_never_sent(to) || world.local.is_group(from)
        }
    }
}

/// Routers leave such addresses on their link (RFC 4291 section 2.5.6). IPv4's are routed by Linux.
fn is_of_one_link<A: Flows>(address: A) -> bool {
    A::FAMILY == Family::Ipv6 && ipv6::is_link_local(address.bits())
}
