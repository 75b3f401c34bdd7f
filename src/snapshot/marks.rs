//! Firewall marks: the director's rules that give a packet its mark. The first rule that matches decides.
//!
//! Rules are sorted into kinds: what they ask for, without the values. A packet costs one hash for each kind of its address
//! family, and a binary search by destination port, however many rules there are. Only rules with a range of source ports
//! are compared one by one. The configuration has at most [`MARK_KINDS`] and [`MARK_SOURCE_RANGES`] of them.

use crate::limits::{MARK_KINDS, MARK_SOURCE_RANGES};
use crate::model::{Family, InterfaceId, MarkRule, Prefix};
use crate::packet::{Address, Tuple, bits};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// One rule. All given parts must match.
#[derive(Clone, Debug)]
pub struct Mark {
    pub interface: Option<InterfaceId>,
    pub protocol: Option<u8>,
    /// A prefix: address bits, prefix length and family.
    pub source: Option<MarkPrefix>,
    pub destination: Option<MarkPrefix>,
    pub source_ports: RangeInclusive<u16>,
    pub destination_ports: RangeInclusive<u16>,
    pub mark: u32,
}

/// A prefix as integers.
#[derive(Clone, Copy, Debug)]
pub struct MarkPrefix {
    pub address: u128,
    pub length: u8,
    pub is_ipv6: bool,
}

impl From<Prefix> for MarkPrefix {
    fn from(prefix: Prefix) -> Self {
        let address = prefix.address();
        MarkPrefix { address: bits(address), length: prefix.length(), is_ipv6: address.is_ipv6() }
    }
}

impl From<&MarkRule> for Mark {
    fn from(rule: &MarkRule) -> Self {
        Mark {
            interface: rule.interface,
            protocol: rule.protocol.map(|protocol| protocol.number()),
            source: rule.source.map(MarkPrefix::from),
            destination: rule.destination.map(MarkPrefix::from),
            source_ports: rule.source_ports.into(),
            destination_ports: rule.destination_ports.into(),
            mark: rule.mark,
        }
    }
}

impl MarkPrefix {
    fn family(&self) -> Family {
        if self.is_ipv6 { Family::Ipv6 } else { Family::Ipv4 }
    }

    /// The address without the bits behind the prefix.
    fn network(&self) -> u128 {
        let shift = if self.is_ipv6 { 128 } else { 32 } - u32::from(self.length);
        self.address.unbounded_shr(shift).unbounded_shl(shift)
    }

    #[inline]
    fn matches<A: Address>(&self, address: A) -> bool {
        let width = A::BYTES as u32 * 8;
        if self.is_ipv6 != (A::BYTES == 16) {
            return false;
        }
        let shift = width - u32::from(self.length);
        shift == u128::BITS || (self.address ^ address.bits()) >> shift == 0
    }
}

/// No rule.
const NONE: u32 = u32::MAX;

/// The rules, indexed by address family.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    rules: Vec<Mark>,
    ipv4: Index,
    ipv6: Index,
}

/// Why rules cannot be indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unindexed {
    #[error("one rule too many with a range of source ports: {MARK_SOURCE_RANGES} are allowed")]
    SourceRange,
    #[error(
        "one kind of rule too many for its address family: {MARK_KINDS} are allowed; the kind is the lengths of \
         source and destination, and whether port, protocol and source_ports are given"
    )]
    Kind,
}

impl Marks {
    /// Indexes the rules. The configuration has checked [`Self::unindexed`].
    pub fn build(rules: Vec<Mark>) -> Self {
        let ipv4 = Index::build(&rules, Family::Ipv4);
        let ipv6 = Index::build(&rules, Family::Ipv6);
        Marks { rules, ipv4, ipv6 }
    }

