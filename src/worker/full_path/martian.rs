//! Addresses that no packet on a link may have. Linux calls such packets martians and drops them before IPVS sees them
//! (RFC 1122 section 3.2.1.3, RFC 1812 section 5.3.7, RFC 4291 sections 2.5 and 2.7).

use crate::model::Family;
use crate::packet::{Address, ipv6};
use crate::snapshot::Snapshot;
use std::net::Ipv4Addr;

/// The source is a group or this host itself, in IPv4 also unspecified or one of the director's own addresses; or the
/// destination is unspecified or the loopback address. As in Linux, a network's broadcast address and the rest of
/// 0.0.0.0/8 may be sources; in IPv6 the director's own addresses and, on the link, the unspecified address may be, too.
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
            from.bits() == LOOPBACK || to.bits() <= LOOPBACK || ipv6::is_multicast(from.bits())
        }
    }
}

/// Routers do not forward such addresses (RFC 4291 sections 2.5.2 and 2.5.6). Linux does route the link-local addresses
/// of IPv4.
pub(super) fn is_link_scoped<A: Address>(address: A) -> bool {
    A::FAMILY == Family::Ipv6 && (address.bits() == 0 || ipv6::is_link_local(address.bits()))
}
