//! Martians: packets with invalid addresses, which Linux drops before IPVS sees them (RFC 1122 section 3.2.1.3, RFC
//! 1812 section 5.3.7, RFC 4291 sections 2.5 and 2.7).

use crate::model::Family;
use crate::packet::{Address, ipv6};
use crate::snapshot::Snapshot;
use std::net::Ipv4Addr;

/// True if the source is multicast, loopback, unspecified or, in IPv4, one of the director's own addresses, or if the
/// destination is loopback or unspecified. As in Linux, a network's broadcast address and the rest of 0.0.0.0/8 are
/// valid sources, and in IPv6 the director's own addresses too. Linux accepts packets from `::` to a service; RFC 4291
/// section 2.5.2 forbids forwarding them, and no reply could reach the sender.
pub(super) fn is_martian<A: Address>(snapshot: &Snapshot, from: A, to: A) -> bool {
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
            from.bits() <= LOOPBACK || to.bits() <= LOOPBACK || ipv6::is_multicast(from.bits())
        }
    }
}

/// True if a packet of a known connection to its client is dropped as a martian: its source is a VIP, as in direct routing
/// and tunnels, and the director is set to drop those, as a Linux director does in IPv4.
#[inline]
pub(super) fn is_dropped_answer<A: Address>(snapshot: &Snapshot, from: A) -> bool {
    A::FAMILY == Family::Ipv4 && snapshot.settings.drop_vip_answers && snapshot.local.contains(from)
}

/// True for addresses that routers do not forward (RFC 4291 section 2.5.6). Linux routes the link-local addresses of
/// IPv4.
pub(super) fn is_link_scoped<A: Address>(address: A) -> bool {
    A::FAMILY == Family::Ipv6 && ipv6::is_link_local(address.bits())
}