    /// The position of the first rule beyond the bounds.
    pub fn unindexed(rules: &[Mark]) -> Option<(usize, Unindexed)> {
        let mut kinds = [BTreeSet::new(), BTreeSet::new()];
        let mut ranges = 0;
        rules.iter().enumerate().find_map(|(position, rule)| {
            let Some(kind) = Kind::of(rule) else {
                ranges += 1;
                return (ranges > MARK_SOURCE_RANGES).then_some((position, Unindexed::SourceRange));
            };
            for (family, kinds) in [Family::Ipv4, Family::Ipv6].into_iter().zip(&mut kinds) {
                if rule.may_match(family) {
                    kinds.insert(kind);
                }
            }
            let is_beyond = kinds.iter().any(|kinds| kinds.len() > MARK_KINDS);
            is_beyond.then_some((position, Unindexed::Kind))
        })
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The mark of the first rule that matches; 0 if none does.
    #[inline]
    pub fn find<A: Address>(&self, interface: InterfaceId, tuple: &Tuple<A>) -> u32 {
        if self.is_empty() { 0 } else { self.find_indexed(interface, tuple) }
    }

    /// Not inlined: without rules the caller keeps its registers.
    #[inline(never)]
    fn find_indexed<A: Address>(&self, interface: InterfaceId, tuple: &Tuple<A>) -> u32 {
        let index = match A::FAMILY {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        };
        let first = index.first(&self.rules, interface, tuple);
        self.rules.get(first as usize).map_or(0, |rule| rule.mark)
    }
}

/// What a rule asks for, without the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    source_length: u8,
    destination_length: u8,
    by_interface: bool,
    by_protocol: bool,
    by_source_port: bool,
}

impl Kind {
    /// `None` for a rule with a range of source ports.
    fn of(rule: &Mark) -> Option<Self> {
        let is_one_port = rule.source_ports.start() == rule.source_ports.end();
        let length = |prefix: Option<MarkPrefix>| prefix.map_or(0, |prefix| prefix.length);
        (is_one_port || rule.source_ports == (0..=u16::MAX)).then_some(Kind {
            source_length: length(rule.source),
            destination_length: length(rule.destination),
            by_interface: rule.interface.is_some(),
            by_protocol: rule.protocol.is_some(),
            by_source_port: is_one_port,
        })
    }
}

/// The values for which a rule asks; 0 where it asks for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Values {
    source: u128,
    destination: u128,
    interface: u16,
    source_port: u16,
    protocol: u8,
}

impl Values {
    fn of_rule(rule: &Mark, kind: Kind) -> Self {
        let network = |prefix: Option<MarkPrefix>| prefix.map_or(0, |prefix| prefix.network());
        Values {
            source: network(rule.source),
            destination: network(rule.destination),
            interface: rule.interface.map_or(0, |interface| interface.0),
            source_port: if kind.by_source_port { *rule.source_ports.start() } else { 0 },
            protocol: rule.protocol.unwrap_or(0),
        }
    }

    #[inline]
    fn of_packet<A: Address>(interface: InterfaceId, tuple: &Tuple<A>, kind: Kind) -> Self {
        Values {
            source: tuple.source.masked(kind.source_length).bits(),
            destination: tuple.destination.masked(kind.destination_length).bits(),
            interface: if kind.by_interface { interface.0 } else { 0 },
            source_port: if kind.by_source_port { tuple.source_port } else { 0 },
            protocol: if kind.by_protocol { tuple.protocol } else { 0 },
        }
    }
}

/// From the destination port `start` to the next range, this rule is the first.
#[derive(Clone, Copy, Debug)]
struct PortsFrom {
    start: u16,
    first: u32,
}

/// The rules of one kind.
#[derive(Clone, Debug)]
struct Group {
    kind: Kind,
    /// The lowest position.
    first: u32,
    /// Ranges of destination ports, in ascending order.
    ports: HashMap<Values, Box<[PortsFrom]>>,
}

