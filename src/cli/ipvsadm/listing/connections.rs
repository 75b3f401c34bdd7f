//! The listing of connections and persistence templates.

use super::address_text::AddressText;
use crate::model::{ConnectionRow, Protocol};
use std::net::SocketAddr;

/// The two title lines.
pub(crate) fn titles(with_engine: bool) -> String {
    let mut line = format!("pro expire {:<11} {:<18} {:<18} ", "state", "source", "virtual");
    if with_engine {
        line.push_str(&format!("{:<18} {:<16} pe_data", "destination", "pe name"));
    } else {
        line.push_str("destination");
    }
    format!("IPVS connection entries\n{line}\n")
}

/// Appends one line.
pub(crate) fn connection(
    text: &mut String,
    row: &ConnectionRow,
    with_engine: bool,
    addresses: AddressText<'_>,
) {
    let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.name() == row.protocol);
    let name = |socket: SocketAddr| addresses.write(socket.ip(), socket.port(), protocol);
    let expire = format!("{:02}:{:02}", row.expires_s / 60, row.expires_s % 60);
    text.push_str(&format!(
        "{:<3} {expire:<6} {:<11} {:<18} {:<18} ",
        row.protocol,
        row.state,
        name(row.client),
        name(row.virtual_address),
    ));
    let destination = name(row.destination);
    match &row.persistence_engine {
        // ipvsadm's widths; in its title the two are exchanged.
        Some((engine, data)) if with_engine => {
            text.push_str(&format!("{destination:<16} {engine:<18} {data}\n"));
        }
        _ => {
            text.push_str(&destination);
            text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ipvsadm::names::FixedNames;

    fn row(protocol: &str, state: &str, expires_s: u32, sockets: [&str; 3]) -> ConnectionRow {
        let [client, virtual_address, destination] = sockets.map(|socket| socket.parse().unwrap());
        ConnectionRow {
            protocol: protocol.to_owned(),
            state: state.to_owned(),
            expires_s,
            client,
            virtual_address,
            destination,
            persistence_engine: None,
        }
    }

    #[test]
    fn lines_are_ipvsadms() {
        let names = FixedNames::default();
        let addresses = AddressText::new(true, &names);
        let sockets = ["10.0.0.100:57220", "10.0.0.1:8888", "192.168.10.2:8080"];
        let mut text = titles(false);
        connection(&mut text, &row("TCP", "TIME_WAIT", 117, sockets), false, addresses);
        let sockets = ["[2001:db8::100]:58260", "[2001:db8::1]:80", "[2001:db8:1::a0a0]:8081"];
        connection(&mut text, &row("TCP", "ESTABLISHED", 6001, sockets), false, addresses);
        assert_eq!(
            text,
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination\n\
             TCP 01:57  TIME_WAIT   10.0.0.100:57220   10.0.0.1:8888      192.168.10.2:8080\n\
             TCP 100:01 ESTABLISHED [2001:db8::100]:58260 [2001:db8::1]:80   [2001:db8:1::a0a0]:8081\n"
        );
    }

    #[test]
    fn engine_data_is_shown_on_demand() {
        let names = FixedNames::default();
        let addresses = AddressText::new(true, &names);
        let sockets = ["10.0.0.100:0", "10.0.0.1:5060", "192.168.10.1:5060"];
        let mut entry = row("UDP", "NONE", 58, sockets);
        entry.persistence_engine = Some(("sip".to_owned(), "abc-123@10.0.0.100".to_owned()));
        let mut text = titles(true);
        connection(&mut text, &entry, true, addresses);
        assert_eq!(
            text,
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination        pe name          pe_data\n\
             UDP 00:58  NONE        10.0.0.100:0       10.0.0.1:5060      192.168.10.1:5060 sip                abc-123@10.0.0.100\n"
        );
        let mut plain = String::new();
        connection(&mut plain, &entry, false, addresses);
        assert!(plain.ends_with(" 192.168.10.1:5060\n"));
    }
}
