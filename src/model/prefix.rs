//! Address prefixes: of networks (without host bits) and of interfaces (with host bits).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use thiserror::Error;

/// A network: an address without host bits, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// An interface's own address together with the network it is in: `10.0.0.1/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceAddress {
    address: IpAddr,
    length: u8,
}

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPrefix {
    #[error("`{0}` is not an address")]
    Address(String),
    #[error("prefix length `{text}` is not in 0 to {longest}")]
    Length { text: String, longest: u8 },
    #[error("`{0}` has no prefix length")]
    NoLength(String),
    #[error("`{text}` has host bits; the network is {network}")]
    HostBits { text: String, network: Prefix },
}

/// An address of a link that no single host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAddress {
    /// IPv4: the network itself (RFC 1122 section 3.2.1.3).
    Network,
    /// IPv4: all hosts of the network.
    Broadcast,
    /// IPv6: every router of the link (RFC 4291 section 2.6.1).
    Anycast,
}

/// True for 240.0.0.0/4 (RFC 1112 section 4), with the limited broadcast address.
pub fn is_reserved(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.to_bits() >> 28 == 0xf)
}

/// Bits of an address of this family.
const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first `length` bits of the address, the others zero.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

/// Splits `ADDRESS[/LENGTH]`.
fn split(text: &str) -> Result<(IpAddr, Option<u8>), BadPrefix> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| BadPrefix::Address(address.to_owned()))?;
    let Some(length) = length else { return Ok((address, None)) };
    let longest = width(address);
    let plain = !length.is_empty() && length.bytes().all(|digit| digit.is_ascii_digit());
    match length.parse() {
        Ok(bits) if plain && bits <= longest => Ok((address, Some(bits))),
        _ => Err(BadPrefix::Length { text: length.to_owned(), longest }),
    }
}

impl Prefix {
    /// The network of `length` bits that contains `address`. `None` if the length exceeds the address width.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        (length <= width(address)).then(|| Prefix { address: masked(address, length), length })
    }

    /// The prefix that contains only this address.
    pub fn host(address: IpAddr) -> Self {
        Prefix { address, length: width(address) }
    }

    /// The network's address: every host bit is zero.
    #[inline]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    #[inline]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The last address of the network: every host bit is one.
    pub fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(self.length.into()).unwrap_or(0);
                IpAddr::V4((v4.to_bits() | host).into())
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
                IpAddr::V6((v6.to_bits() | host).into())
            }
        }
    }

    /// The prefix contains exactly one address.
    pub fn is_host(&self) -> bool {
        self.length == width(self.address)
    }

    /// False for an address of the other family.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        width(address) == width(self.address) && masked(address, self.length) == self.address
    }
}

impl InterfaceAddress {
    /// `None` if the length exceeds the address width.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        (length <= width(address)).then_some(InterfaceAddress { address, length })
    }

    #[inline]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    #[inline]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The network that is reachable on-link through the interface.
    pub fn network(&self) -> Prefix {
        Prefix { address: masked(self.address, self.length), length: self.length }
    }

    /// The network's subnet-router anycast address, which belongs to every router on the link (RFC 4291 section 2.6.1).
    /// `None` for IPv4, and for IPv6 networks of 127 and 128 bits (RFC 6164).
    pub fn anycast(&self) -> Option<IpAddr> {
        (self.address.is_ipv6() && self.length < 127).then(|| self.network().address())
    }

    /// The addresses of the network that no single host has.
    pub fn link_addresses(&self) -> impl Iterator<Item = (IpAddr, LinkAddress)> + use<> {
        let broadcast = self.broadcast();
        let network = broadcast.map(|_| self.network().address());
        let all = [
            (network, LinkAddress::Network),
            (broadcast, LinkAddress::Broadcast),
            (self.anycast(), LinkAddress::Anycast),
        ];
        all.into_iter().filter_map(|(address, kind)| Some((address?, kind)))
    }

    /// The network's directed broadcast address (RFC 919). `None` for IPv6, and for IPv4 networks of 31 and 32 bits
    /// (RFC 3021).
    pub fn broadcast(&self) -> Option<IpAddr> {
        match self.address {
            IpAddr::V4(v4) if self.length < 31 => {
                Some(IpAddr::V4((v4.to_bits() | (u32::MAX >> self.length)).into()))
            }
            _ => None,
        }
    }
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    /// Without a length the prefix contains only the address. Host bits are refused: they are a typing error.
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let (address, length) = split(text)?;
        let length = length.unwrap_or(width(address));
        let network = Prefix { address: masked(address, length), length };
        if network.address == address {
            Ok(network)
        } else {
            Err(BadPrefix::HostBits { text: text.to_owned(), network })
        }
    }
}

