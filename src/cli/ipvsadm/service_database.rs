//! The services database (`/etc/services`, services(5)): port numbers and names.

use crate::model::Protocol;
use std::collections::HashMap;

const PATH: &str = "/etc/services";

/// Names and ports per protocol. If a name or port is listed twice, the first line counts.
#[derive(Debug, Default)]
pub(super) struct ServiceDatabase {
    ports: HashMap<(String, Protocol), u16>,
    names: HashMap<(u16, Protocol), String>,
}

impl ServiceDatabase {
    /// Reads this system's database; empty if there is none.
    pub(super) fn of_system() -> Self {
        std::fs::read(PATH)
            .map_or_else(|_| Self::default(), |text| Self::parse(&String::from_utf8_lossy(&text)))
    }

    /// Parses lines of `name port/protocol alias...`, with comments after `#`. Other lines are skipped.
    pub(super) fn parse(text: &str) -> Self {
        let mut database = Self::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            let (Some(name), Some(port)) = (words.next(), words.next()) else { continue };
            let Some((port, protocol)) = port_and_protocol(port) else { continue };
            database.names.entry((port, protocol)).or_insert_with(|| name.to_owned());
            for name in std::iter::once(name).chain(words) {
                database.ports.entry((name.to_owned(), protocol)).or_insert(port);
            }
        }
        database
    }

    pub(super) fn port_of(&self, name: &str, protocol: Protocol) -> Option<u16> {
        self.ports.get(&(name.to_owned(), protocol)).copied()
    }

    pub(super) fn service_of(&self, port: u16, protocol: Protocol) -> Option<&str> {
        self.names.get(&(port, protocol)).map(String::as_str)
    }
}

fn port_and_protocol(word: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = word.split_once('/')?;
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    Some((port.parse().ok()?, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_aliases_and_comments() {
        let database = ServiceDatabase::parse(
            "# a comment\n\
             http\t\t80/tcp\t\twww\t# WorldWideWeb\n\
             domain 53/tcp\n\
             domain 53/udp\n\
             late 80/tcp\n\
             odd 7/ddp\n\
             broken\n\
             big 70000/tcp\n",
        );
        assert_eq!(database.port_of("http", Protocol::Tcp), Some(80));
        assert_eq!(database.port_of("www", Protocol::Tcp), Some(80));
        assert_eq!(database.port_of("www", Protocol::Udp), None);
        assert_eq!(database.port_of("domain", Protocol::Udp), Some(53));
        assert_eq!(database.port_of("late", Protocol::Tcp), Some(80));
        assert_eq!(database.port_of("WorldWideWeb", Protocol::Tcp), None);
        assert_eq!(database.port_of("big", Protocol::Tcp), None);
        assert_eq!(database.service_of(80, Protocol::Tcp), Some("http"));
        assert_eq!(database.service_of(53, Protocol::Udp), Some("domain"));
        assert_eq!(database.service_of(53, Protocol::Sctp), None);
    }
}
