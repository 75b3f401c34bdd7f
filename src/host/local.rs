//! The director's own addresses: addresses of interfaces, and virtual ones.

use crate::model::{Interface, InterfaceId, Prefix};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// True if the address is in one of the interface's networks.
pub(super) fn is_on_link(interface: &Interface, address: IpAddr) -> bool {
    interface.addresses.iter().any(|(own, length)| is_network_of(*own, *length, address))
}

/// The set of the director's addresses.
#[derive(Debug)]
pub(super) struct Local {
    interfaces: Vec<Interface>,
    virtual_addresses: BTreeSet<IpAddr>,
    /// Networks whose addresses are all virtual.
    virtual_networks: Vec<Prefix>,
    /// All single addresses, for one lookup.
    all: BTreeSet<IpAddr>,
}

impl Local {
    pub(super) fn new(mut interfaces: Vec<Interface>) -> Self {
        for interface in &mut interfaces {
            interface.addresses.push((link_local(interface.mac).into(), 64));
        }
        let own = interfaces.iter().flat_map(|interface| &interface.addresses);
        let all = own.map(|(address, _)| *address).collect();
        Local { interfaces, virtual_addresses: BTreeSet::new(), virtual_networks: Vec::new(), all }
    }

    /// Replaces the interfaces and their addresses.
    pub(super) fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        let addresses = std::mem::take(&mut self.virtual_addresses);
        let networks = std::mem::take(&mut self.virtual_networks);
        *self = Local::new(interfaces);
        self.all.extend(&addresses);
        self.virtual_addresses = addresses;
        self.virtual_networks = networks;
    }

    /// Replaces the networks of virtual addresses.
    pub(super) fn set_virtual_networks(&mut self, networks: Vec<Prefix>) {
        self.virtual_networks = networks;
    }

    /// True if the address is virtual, or in a network of virtual addresses.
    fn is_virtual_or_in_network(&self, address: IpAddr) -> bool {
        self.virtual_addresses.contains(&address)
            || self.virtual_networks.iter().any(|network| network.contains(address))
    }

    /// Makes an address virtual, or no longer so. True if it is new.
    pub(super) fn set_virtual(&mut self, address: IpAddr, is_virtual: bool) -> bool {
        if is_virtual {
            self.all.insert(address);
            return self.virtual_addresses.insert(address);
        }
        let mut own = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        if self.virtual_addresses.remove(&address) && !own.any(|(own, _)| *own == address) {
            self.all.remove(&address);
        }
        false
    }

    pub(super) fn is_virtual(&self, address: IpAddr) -> bool {
        self.virtual_addresses.contains(&address)
    }

    pub(super) fn virtual_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.virtual_addresses.iter().copied()
    }

    pub(super) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    pub(super) fn interface(&self, interface: InterfaceId) -> Option<&Interface> {
        self.interfaces.iter().find(|own| own.id == interface)
    }

    /// True for the MAC address of one of the director's interfaces.
    pub(super) fn is_own_mac(&self, mac: [u8; 6]) -> bool {
        self.interfaces.iter().any(|interface| interface.mac == mac)
    }

    /// True if the address is the director's, on any interface.
    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        self.all.contains(&address) || self.is_virtual_or_in_network(address)
    }

    /// True if the interface answers neighbour requests for the address. IPv4: for every local address, as Linux does
    /// (arp_ignore 0). IPv6: for the interface's own and virtual addresses.
    pub(super) fn answers(&self, interface: InterfaceId, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.is_local(address),
            IpAddr::V6(_) => {
                self.is_virtual_or_in_network(address)
                    || self.interface(interface).is_some_and(|interface| {
                        interface.addresses.iter().any(|(own, _)| *own == address)
                    })
            }
        }
    }

    /// Source address of the interface towards `peer`: the one in the peer's network, else the interface's first of the
    /// family, else another interface's.
    pub(super) fn source(&self, interface: InterfaceId, peer: IpAddr) -> Option<IpAddr> {
        let own = |interface: &Interface| {
            let family =
                interface.addresses.iter().filter(|(own, _)| own.is_ipv4() == peer.is_ipv4());
            family
                .clone()
                .find(|(own, length)| is_network_of(*own, *length, peer))
                .or_else(|| family.clone().next())
                .map(|(own, _)| *own)
        };
        let others = || self.interfaces.iter().find_map(own);
        self.interface(interface).and_then(own).or_else(others)
    }

    /// True for addresses of several hosts in one of our networks, and for addresses that no host can have.
    pub(super) fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        address.is_broadcast()
            || self.interfaces.iter().flat_map(|interface| &interface.addresses).any(
                |(own, length)| match own {
                    // Networks of 31 and 32 bits have no broadcast address (RFC 3021).
                    IpAddr::V4(own) if *length < 31 => {
                        let host = u32::MAX >> length;
                        (own.to_bits() ^ address.to_bits()) & !host == 0
                            && matches!(address.to_bits() & host, bits if bits == host || bits == 0)
                    }
                    _ => false,
                },
            )
    }
}