impl FromStr for InterfaceAddress {
    type Err = BadPrefix;

    /// The length is required: without it the interface would be on no network, most likely by mistake.
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let (address, length) = split(text)?;
        let length = length.ok_or_else(|| BadPrefix::NoLength(text.to_owned()))?;
        Ok(InterfaceAddress { address, length })
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&format!("{}/{}", self.address, self.length))
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadPrefix;

            fn try_from(text: String) -> Result<Self, BadPrefix> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

text_form!(Prefix);
text_form!(InterfaceAddress);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_with_a_reason() {
        for (text, reason) in [
            ("", "`` is not an address"),
            ("10.0.0/8", "`10.0.0` is not an address"),
            ("10.0.0.0/33", "prefix length `33` is not in 0 to 32"),
            ("10.0.0.0/", "prefix length `` is not in 0 to 32"),
            ("10.0.0.0/+8", "prefix length `+8` is not in 0 to 32"),
            ("fd00::/129", "prefix length `129` is not in 0 to 128"),
            ("10.0.0.1/8", "`10.0.0.1/8` has host bits; the network is 10.0.0.0/8"),
            ("fd00::1/64", "`fd00::1/64` has host bits; the network is fd00::/64"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap_err().to_string(), reason);
        }
        let error = "10.0.0.1".parse::<InterfaceAddress>().unwrap_err();
        assert_eq!(error.to_string(), "`10.0.0.1` has no prefix length");
    }

    #[test]
    fn broadcast_of_ipv4_networks() {
        for (text, broadcast) in [
            ("10.0.0.1/24", Some("10.0.0.255")),
            ("10.0.0.1/0", Some("255.255.255.255")),
            ("10.0.0.1/30", Some("10.0.0.3")),
            ("10.0.0.1/31", None),
            ("10.0.0.1/32", None),
            ("fd00::1/64", None),
        ] {
            let expected = broadcast.map(|address| address.parse().unwrap());
            assert_eq!(text.parse::<InterfaceAddress>().unwrap().broadcast(), expected, "{text}");
        }
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from)
        ]
    }

    /// Compares bit by bit.
    fn shares_bits(left: IpAddr, right: IpAddr, length: u8) -> bool {
        let octets = |address| match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let (left, right) = (octets(left), octets(right));
        let bit = |octets: &[u8], at: usize| octets[at / 8] >> (7 - at % 8) & 1;
        left.len() == right.len()
            && (0..usize::from(length)).all(|at| bit(&left, at) == bit(&right, at))
    }

    proptest! {
        #[test]
        fn contains_whom_it_shares_its_bits_with(
            one in any_address(), flip in 0u8..128, length in 0u8..=128
        ) {
            let length = length % (width(one) + 1);
            let other = match one {
                IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() ^ (1 << (flip % 32))).into()),
                IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() ^ (1 << flip)).into()),
            };
            let prefix = Prefix::new(one, length).unwrap();
            prop_assert!(prefix.contains(one));
            prop_assert_eq!(prefix.contains(other), shares_bits(one, other, length));
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
            let interface = InterfaceAddress::new(one, length).unwrap();
            prop_assert_eq!(interface.to_string().parse(), Ok(interface));
            prop_assert_eq!(interface.network(), prefix);
        }
    }
}
