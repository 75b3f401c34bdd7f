//! Packets of no connection: delivered to the host, or routed.

use super::{martian, mss};
use crate::io::Frame;
use crate::model::Family;
use crate::packet::{Packet, Role, icmp, membership, ndp};
use crate::reason::{DropReason, PuntReason};
use crate::rewrite;
use crate::snapshot::{ResolvedRoute, Snapshot};
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// Routes a packet to its destination: TTL, MTU, next hop. A packet for the director is delivered.
#[inline]
pub(super) fn route<A: WorkerFamily>(
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    if snapshot.local.contains(packet.destination()) {
        return Verdict::UNSERVED;
    }
    if packet.ttl <= 1 {
        return Verdict::Punt(PuntReason::TtlExpired);
    }
    match snapshot.resolve_route(packet.destination()) {
        Some(resolved) => send_routed(resolved, frame, packet),
        None => Verdict::Punt(PuntReason::NoRoute),
    }
}

/// As [`route`], after the check of martian addresses.
pub(super) fn route_checked<A: WorkerFamily>(
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    let (from, to) = (packet.source(), packet.destination());
    if martian::is_martian(snapshot, from, to) {
        return Verdict::Drop(DropReason::Martian);
    }
    if snapshot.local.is_group(to) {
        return Verdict::Punt(PuntReason::LocalOther);
    }
    if martian::is_link_scoped(from) || martian::is_link_scoped(to) {
        return Verdict::Drop(DropReason::Martian);
    }
    route(snapshot, frame, packet)
}

/// As [`route_checked`], with the MSS clamp, for whole packets with ports.
pub(super) fn route_clamped<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    let verdict = route_checked(snapshot, frame, packet);
    if packet.opens_connection() && snapshot.settings.mss_clamp.is_on() && verdict.is_sent() {
        mss::clamp_routed(counters, snapshot, frame, packet);
    }
    verdict
}

/// Handles a packet that cannot belong to a connection: delivered if it is for the director or its groups, otherwise
/// [`route_checked`].
pub(super) fn deliver_or_route<A: WorkerFamily>(
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    let to = packet.destination();
    if snapshot.local.contains(to) || snapshot.local.is_group(to) {
        return Verdict::Punt(match (packet.role, A::FAMILY, packet.icmp_type) {
            (Role::Icmp, Family::Ipv4, icmp::v4::ECHO_REQUEST)
            | (Role::Icmp, Family::Ipv6, icmp::v6::ECHO_REQUEST) => PuntReason::IcmpEcho,
            // With a lower hop limit it was forwarded by a router (RFC 4861 section 7.1), so it must not use this punt
            // class.
            (Role::Icmp, Family::Ipv6, 133..=137) if packet.ttl == ndp::HOP_LIMIT => {
                PuntReason::NeighbourDiscovery
            }
            (Role::Icmp, Family::Ipv6, membership::MLD_QUERY) => PuntReason::GroupMembership,
            (Role::Other, Family::Ipv4, _) if packet.protocol == membership::IGMP => {
                PuntReason::GroupMembership
            }
            (Role::Icmp, ..) => PuntReason::LocalOther,
            _ => PuntReason::UnservedPort,
        });
    }
    route_checked(snapshot, frame, packet)
}

/// Handles a packet that IPVS does not take: delivered if it is for the director, otherwise [`route_clamped`].
pub(super) fn deliver_or_route_clamped<A: WorkerFamily>(
    counters: &WorkerCounters,
    snapshot: &Snapshot,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    match snapshot.local.contains(packet.destination()) {
        true => Verdict::UNSERVED,
        false => route_clamped(counters, snapshot, frame, packet),
    }
}

/// Sends a packet with a TTL above 1 along its route.
#[inline]
pub(super) fn send_routed<A: WorkerFamily>(
    resolved: ResolvedRoute,
    frame: &mut impl Frame,
    packet: &Packet<A>,
) -> Verdict {
    let ResolvedRoute { next_hop, mtu } = resolved;
    if packet.length > mtu && packet.dont_fragment {
        return Verdict::TooBig(mtu);
    }
    rewrite::decrement_hop_limit::<A>(frame);
    match next_hop {
        Some(next_hop) => Verdict::send(next_hop, packet.length, mtu),
        None => Verdict::Resolve,
    }
}