impl Group {
    /// The position of the first rule that matches, or [`NONE`].
    #[inline]
    fn find<A: Address>(&self, interface: InterfaceId, tuple: &Tuple<A>) -> u32 {
        let values = Values::of_packet(interface, tuple, self.kind);
        let Some(ports) = self.ports.get(&values) else { return NONE };
        let behind = ports.partition_point(|range| range.start <= tuple.destination_port);
        behind.checked_sub(1).and_then(|at| ports.get(at)).map_or(NONE, |range| range.first)
    }
}

/// The rules that can match packets of one address family.
#[derive(Clone, Debug, Default)]
struct Index {
    /// In ascending order of their lowest position.
    groups: Vec<Group>,
    /// Rules with a range of source ports, in ascending order of position.
    listed: Vec<u32>,
}

/// Rules that ask for the same values, in ascending order of position: their destination ports and position.
type SameValues = Vec<(RangeInclusive<u16>, u32)>;

impl Index {
    fn build(rules: &[Mark], family: Family) -> Self {
        let mut listed = Vec::new();
        let mut groups: BTreeMap<Kind, (u32, HashMap<Values, SameValues>)> = BTreeMap::new();
        for (position, rule) in (0..).zip(rules).filter(|(_, rule)| rule.may_match(family)) {
            let Some(kind) = Kind::of(rule) else {
                listed.push(position);
                continue;
            };
            let (_, group) = groups.entry(kind).or_insert_with(|| (position, HashMap::new()));
            let same = group.entry(Values::of_rule(rule, kind)).or_default();
            same.push((rule.destination_ports.clone(), position));
        }
        let mut groups: Vec<Group> = groups
            .into_iter()
            .map(|(kind, (first, rules))| {
                let ports = rules.into_iter().map(|(values, same)| (values, first_by_port(&same)));
                Group { kind, first, ports: ports.collect() }
            })
            .collect();
        groups.sort_by_key(|group| group.first);
        Index { groups, listed }
    }

    /// The position of the first rule that matches, or [`NONE`].
    fn first<A: Address>(&self, rules: &[Mark], interface: InterfaceId, tuple: &Tuple<A>) -> u32 {
        let matches = |position: &u32| {
            rules.get(*position as usize).is_some_and(|rule| rule.matches(interface, tuple))
        };
        let mut first = self.listed.iter().copied().find(matches).unwrap_or(NONE);
        for group in &self.groups {
            if group.first > first {
                break;
            }
            first = first.min(group.find(interface, tuple));
        }
        first
    }
}

/// For each range of ports the lowest position among the rules that contain it.
fn first_by_port(rules: &SameValues) -> Box<[PortsFrom]> {
    // A rule begins (true) at its first port, and has ended (false) at the port after its last.
    let mut edges: Vec<(u32, bool, u32)> = Vec::with_capacity(2 * rules.len());
    for (ports, position) in rules {
        edges.push((u32::from(*ports.start()), true, *position));
        edges.push((u32::from(*ports.end()) + 1, false, *position));
    }
    edges.sort_unstable();
    let mut open = BTreeSet::new();
    let mut found: Vec<PortsFrom> = Vec::new();
    for same_port in edges.chunk_by(|one, other| one.0 == other.0) {
        for (_, begins, position) in same_port {
            match begins {
                true => open.insert(*position),
                false => open.remove(position),
            };
        }
        let first = open.first().copied().unwrap_or(NONE);
        let Some(Ok(start)) = same_port.first().map(|edge| u16::try_from(edge.0)) else { continue };
        if found.last().map_or(NONE, |last| last.first) != first {
            found.push(PortsFrom { start, first });
        }
    }
    found.into()
}

impl Mark {
    /// The rule's prefixes are of this family, or it has none.
    fn may_match(&self, family: Family) -> bool {
        [self.source, self.destination].iter().flatten().all(|prefix| prefix.family() == family)
    }