/// True if `peer` is in the network of `length` bits around `own`.
fn is_network_of(own: IpAddr, length: u8, peer: IpAddr) -> bool {
    Prefix::new(own, length).is_some_and(|network| network.contains(peer))
}

/// The link-local address derived from the MAC address (RFC 4291 appendix A).
fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// True if no single host can have this address, so nothing is sent there (RFC 1122 section 3.2.2).
pub(super) fn is_no_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            matches!(v4.octets()[0], 0 | 127 | 224..)
        }
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback() || v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PortId;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn local() -> Local {
        let interface = |id, addresses: &[(&str, u8)]| Interface {
            id: InterfaceId(id),
            name: format!("if{id}"),
            port: PortId(id),
            mac: [2, 0, 0, 0, 0, id as u8 + 1],
            virtual_macs: Vec::new(),
            has_kernel: false,
            mtu: 1500,
            addresses: addresses.iter().map(|(address, length)| (ip(address), *length)).collect(),
        };
        let mut local = Local::new(vec![
            interface(0, &[("10.0.0.1", 24), ("10.1.0.1", 16), ("fd00:a::1", 64)]),
            interface(1, &[("fd00:b::1", 64)]),
        ]);
        for vip in ["10.0.0.100", "fd00:a::100"] {
            assert!(local.set_virtual(ip(vip), true));
        }
        local
    }

    #[test]
    fn sources() {
        for (interface, peer, expected) in [
            (0, "10.0.0.9", "10.0.0.1"),
            (0, "10.1.9.9", "10.1.0.1"),
            (0, "8.8.8.8", "10.0.0.1"),
            (1, "8.8.8.8", "10.0.0.1"),
            (1, "2001:db8::1", "fd00:b::1"),
            (1, "fe80::9", "fe80::ff:fe00:2"),
        ] {
            assert_eq!(
                local().source(InterfaceId(interface), ip(peer)),
                Some(ip(expected)),
                "{peer}"
            );
        }
    }

    #[test]
    fn interfaces_answer_for_local_addresses() {
        for (interface, address, expected) in [
            (0, "10.0.0.1", true),
            (1, "10.0.0.1", true),
            (1, "10.0.0.100", true),
            (1, "10.0.0.2", false),
            (0, "fd00:a::1", true),
            (1, "fd00:a::1", false),
            (1, "fd00:a::100", true),
            (0, "fe80::ff:fe00:1", true),
            (0, "fe80::ff:fe00:2", false),
        ] {
            assert_eq!(
                local().answers(InterfaceId(interface), ip(address)),
                expected,
                "{interface} {address}"
            );
        }
    }

    #[test]
    fn addresses_that_no_host_can_have() {
        for (address, expected) in [
            ("0.1.2.3", true),
            ("127.0.0.1", true),
            ("224.0.0.18", true),
            ("255.255.255.255", true),
            ("10.0.0.255", false),
            ("::", true),
            ("ff02::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(is_no_host(ip(address)), expected, "{address}");
        }
        for (address, expected) in [
            ("10.0.0.255", true),
            ("10.0.0.0", true),
            ("10.1.255.255", true),
            ("10.2.255.255", false),
            ("255.255.255.255", true),
            ("10.0.0.1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(local().is_broadcast(ip(address)), expected, "{address}");
        }
    }

    #[test]
    fn interfaces_answer_for_all_addresses_of_virtual_networks() {
        let mut local = local();
        let networks = ["10.0.0.64/26", "fd00:c::/64"].map(|text| text.parse().unwrap());
        local.set_virtual_networks(networks.to_vec());
        // The interfaces' addresses change, the networks stay.
        local.set_interfaces(vec![]);
        for (address, expected) in [
            ("10.0.0.63", false),
            ("10.0.0.64", true),
            ("10.0.0.100", true),
            ("10.0.0.127", true),
            ("10.0.0.128", false),
            ("fd00:c::", true),
            ("fd00:c::1:2:3:4", true),
            ("fd00:d::", false),
        ] {
            let answered = local.answers(InterfaceId(1), ip(address));
            assert_eq!((local.is_local(ip(address)), answered), (expected, expected), "{address}");
        }
    }

    #[test]
    fn new_virtual_addresses_are_returned() {
        let mut local = local();
        // (address, becomes virtual, is new)
        for (address, is_virtual, is_new) in [
            ("10.0.0.100", true, false),
            ("10.0.0.101", true, true),
            ("fd00:a::100", false, false),
            ("10.0.0.1", true, true),
            ("10.0.0.1", false, false),
            ("10.9.9.9", false, false),
        ] {
            assert_eq!(local.set_virtual(ip(address), is_virtual), is_new, "{address}");
        }
        for (address, expected) in [
            ("10.0.0.100", true),
            ("10.0.0.101", true),
            ("fd00:a::100", false),
            ("10.0.0.1", true),
            ("10.9.9.9", false),
        ] {
            assert_eq!(local.is_local(ip(address)), expected, "{address}");
        }
    }
}
