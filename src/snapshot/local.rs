//! The director's own addresses.

use crate::model::{Family, Prefix};
use crate::packet::Address;
use hashbrown::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses of interfaces, configured VIPs, and VIPs of services.
#[derive(Clone, Debug, Default)]
pub struct LocalAddresses {
    ipv4: HashSet<u32>,
    ipv6: HashSet<u128>,
    /// Configured networks of VIPs, looked up only for addresses that are in none of the sets above.
    networks_ipv4: Ranges<u32>,
    networks_ipv6: Ranges<u128>,
    /// Directed broadcast addresses of the interfaces' networks.
    broadcast: HashSet<u32>,
}

/// Disjoint ranges of addresses with both ends, sorted for binary search.
#[derive(Clone, Debug)]
struct Ranges<A>(Arc<[(A, A)]>);

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Ranges(Arc::new([]))
    }
}

impl<A: Copy + Ord> Ranges<A> {
    fn build(mut ranges: Vec<(A, A)>) -> Self {
        ranges.sort_unstable();
        // If two prefixes overlap, one contains the other, and the larger one comes first or begins at the same
        // address.
        let mut apart: Vec<(A, A)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match apart.last_mut() {
                Some((_, end)) if first <= *end => *end = (*end).max(last),
                _ => apart.push((first, last)),
            }
        }
        Ranges(apart.into())
    }

    #[inline]
    fn contains(&self, address: A) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after > 0 && self.0[after - 1].1 >= address
    }
}

impl LocalAddresses {
    /// `networks`: the interfaces' addresses with prefix lengths, whose broadcast addresses are local too.
    pub fn build(
        addresses: impl IntoIterator<Item = IpAddr>,
        networks: impl IntoIterator<Item = (IpAddr, u8)>,
    ) -> Self {
        let mut local = LocalAddresses::default();
        addresses.into_iter().for_each(|address| local.insert(address));
        for (address, length) in networks {
            // RFC 3021: networks of 31 and 32 bits have no broadcast address.
            if let (IpAddr::V4(address), 1..=30) = (address, length) {
                local.broadcast.insert(address.to_bits() | u32::MAX >> length);
            }
        }
        local
    }

    /// Adds an address of the director.
    pub fn insert(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4.insert(address.to_bits()),
            IpAddr::V6(address) => self.ipv6.insert(address.to_bits()),
        };
    }

    /// Removes an address of the director.
    pub fn remove(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4.remove(&address.to_bits()),
            IpAddr::V6(address) => self.ipv6.remove(&address.to_bits()),
        };
    }

    /// Replaces the networks whose addresses are all the director's.
    pub fn set_networks<'a>(&mut self, networks: impl IntoIterator<Item = &'a Prefix>) {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for network in networks {
            match (network.address(), network.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    ipv4.push((first.to_bits(), last.to_bits()));
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    ipv6.push((first.to_bits(), last.to_bits()));
                }
                _ => {}
            }
        }
        self.networks_ipv4 = Ranges::build(ipv4);
        self.networks_ipv6 = Ranges::build(ipv6);
    }

    /// True if the address is the director's own.
    #[inline]
    pub fn contains<A: Address>(&self, address: A) -> bool {
        match A::FAMILY {
            Family::Ipv4 => {
                let address = address.bits() as u32;
                self.ipv4.contains(&address) || self.networks_ipv4.contains(address)
            }
            Family::Ipv6 => {
                let address = address.bits();
                self.ipv6.contains(&address) || self.networks_ipv6.contains(address)
            }
        }
    }

    /// True for addresses that reach this host among others: multicast or broadcast.
    #[inline]
    pub fn is_group<A: Address>(&self, address: A) -> bool {
        self.is_broadcast(address) || address.to_ip().is_multicast()
    }

    /// True for broadcast addresses, which IPv6 does not have.
    #[inline]
    pub fn is_broadcast<A: Address>(&self, address: A) -> bool {
        match address.to_ip() {
            IpAddr::V4(address) => {
                address.is_broadcast() || self.broadcast.contains(&address.to_bits())
            }
            IpAddr::V6(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    proptest! {
        #[test]
        fn networks_hold_all_their_addresses(
            networks in prop::collection::vec((any::<[u8; 2]>(), 12u8..=32), 0..12),
            addresses in prop::collection::vec(any::<[u8; 2]>(), 20),
        ) {
            // All in a small part of both address spaces, so that they overlap.
            let ipv4 = |[a, b]: [u8; 2]| IpAddr::from([10, a & 3, b, 0x81]);
            let ipv6 = |[a, b]: [u8; 2]| IpAddr::from([0xfd, a & 3, b, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            let prefixes: Vec<_> = networks
                .iter()
                .flat_map(|(at, length)| {
                    [Prefix::new(ipv4(*at), *length), Prefix::new(ipv6(*at), *length)]
                })
                .map(Option::unwrap)
                .collect();
            let mut local = LocalAddresses::default();
            local.set_networks(&prefixes);
            let edges = prefixes.iter().flat_map(|prefix| [prefix.address(), prefix.last()]);
            let random = addresses.iter().flat_map(|at| [ipv4(*at), ipv6(*at)]);
            for address in random.chain(edges) {
                let found = match address {
                    IpAddr::V4(address) => local.contains(address.to_bits()),
                    IpAddr::V6(address) => local.contains(address.to_bits()),
                };
                let expected = prefixes.iter().any(|prefix| prefix.contains(address));
                prop_assert_eq!(found, expected, "{}", address);
            }
            local.set_networks([]);
            let is_empty = prefixes.iter().all(|prefix| match prefix.address() {
                IpAddr::V4(address) => !local.contains(address.to_bits()),
                IpAddr::V6(address) => !local.contains(address.to_bits()),
            });
            prop_assert!(is_empty);
        }
    }

    #[test]
    fn own_and_group_addresses() {
        let own: IpAddr = "10.0.0.1".parse().unwrap();
        let six: IpAddr = "fd00::1".parse().unwrap();
        let local = LocalAddresses::build([own, six], [(own, 24)]);
        let bits = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_bits();
        assert!(local.contains(bits("10.0.0.1")) && !local.contains(bits("10.0.0.2")));
        assert!(local.contains(u128::from_ip(six).unwrap()));
        for group in ["10.0.0.255", "255.255.255.255", "224.0.0.5"] {
            assert!(local.is_group(bits(group)), "{group}");
        }
        assert!(!local.is_group(bits("10.0.1.255")));
    }
}
