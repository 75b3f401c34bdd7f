//! Routes: the interface and gateway for an address. Immutable once built, so that workers and the control thread read
//! the same table. The longest prefix wins (RFC 1812 section 5.2.4.3).

use crate::model::{Family, InterfaceId};
use crate::packet::Address;
use hashbrown::HashMap;
use std::any::Any;
use std::net::IpAddr;

/// A network: its address and prefix length; later address bits are ignored.
pub type Network = (IpAddr, u8);

/// The route to one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<A> {
    pub interface: InterfaceId,
    /// The gateway. `None`: the network is on the link, so the packet's destination is the next hop.
    pub next_hop: Option<A>,
    /// MTU in bytes; 0: the interface's MTU.
    pub mtu: u16,
}

/// The networks with one prefix length.
#[derive(Clone, Debug)]
struct Level<A> {
    length: u8,
    routes: HashMap<A, Route<A>>,
}

/// The routes of one address family, longest prefix first. A lookup probes each prefix length in use once.
#[derive(Clone, Debug)]
struct Table<A> {
    levels: Vec<Level<A>>,
}

/// The routes of both families.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    v4: Table<u32>,
    v6: Table<u128>,
}

impl<A> Default for Table<A> {
    fn default() -> Self {
        Table { levels: Vec::new() }
    }
}

impl<A: Address> Table<A> {
    fn insert(&mut self, network: A, length: u8, route: Route<A>) {
        let place = self.levels.partition_point(|level| level.length > length);
        if self.levels.get(place).is_none_or(|level| level.length != length) {
            self.levels.insert(place, Level { length, routes: HashMap::new() });
        }
        self.levels[place].routes.insert(network.masked(length), route);
    }

    fn gateways(&self) -> impl Iterator<Item = (InterfaceId, IpAddr)> {
        let routes = self.levels.iter().flat_map(|level| level.routes.values());
        routes.filter_map(|route| Some((route.interface, route.next_hop?.to_ip())))
    }

    #[inline]
    fn find(&self, address: A) -> Option<&Route<A>> {
        self.levels.iter().find_map(|level| level.routes.get(&address.masked(level.length)))
    }
}

impl Routes {
    /// Builds the table from (network, interface, gateway or `None` on the link, MTU or 0). Of two routes to one
    /// network the later one counts. Bits after the prefix length are ignored. Routes with a prefix length above the
    /// address width or a gateway of the other family are left out; the configuration refuses them.
    pub fn build(
        list: impl IntoIterator<Item = (Network, InterfaceId, Option<IpAddr>, u16)>,
    ) -> Routes {
        let mut routes = Routes::default();
        for ((network, length), interface, via, mtu) in list {
            match network {
                IpAddr::V4(_) => add(&mut routes.v4, network, length, interface, via, mtu),
                IpAddr::V6(_) => add(&mut routes.v6, network, length, interface, via, mtu),
            }
        }
        routes
    }

    /// The route to `address`, with the longest matching prefix.
    #[inline]
    pub fn find<A: Address>(&self, address: A) -> Option<&Route<A>> {
        // The family is known at compile time, so the downcast costs nothing.
        let table: &dyn Any = match A::FAMILY {
            Family::Ipv4 => &self.v4,
            Family::Ipv6 => &self.v6,
        };
        table.downcast_ref::<Table<A>>()?.find(address)
    }

    /// Interface, next hop and MTU (0: the interface's) towards `address`.
    pub fn lookup(&self, address: IpAddr) -> Option<(InterfaceId, IpAddr, u16)> {
        match address {
            IpAddr::V4(v4) => self.toward(v4.to_bits()),
            IpAddr::V6(v6) => self.toward(v6.to_bits()),
        }
    }

    /// The gateways of all routes with their interfaces, possibly repeated.
    pub fn gateways(&self) -> impl Iterator<Item = (InterfaceId, IpAddr)> {
        self.v4.gateways().chain(self.v6.gateways())
    }

    fn toward<A: Address>(&self, address: A) -> Option<(InterfaceId, IpAddr, u16)> {
        let route = self.find(address)?;
        Some((route.interface, route.next_hop.unwrap_or(address).to_ip(), route.mtu))
    }
}

