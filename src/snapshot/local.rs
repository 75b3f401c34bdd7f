//! The addresses the director itself has.

use crate::model::Family;
use crate::packet::Address;
use hashbrown::HashSet;
use std::net::IpAddr;

/// Addresses of ports, configured VIPs, and VIPs of services.
#[derive(Clone, Debug, Default)]
pub struct LocalAddresses {
    ipv4: HashSet<u32>,
    ipv6: HashSet<u128>,
    /// Directed broadcast addresses of the ports' networks.
    broadcast: HashSet<u32>,
}

impl LocalAddresses {
    /// `networks`: the ports' addresses with their prefix length, whose broadcast addresses are local too.
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

    /// The director has this address from now on.
    pub fn insert(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4.insert(address.to_bits()),
            IpAddr::V6(address) => self.ipv6.insert(address.to_bits()),
        };
    }

    /// It is no longer the director's.
    pub fn remove(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4.remove(&address.to_bits()),
            IpAddr::V6(address) => self.ipv6.remove(&address.to_bits()),
        };
    }

    /// The address is the director's own.
    #[inline]
    pub fn contains<A: Address>(&self, address: A) -> bool {
        match A::FAMILY {
            Family::Ipv4 => self.ipv4.contains(&(address.bits() as u32)),
            Family::Ipv6 => self.ipv6.contains(&address.bits()),
        }
    }

    /// Delivered to this host among others: multicast or broadcast.
    #[inline]
    pub fn is_group<A: Address>(&self, address: A) -> bool {
        self.is_broadcast(address) || address.to_ip().is_multicast()
    }

    /// Delivered to every host of a network; IPv6 has no such addresses.
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
    use std::net::Ipv4Addr;

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
