//! Rules that give packets a firewall mark, for firewall-mark services.

use super::{Family, InterfaceId, Prefix, Protocol};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use thiserror::Error;

/// One rule. The first matching rule decides. `None` and a full range match everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MarkRule {
    /// The port the packet came in by.
    pub interface: Option<InterfaceId>,
    pub protocol: Option<Protocol>,
    pub source: Option<Prefix>,
    pub destination: Option<Prefix>,
    pub source_ports: PortRange,
    pub destination_ports: PortRange,
    /// 0 leaves the packet unmarked: an exception to the rules that follow.
    pub mark: u32,
}

impl MarkRule {
    /// The only family the rule can match, if its prefixes name one.
    pub fn family(&self) -> Option<Family> {
        self.source.or(self.destination).map(|prefix| Family::of(prefix.address()))
    }
}

/// Transport ports from `first` to `last`, both included; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// The text is neither a port nor a range of ports.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a port or a range of ports")]
pub struct BadPortRange(pub String);

impl PortRange {
    pub const ALL: PortRange = PortRange { first: 0, last: u16::MAX };

    /// `None` if `last` is below `first`.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(PortRange { first, last })
    }

    #[inline]
    pub fn first(&self) -> u16 {
        self.first
    }

    #[inline]
    pub fn last(&self) -> u16 {
        self.last
    }

    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// The range contains every port, so packets without ports match too.
    #[inline]
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }
}

impl Default for PortRange {
    fn default() -> Self {
        Self::ALL
    }
}

impl From<PortRange> for RangeInclusive<u16> {
    fn from(range: PortRange) -> Self {
        range.first..=range.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(out)
        } else {
            out.pad(&format!("{}-{}", self.first, self.last))
        }
    }
}

impl FromStr for PortRange {
    type Err = BadPortRange;

    /// `80` or `80-90`.
    fn from_str(text: &str) -> Result<Self, BadPortRange> {
        let bad = || BadPortRange(text.to_owned());
        let port = |digits: &str| match digits.bytes().all(|digit| digit.is_ascii_digit()) {
            true => digits.parse::<u16>().map_err(|_| bad()),
            false => Err(bad()),
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        PortRange::new(port(first)?, port(last)?).ok_or_else(bad)
    }
}

impl TryFrom<String> for PortRange {
    type Error = BadPortRange;

    fn try_from(text: String) -> Result<Self, BadPortRange> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_range() {
        for text in ["", "-", "80-", "-80", "90-80", "65536", "80-65536", "+80", "80-90-100", "a"] {
            assert_eq!(text.parse::<PortRange>(), Err(BadPortRange(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(one: u16, other: u16, port: u16) {
            let range = PortRange::new(one.min(other), one.max(other)).unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
            prop_assert_eq!(range.contains(port), RangeInclusive::from(range).contains(&port));
        }
    }
}