fn add<A: Address>(
    table: &mut Table<A>,
    network: IpAddr,
    length: u8,
    interface: InterfaceId,
    via: Option<IpAddr>,
    mtu: u16,
) {
    let next_hop = via.and_then(A::from_ip);
    let (Some(network), true) = (A::from_ip(network), next_hop.is_some() == via.is_some()) else {
        return;
    };
    if usize::from(length) <= A::BYTES * 8 {
        table.insert(network, length, Route { interface, next_hop, mtu });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn routes() -> Routes {
        Routes::build([
            ((ip("0.0.0.0"), 0), InterfaceId(0), Some(ip("10.0.0.254")), 0),
            ((ip("10.0.0.1"), 24), InterfaceId(0), None, 0),
            ((ip("172.16.0.0"), 16), InterfaceId(1), Some(ip("192.168.10.254")), 1400),
            ((ip("172.16.9.9"), 32), InterfaceId(0), Some(ip("10.0.0.9")), 0),
            ((ip("fd00:a::"), 64), InterfaceId(0), None, 0),
            ((ip("::"), 0), InterfaceId(1), Some(ip("fd00:b::fe")), 1280),
        ])
    }

    #[test]
    fn the_longest_prefix_wins() {
        let cases = [
            ("8.8.8.8", 0, "10.0.0.254", 0),
            ("10.0.0.77", 0, "10.0.0.77", 0),
            ("172.16.9.8", 1, "192.168.10.254", 1400),
            ("172.16.9.9", 0, "10.0.0.9", 0),
            ("172.17.0.0", 0, "10.0.0.254", 0),
            ("fd00:a::5", 0, "fd00:a::5", 0),
            ("fd00:a:0:1::5", 1, "fd00:b::fe", 1280),
        ];
        for (address, port, next_hop, mtu) in cases {
            let found = routes().lookup(ip(address));
            assert_eq!(found, Some((InterfaceId(port), ip(next_hop), mtu)), "{address}");
        }
    }

    #[test]
    fn gateways_are_those_of_the_routes() {
        let mut gateways: Vec<_> = routes().gateways().collect();
        gateways.sort_unstable();
        let expected = [
            (InterfaceId(0), ip("10.0.0.9")),
            (InterfaceId(0), ip("10.0.0.254")),
            (InterfaceId(1), ip("192.168.10.254")),
            (InterfaceId(1), ip("fd00:b::fe")),
        ];
        assert_eq!(gateways, expected);
    }

    #[test]
    fn without_a_default_route_some_addresses_have_none() {
        let on_link = Routes::build([((ip("10.0.0.0"), 8), InterfaceId(0), None, 0)]);
        assert_eq!(on_link.lookup(ip("11.0.0.1")), None);
        assert_eq!(on_link.lookup(ip("::1")), None);
        assert_eq!(on_link.find(u32::from_be_bytes([10, 1, 2, 3])).unwrap().next_hop, None);
    }

    #[test]
    fn the_later_of_two_routes_counts_and_nonsense_is_left_out() {
        let routes = Routes::build([
            ((ip("10.0.0.0"), 8), InterfaceId(0), None, 0),
            ((ip("10.9.9.9"), 8), InterfaceId(1), None, 0),
            ((ip("10.0.0.0"), 33), InterfaceId(2), None, 0),
            ((ip("10.0.0.0"), 16), InterfaceId(3), Some(ip("fe80::1")), 0),
        ]);
        assert_eq!(routes.lookup(ip("10.0.0.1")), Some((InterfaceId(1), ip("10.0.0.1"), 0)));
    }

    /// A network: an address from a small set, so that networks nest, and a prefix length.
    fn network<A: Address>(
        address: impl Strategy<Value = A>,
    ) -> impl Strategy<Value = (A, u8, u16)> {
        (address, 0..=(A::BYTES as u8 * 8), 0u16..8)
    }

    fn agrees_with_a_scan<A: Address>(networks: &[(A, u8, u16)], asked: &[A]) {
        let routes = Routes::build(networks.iter().map(|(network, length, port)| {
            ((network.to_ip(), *length), InterfaceId(*port), None, 0)
        }));
        for address in asked.iter().chain(networks.iter().map(|(network, ..)| network)) {
            let oracle = networks
                .iter()
                .filter(|(network, length, _)| {
                    (0..usize::from(*length)).all(|bit| {
                        let (mut left, mut right) = ([0; 16], [0; 16]);
                        network.write(&mut left);
                        address.write(&mut right);
                        (left[bit / 8] ^ right[bit / 8]) & (0x80 >> (bit % 8)) == 0
                    })
                })
                .max_by_key(|(_, length, _)| *length) // the last of equal ones
                .map(|(.., port)| InterfaceId(*port));
            assert_eq!(routes.find(*address).map(|route| route.interface), oracle, "{address:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn ipv4_agrees_with_a_scan(
            networks in prop::collection::vec(network((0u32..4, any::<u16>()).prop_map(|(high, low)| high << 30 | u32::from(low & 0x0303))), 0..24),
            asked in prop::collection::vec(any::<u32>(), 0..16),
        ) {
            agrees_with_a_scan(&networks, &asked);
        }

        #[test]
        fn ipv6_agrees_with_a_scan(
            networks in prop::collection::vec(network((0u128..4, 0u128..4).prop_map(|(high, low)| high << 126 | low << 62)), 0..24),
            asked in prop::collection::vec(any::<u128>(), 0..16),
        ) {
            agrees_with_a_scan(&networks, &asked);
        }
    }
}
