//! Addresses with or without a port: `10.0.0.1`, `10.0.0.1:80`, `fd00::1`, `[fd00::1]`, `[fd00::1]:80`.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address, and a port if one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: Option<u16>,
}

impl FromStr for Endpoint {
    type Err = String;

    /// Reads the forms of this file's head. The error is a sentence that names the invalid part.
    fn from_str(text: &str) -> Result<Self, String> {
        let no_address = |part: &str| format!("`{}` is not an address", part.escape_debug());
        if let Ok(address) = text.parse() {
            return Ok(Endpoint { address, port: None });
        }
        let (address, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, rest)) => {
                let address: Ipv6Addr = address.parse().map_err(|_| no_address(address))?;
                let port = rest.strip_prefix(':');
                if port.is_none() && !rest.is_empty() {
                    return Err(no_address(text));
                }
                (IpAddr::V6(address), port)
            }
            None => {
                let (address, port) = text.split_once(':').ok_or_else(|| no_address(text))?;
                let address = address.parse().map_err(|_| no_address(text))?;
                (IpAddr::V4(address), Some(port))
            }
        };
        let Some(port) = port else { return Ok(Endpoint { address, port: None }) };
        match port.parse() {
            // `parse` accepts a plus sign, which no other tool does.
            Ok(number) if !port.starts_with('+') => Ok(Endpoint { address, port: Some(number) }),
            _ => Err(format!("`{}` is not a port from 0 to 65535", port.escape_debug())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    #[test]
    fn accepts_every_form() {
        for (text, address, port) in [
            ("10.0.0.1", "10.0.0.1", None),
            ("10.0.0.1:80", "10.0.0.1", Some(80)),
            ("10.0.0.1:0", "10.0.0.1", Some(0)),
            ("fd00::1", "fd00::1", None),
            ("[fd00::1]", "fd00::1", None),
            ("[fd00::1]:65535", "fd00::1", Some(65535)),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(text.parse(), Ok(Endpoint { address, port }), "{text}");
        }
    }

    #[test]
    fn errors_name_the_invalid_part() {
        for (text, problem) in [
            ("", "`` is not an address"),
            ("web", "`web` is not an address"),
            ("10.0.0.256:80", "`10.0.0.256:80` is not an address"),
            ("[10.0.0.1]:80", "`10.0.0.1` is not an address"),
            ("[fd00::1]80", "`[fd00::1]80` is not an address"),
            ("[fd00::1", "`[fd00::1` is not an address"),
            ("10.0.0.1:", "`` is not a port from 0 to 65535"),
            ("10.0.0.1:65536", "`65536` is not a port from 0 to 65535"),
            ("10.0.0.1:+80", "`+80` is not a port from 0 to 65535"),
            ("10.0.0.1:http", "`http` is not a port from 0 to 65535"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap_err(), problem, "{text}");
        }
    }

    proptest! {
        #[test]
        fn accepts_what_the_standard_library_accepts(text in "[0-9a-f:.\\[\\]+]{0,24}") {
            // The library also accepts a scope (`%1`), which these letters cannot form, and only the library accepts a
            // plus sign.
            if let Ok(expected) = text.parse::<SocketAddr>()
                && !text.contains('+') {
                    let got: Endpoint = text.parse().unwrap();
                    prop_assert_eq!((got.address, got.port), (expected.ip(), Some(expected.port())));
                }
        }

        #[test]
        fn parses_socket_addresses(address: [u8; 16], v4: [u8; 4], port: u16) {
            for address in [IpAddr::from(address), IpAddr::from(v4)] {
                let text = SocketAddr::new(address, port).to_string();
                prop_assert_eq!(text.parse(), Ok(Endpoint { address, port: Some(port) }));
            }
        }
    }
}
