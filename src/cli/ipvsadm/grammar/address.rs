//! `host:port` as ipvsadm reads it.

use super::number::{dotted, number};
use crate::cli::ipvsadm::names::Names;
use crate::model::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The parts of an address word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    pub address: IpAddr,
    pub port: Option<u16>,
}

/// Reads an IPv6 literal, a bracketed literal with a port, or an IPv4 address or host name with or
/// without a port. Service names need the protocol. `None` if it is none of these.
///
/// Details that scripts may depend on: brackets require a port, a word of digits alone is not an address,
/// and an IPv4 address in brackets loses its port.
pub(super) fn host_port(
    word: &str,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Option<HostPort> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (host, bracketed_port) = match word.strip_prefix('[') {
        None => (word, None),
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, Some(port.strip_prefix(':')?))
        }
    };
    let (address, port) = if let Ok(address) = host.parse::<Ipv6Addr>() {
        (IpAddr::V6(address), bracketed_port)
    } else {
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        };
        (IpAddr::V4(ipv4(host, names)?), port)
    };
    let port = match port {
        None => None,
        Some(word) => Some(port_number(word, protocol, names)?),
    };
    Some(HostPort { address, port })
}

/// An IPv4 address, or the first one a host name has.
pub(super) fn ipv4(host: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    dotted(host).or_else(|| names.address_of(host))
}

fn port_number(word: &str, protocol: Option<Protocol>, names: &dyn Names) -> Option<u16> {
    number(word, 0, 65535)
        .and_then(|port| u16::try_from(port).ok())
        .or_else(|| names.port_of(word, protocol?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ipvsadm::names::FixedNames;

    #[test]
    fn addresses() {
        let names = FixedNames {
            hosts: vec![("web".to_owned(), "10.9.8.7".parse().unwrap())],
            services: vec![("http".to_owned(), 80, Protocol::Tcp)],
        };
        for (word, expected) in [
            ("10.0.0.1:80", Some(("10.0.0.1", Some(80)))),
            ("10.0.0.1", Some(("10.0.0.1", None))),
            ("10.0.0.1:http", Some(("10.0.0.1", Some(80)))),
            ("web:http", Some(("10.9.8.7", Some(80)))),
            ("web", Some(("10.9.8.7", None))),
            ("2001:db8::1", Some(("2001:db8::1", None))),
            ("2001:db8::1:80", Some(("2001:db8::1:80", None))),
            ("[2001:db8::1]:80", Some(("2001:db8::1", Some(80)))),
            ("[2001:db8::1]", None),
            ("[2001:db8::1]80", None),
            ("[2001:db8::1", None),
            ("[10.0.0.5]:80", Some(("10.0.0.5", None))),
            ("[web]:80", Some(("10.9.8.7", None))),
            ("10.0.0:81", Some(("10.0.0.0", Some(81)))),
            ("0x0a000001:82", Some(("10.0.0.1", Some(82)))),
            ("80", None),
            ("", None),
            ("10.0.0.1:", None),
            ("10.0.0.1:-1", None),
            ("10.0.0.1:70000", None),
            ("10.0.0.1:nosuch", None),
            ("cp-service", None),
        ] {
            let expected = expected
                .map(|(address, port)| HostPort { address: address.parse().unwrap(), port });
            assert_eq!(host_port(word, Some(Protocol::Tcp), &names), expected, "{word}");
        }
        assert_eq!(host_port("10.0.0.1:http", Some(Protocol::Udp), &names), None);
        assert_eq!(host_port("10.0.0.1:http", None, &names), None);
    }
}
