//! Ethernet addresses.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A 48-bit Ethernet address, in transmission order.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

/// The text is not an Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not an Ethernet address; six pairs of hexadecimal digits: 02:00:00:00:00:01")]
pub struct BadMacAddress(pub String);

impl MacAddress {
    pub const BROADCAST: MacAddress = MacAddress([0xff; 6]);
    pub const ZERO: MacAddress = MacAddress([0; 6]);

    /// The group bit is set: multicast or broadcast (IEEE 802, the lowest bit of the first byte).
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// A station may own this address: it is neither a group address nor all zeros.
    #[inline]
    pub fn is_unicast(self) -> bool {
        !self.is_group() && self != Self::ZERO
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        out.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))
    }
}

impl FromStr for MacAddress {
    type Err = BadMacAddress;

    fn from_str(text: &str) -> Result<Self, BadMacAddress> {
        let bad = || BadMacAddress(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(bad)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(MacAddress(bytes)) }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = BadMacAddress;

    fn try_from(text: String) -> Result<Self, BadMacAddress> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:00:00",
            "2:0:0:0:0:1",
            "02:00:00:00:00:0g",
            "02-00-00-00-00-01",
            "+2:00:00:00:00:01",
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(BadMacAddress(text.to_owned())));
        }
    }

    #[test]
    fn tells_stations_from_groups() {
        for (text, unicast) in [
            ("02:00:00:00:fe:fe", true),
            ("00:00:00:00:00:00", false),
            ("01:00:5e:00:00:01", false),
            ("ff:ff:ff:ff:ff:ff", false),
        ] {
            assert_eq!(text.parse::<MacAddress>().unwrap().is_unicast(), unicast, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(bytes: [u8; 6]) {
            let address = MacAddress(bytes);
            prop_assert_eq!(address.to_string().parse(), Ok(address));
            prop_assert_eq!(address.to_string().to_uppercase().parse(), Ok(address));
        }
    }
}
