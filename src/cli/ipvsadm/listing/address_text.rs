//! Addresses and ports as listings show them: by name or by number.

use crate::cli::ipvsadm::names::Names;
use crate::model::Protocol;
use std::net::{IpAddr, Ipv6Addr};

/// Writes addresses; with names if it has any to ask for.
#[derive(Clone, Copy)]
pub(crate) struct AddressText<'a> {
    names: Option<&'a dyn Names>,
}

impl<'a> AddressText<'a> {
    pub(crate) fn new(numeric: bool, names: &'a dyn Names) -> Self {
        AddressText { names: (!numeric).then_some(names) }
    }

    /// `host:port`, IPv6 hosts in brackets. Without a protocol the port has no name.
    pub(crate) fn write(&self, address: IpAddr, port: u16, protocol: Option<Protocol>) -> String {
        let host =
            self.names.and_then(|names| names.host_of(address)).unwrap_or_else(|| numeric(address));
        let port = self
            .names
            .and_then(|names| names.service_of(port, protocol?))
            .unwrap_or_else(|| port.to_string());
        match address {
            IpAddr::V4(_) => format!("{host}:{port}"),
            IpAddr::V6(_) => format!("[{host}]:{port}"),
        }
    }
}

/// The address as the C library writes it: unlike Rust's it shows IPv4-compatible addresses dotted.
fn numeric(address: IpAddr) -> String {
    match address {
        IpAddr::V6(address) if is_ipv4_compatible(address) => {
            let [.., a, b, c, d] = address.octets();
            format!("::{a}.{b}.{c}.{d}")
        }
        _ => address.to_string(),
    }
}

fn is_ipv4_compatible(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    segments[..6] == [0; 6] && segments[6] != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ipvsadm::names::FixedNames;

    #[test]
    fn names_and_numbers() {
        let web: IpAddr = "10.0.0.1".parse().unwrap();
        let web6: IpAddr = "2001:db8::1".parse().unwrap();
        let names = FixedNames {
            hosts: vec![("web".to_owned(), web), ("web6".to_owned(), web6)],
            services: vec![("http".to_owned(), 80, Protocol::Tcp)],
        };
        let by_name = AddressText::new(false, &names);
        let by_number = AddressText::new(true, &names);
        let tcp = Some(Protocol::Tcp);
        assert_eq!(by_name.write(web, 80, tcp), "web:http");
        assert_eq!(by_name.write(web, 81, tcp), "web:81");
        assert_eq!(by_name.write(web, 80, None), "web:80");
        assert_eq!(by_name.write(web6, 80, Some(Protocol::Udp)), "[web6]:80");
        assert_eq!(by_number.write(web, 80, tcp), "10.0.0.1:80");
        assert_eq!(by_number.write(web6, 80, tcp), "[2001:db8::1]:80");
        for (word, expected) in [
            ("::", "::"),
            ("::1", "::1"),
            ("::102:304", "::1.2.3.4"),
            ("::ffff:102:304", "::ffff:1.2.3.4"),
            ("::1:0:1", "::1:0:1"),
        ] {
            assert_eq!(numeric(word.parse().unwrap()), expected);
        }
    }
}