    #[inline]
    fn matches<A: Address>(&self, interface: InterfaceId, tuple: &Tuple<A>) -> bool {
        self.interface.is_none_or(|wanted| wanted == interface)
            && self.protocol.is_none_or(|wanted| wanted == tuple.protocol)
            && self.source.is_none_or(|wanted| wanted.matches(tuple.source))
            && self.destination.is_none_or(|wanted| wanted.matches(tuple.destination))
            && self.source_ports.contains(&tuple.source_port)
            && self.destination_ports.contains(&tuple.destination_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any(mark: u32) -> Mark {
        Mark {
            interface: None,
            protocol: None,
            source: None,
            destination: None,
            source_ports: 0..=u16::MAX,
            destination_ports: 0..=u16::MAX,
            mark,
        }
    }

    #[test]
    fn the_first_matching_rule_gives_the_mark() {
        let host = MarkPrefix { address: 5, length: 32, is_ipv6: false };
        let marks = Marks::build(vec![
            Mark { protocol: Some(6), destination_ports: 80..=80, ..any(1) },
            Mark { destination: Some(host), ..any(2) },
            Mark { source: Some(MarkPrefix { address: 0, length: 0, is_ipv6: false }), ..any(3) },
        ]);
        let tuple = |destination, port, protocol| Tuple::<u32> {
            source: 9,
            destination,
            source_port: 1,
            destination_port: port,
            protocol,
        };
        for (input, expected) in [((5, 80, 6), 1), ((5, 81, 6), 2), ((6, 80, 17), 3)] {
            assert_eq!(
                marks.find(InterfaceId(0), &tuple(input.0, input.1, input.2)),
                expected,
                "{input:?}"
            );
        }
        assert_eq!(
            marks.find(InterfaceId(0), &Tuple::<u128> { protocol: 17, ..Tuple::default() }),
            0
        );
    }

    /// However many rules there are, a packet is looked up once for each kind of them.
    #[test]
    fn many_rules_of_a_kind_cost_one_lookup() {
        let vip = MarkPrefix { address: 5, length: 32, is_ipv6: false };
        let port = |port| Mark {
            protocol: Some(6),
            destination: Some(vip),
            destination_ports: port..=port,
            ..any(port.into())
        };
        let network = |number: u128| Mark {
            source: Some(MarkPrefix { address: number << 8, length: 24, is_ipv6: false }),
            ..any(20_000 + number as u32)
        };
        let rules: Vec<Mark> = (1..=10_000).map(port).chain((0..10_000).map(network)).collect();
        assert_eq!(Marks::unindexed(&rules), None);
        let marks = Marks::build(rules);
        assert_eq!((marks.ipv4.groups.len(), marks.ipv4.listed.len()), (2, 0));
        assert_eq!((marks.ipv6.groups.len(), marks.ipv6.listed.len()), (0, 0));
        let tuple = |source, destination_port| Tuple::<u32> {
            source,
            destination: 5,
            source_port: 1,
            destination_port,
            protocol: 6,
        };
        for (input, mark) in
            [((7, 1), 1), ((7, 10_000), 10_000), ((0x1234, 10_001), 20_018), ((9 << 24, 10_001), 0)]
        {
            assert_eq!(marks.find(InterfaceId(0), &tuple(input.0, input.1)), mark, "{input:?}");
        }
    }

    #[test]
    fn rules_beyond_the_bounds() {
        let kind = |length: usize| {
            let prefix = MarkPrefix { address: 0, length: length as u8, is_ipv6: true };
            Mark { source: Some(prefix), ..any(1) }
        };
        let kinds: Vec<Mark> = (0..=MARK_KINDS).map(kind).collect();
        assert_eq!(Marks::unindexed(&kinds[1..]), None);
        assert_eq!(Marks::unindexed(&kinds), Some((MARK_KINDS, Unindexed::Kind)));
        let range = Mark { source_ports: 1..=2, ..any(1) };
        let ranges = vec![range; MARK_SOURCE_RANGES + 1];
        assert_eq!(Marks::unindexed(&ranges[1..]), None);
        let beyond = Some((MARK_SOURCE_RANGES, Unindexed::SourceRange));
        assert_eq!(Marks::unindexed(&ranges), beyond);
    }

    fn prefix() -> impl Strategy<Value = Option<MarkPrefix>> {
        // Few addresses that differ in their first and last bits, so that rules match and overlap.
        let length = prop::sample::select(vec![0u8, 1, 31, 32]);
        prop::option::of((0..4u32, length, prop::bool::ANY).prop_map(|(host, length, is_ipv6)| {
            let length = if is_ipv6 { length * 4 } else { length };
            let address = if is_ipv6 { address::<u128>(host) } else { address::<u32>(host).into() };
            MarkPrefix { address, length, is_ipv6 }
        }))
    }

    fn address<A: Address>(host: u32) -> A {
        let edge = u128::from(host & 1) << (A::BYTES * 8 - 1) | u128::from(host >> 1);
        let ip = match A::FAMILY {
            Family::Ipv4 => std::net::Ipv4Addr::from_bits(edge as u32).into(),
            Family::Ipv6 => std::net::Ipv6Addr::from_bits(edge).into(),
        };
        A::from_ip(ip).unwrap()
    }

    fn ports() -> impl Strategy<Value = RangeInclusive<u16>> {
        let port = || prop::sample::select(vec![0u16, 1, 2, 3, u16::MAX - 1, u16::MAX]);
        prop_oneof![
            Just(0..=u16::MAX),
            port().prop_map(|port| port..=port),
            (port(), port()).prop_map(|(one, other)| one.min(other)..=one.max(other)),
        ]
    }

    fn rule() -> impl Strategy<Value = Mark> {
        let interface = prop::option::of((0..2u16).prop_map(InterfaceId));
        let protocol = prop::option::of(prop::sample::select(vec![0u8, 6, 17]));
        let parts = (interface, protocol, prefix(), prefix(), ports(), ports(), 0..100u32);
        parts.prop_map(
            |(interface, protocol, source, destination, source_ports, destination_ports, mark)| {
                Mark {
                    interface,
                    protocol,
                    source,
                    destination,
                    source_ports,
                    destination_ports,
                    mark,
                }
            },
        )
    }

    /// The rules one by one.
    fn slowly<A: Address>(rules: &[Mark], interface: InterfaceId, tuple: &Tuple<A>) -> u32 {
        rules.iter().find(|rule| rule.matches(interface, tuple)).map_or(0, |rule| rule.mark)
    }

    proptest! {
        #[test]
        fn the_index_finds_the_first_rule_that_matches(rules in prop::collection::vec(rule(), 0..40)) {
            let marks = Marks::build(rules.clone());
            let ports = [0, 1, 2, 3, 4, u16::MAX];
            for (interface, source, destination) in
                (0..2).flat_map(|i| (0..4).flat_map(move |s| (0..4).map(move |d| (InterfaceId(i), s, d))))
            {
                for (source_port, destination_port, protocol) in ports
                    .iter()
                    .flat_map(|s| ports.iter().flat_map(|d| [0, 6, 17].map(|p| (*s, *d, p))))
                {
                    let ipv4 = Tuple::<u32> {
                        source: address(source),
                        destination: address(destination),
                        source_port,
                        destination_port,
                        protocol,
                    };
                    prop_assert_eq!(
                        marks.find(interface, &ipv4),
                        slowly(&rules, interface, &ipv4)
                    );
                    let ipv6 = Tuple::<u128> {
                        source: address(source),
                        destination: address(destination),
                        source_port,
                        destination_port,
                        protocol,
                    };
                    prop_assert_eq!(
                        marks.find(interface, &ipv6),
                        slowly(&rules, interface, &ipv6)
                    );
                }
            }
        }
    }
}
