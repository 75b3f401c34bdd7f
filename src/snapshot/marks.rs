//! Firewall marks: the director's rules that give a packet its mark.

use crate::model::InterfaceId;
use crate::packet::{Address, Tuple};
use hashbrown::HashMap;
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

impl MarkPrefix {
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

/// Rules in order, arranged so that a packet is compared only with rules that can match.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    rules: Vec<Mark>,
    /// Rules for one destination host, by its address, in ascending order of position.
    by_host: HashMap<u128, Vec<u32>>,
    /// All other rules, in ascending order of position.
    others: Vec<u32>,
}

impl Marks {
    pub fn build(rules: Vec<Mark>) -> Self {
        let mut marks = Marks::default();
        for (position, rule) in (0u32..).zip(&rules) {
            match rule.destination {
                Some(MarkPrefix { address, length, is_ipv6 })
                    if length == if is_ipv6 { 128 } else { 32 } =>
                {
                    marks.by_host.entry(address).or_default().push(position);
                }
                _ => marks.others.push(position),
            }
        }
        marks.rules = rules;
        marks
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The mark of the first rule that matches; 0 if none does.
    #[inline]
    pub fn find<A: Address>(&self, interface: InterfaceId, tuple: &Tuple<A>) -> u32 {
        if self.is_empty() {
            return 0;
        }
        let matching = |positions: &[u32]| {
            positions
                .iter()
                .copied()
                .find(|&position| self.rules[position as usize].matches(interface, tuple))
        };
        let host = self.by_host.get(&tuple.destination.bits()).and_then(|list| matching(list));
        let first = match (host, matching(&self.others)) {
            (Some(host), Some(other)) => Some(host.min(other)),
            (host, other) => host.or(other),
        };
        first.map_or(0, |position| self.rules[position as usize].mark)
    }
}

impl Mark {
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
}
