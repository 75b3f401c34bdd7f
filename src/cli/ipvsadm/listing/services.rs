//! The table of services and their destinations.

use super::address_text::AddressText;
use super::quantity::quantity;
use crate::cli::ipvsadm::grammar::View;
use crate::cli::ipvsadm::scheduler_flags;
use crate::model::{
    Counters, DestinationRow, Family, ForwardMethod, Persistence, PersistenceMask, Protocol, Rates,
    ServiceKey, ServiceRow, ServiceSpec, Tunnel, TunnelChecksum,
};
use std::fmt::Write;
use std::net::IpAddr;

/// Columns an IPv4 service's name may take; IPv6 ones are never cut.
const SERVICE_COLUMNS: usize = 33;

/// Columns an IPv4 destination's name may take.
const DESTINATION_COLUMNS: usize = 28;

/// The line above a listing of all services. `size` is the number of slots of the connection table.
pub(crate) fn banner(size: u64) -> String {
    format!("IP Virtual Server version 1.2.1 (size={size})\n")
}

/// The two title lines.
pub(crate) fn titles(view: View) -> String {
    let counters = |columns: [&str; 5]| {
        let mut line = format!("{:<33}", "Prot LocalAddress:Port");
        columns.iter().for_each(|column| line.push_str(&format!(" {column:>8}")));
        line
    };
    let (first, second) = match view {
        View::Default => (
            "Prot LocalAddress:Port Scheduler Flags".to_owned(),
            "           Forward Weight ActiveConn InActConn",
        ),
        View::TunnelInfo => (
            "Prot LocalAddress:Port Scheduler Flags".to_owned(),
            "           Forward TunnelInfo    Weight ActiveConn InActConn",
        ),
        View::Stats => (counters(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]), ""),
        View::Rate => (counters(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]), ""),
        View::Thresholds => (
            format!(
                "{:<33} {:<10} {:<10} {:<10} {:<10}",
                "Prot LocalAddress:Port", "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
            ),
            "",
        ),
        View::PersistentConnections => (
            format!(
                "{:<33} {:<9} {:<11} {:<10} {:<10}",
                "Prot LocalAddress:Port", "Weight", "PersistConn", "ActiveConn", "InActConn"
            ),
            "",
        ),
    };
    format!("{first}\n  -> RemoteAddress:Port{second}\n")
}

/// Appends a service and its destinations, one line each.
pub(crate) fn service(
    text: &mut String,
    row: &ServiceRow,
    view: View,
    exact: bool,
    addresses: AddressText<'_>,
) {
    let name = service_name(&row.spec.key, addresses);
    match view {
        View::Stats => {
            let _ = write!(text, "{name:<33}");
            push_quantities(text, counter_columns(&row.counters), exact);
        }
        View::Rate => {
            let _ = write!(text, "{name:<33}");
            push_quantities(text, rate_columns(&row.rates), exact);
        }
        _ => {
            text.push_str(&name);
            push_attributes(text, &row.spec);
        }
    }
    text.push('\n');
    let protocol = match row.spec.key {
        ServiceKey::Address { protocol, .. } => Some(protocol),
        ServiceKey::Fwmark { .. } => None,
    };
    for row in &row.destinations {
        destination(text, row, view, exact, protocol, addresses);
    }
}

fn service_name(key: &ServiceKey, addresses: AddressText<'_>) -> String {
    match *key {
        ServiceKey::Address { protocol, address, port } => {
            let name = format!("{protocol:<4} {}", addresses.write(address, port, Some(protocol)));
            cut(name, address, SERVICE_COLUMNS)
        }
        ServiceKey::Fwmark { mark, family } => {
            let family = if family == Family::Ipv6 { " IPv6" } else { "" };
            // Marks are shown as signed numbers, as ipvsadm does.
            format!("FWM  {}{family}", mark as i32)
        }
    }
}

fn cut(name: String, address: IpAddr, columns: usize) -> String {
    if address.is_ipv6() { name } else { name.chars().take(columns).collect() }
}

fn push_attributes(text: &mut String, spec: &ServiceSpec) {
    let _ = write!(text, " {}", spec.scheduler);
    if !spec.scheduler_flags.is_empty() {
        let names = scheduler_flags::names(spec.scheduler_flags, spec.scheduler);
        let _ = write!(text, " ({names})");
    }
    if let Some(Persistence { timeout_s, mask }) = spec.persistence {
        let _ = write!(text, " persistent {timeout_s}");
        match mask {
            _ if mask == PersistenceMask::full(spec.key.family()) => {}
            PersistenceMask::Ipv4(mask) => {
                let _ = write!(text, " mask {mask}");
            }
            PersistenceMask::Ipv6(prefix) => {
                let _ = write!(text, " mask {prefix}");
            }
        }
        if let Some(engine) = &spec.persistence_engine {
            let _ = write!(text, " pe {engine}");
        }
    }
    if spec.one_packet {
        text.push_str(" ops");
    }
}

fn destination(
    text: &mut String,
    row: &DestinationRow,
    view: View,
    exact: bool,
    protocol: Option<Protocol>,
    addresses: AddressText<'_>,
) {
    let at = row.spec.at;
    let name = addresses.write(at.address, at.port, protocol);
    let name = cut(name, at.address, DESTINATION_COLUMNS);
    let _ = write!(text, "  -> {name:<28}");
    let method = row.spec.method.name();
    let weight = row.weight;
    let (active, inactive) = (row.active_connections, row.inactive_connections);
    let _ = match view {
        View::Default => write!(text, " {method:<7} {weight:<6} {active:<10} {inactive:<10}"),
        View::TunnelInfo => {
            let tunnel = tunnel_text(row);
            write!(text, " {method:<7} {tunnel:<13} {weight:<6} {active:<10} {inactive:<10}")
        }
        View::Thresholds => {
            let (upper, lower) = (row.spec.upper_threshold, row.spec.lower_threshold);
            write!(text, " {upper:<10} {lower:<10} {active:<10} {inactive:<10}")
        }
        View::PersistentConnections => {
            let persistent = row.persistent_connections;
            write!(text, " {weight:<9} {persistent:<11} {active:<10} {inactive:<10}")
        }
        View::Stats => {
            push_quantities(text, counter_columns(&row.counters), exact);
            Ok(())
        }
        View::Rate => {
            let [connections, in_packets, out_packets, bytes @ ..] = rate_columns(&row.rates);
            let _ = write!(text, " {connections:>8} {in_packets:>8} {out_packets:>8}");
            push_quantities(text, bytes, exact);
            Ok(())
        }
    };
    text.push('\n');
}

fn tunnel_text(row: &DestinationRow) -> String {
    let sign = |checksum| match checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Full => "+c",
        TunnelChecksum::Remote => "r+c",
    };
    if row.spec.method != ForwardMethod::Tunnel {
        return "n/a".to_owned();
    }
    match row.spec.tunnel {
        Tunnel::Ipip => "ipip".to_owned(),
        Tunnel::Gue { port, checksum } => format!("gue:{port}:{}", sign(checksum)),
        Tunnel::Gre { checksum } => format!("gre:{}", sign(checksum)),
    }
}

fn counter_columns(counters: &Counters) -> [u64; 5] {
    let Counters { connections, in_packets, out_packets, in_bytes, out_bytes } = *counters;
    [connections, in_packets, out_packets, in_bytes, out_bytes]
}

fn rate_columns(rates: &Rates) -> [u64; 5] {
    let Rates { connections, in_packets, out_packets, in_bytes, out_bytes } = *rates;
    [connections, in_packets, out_packets, in_bytes, out_bytes]
}

fn push_quantities<const COLUMNS: usize>(text: &mut String, values: [u64; COLUMNS], exact: bool) {
    values.into_iter().for_each(|value| text.push_str(&quantity(value, exact)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ipvsadm::names::FixedNames;
    use crate::model::{
        DestinationAddress, DestinationSpec, Origin, SchedulerFlags, SchedulerKind,
    };

    fn row(key: ServiceKey, destination: &str) -> ServiceRow {
        let destination: std::net::SocketAddr = destination.parse().unwrap();
        let spec = DestinationSpec {
            at: DestinationAddress { address: destination.ip(), port: destination.port() },
            method: ForwardMethod::Masq,
            weight: 65535,
            upper_threshold: 100,
            lower_threshold: 50,
            tunnel: Tunnel::Ipip,
        };
        let counters = Counters { connections: 3, in_bytes: 1_234_567_890, ..Counters::default() };
        let rates = Rates {
            connections: 1,
            in_packets: 100_000_000,
            in_bytes: 100_000_000,
            ..Rates::default()
        };
        ServiceRow {
            spec: ServiceSpec {
                key,
                scheduler: SchedulerKind::Rr,
                scheduler_flags: SchedulerFlags::empty(),
                one_packet: false,
                persistence: None,
                persistence_engine: None,
            },
            counters,
            rates,
            destinations: vec![DestinationRow {
                spec,
                weight: spec.weight,
                origin: Origin::Operator,
                overlays: Vec::new(),
                active_connections: 7,
                inactive_connections: 8,
                persistent_connections: 9,
                counters,
                rates,
            }],
        }
    }

    fn tcp(socket: &str) -> ServiceKey {
        let socket: std::net::SocketAddr = socket.parse().unwrap();
        ServiceKey::Address { protocol: Protocol::Tcp, address: socket.ip(), port: socket.port() }
    }

    fn lines(row: &ServiceRow, view: View, exact: bool, names: Option<&FixedNames>) -> Vec<String> {
        let none = FixedNames::default();
        let addresses = AddressText::new(names.is_none(), names.unwrap_or(&none));
        let mut text = String::new();
        service(&mut text, row, view, exact, addresses);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_view_has_its_columns() {
        let row = row(tcp("10.0.0.1:80"), "192.168.10.3:80");
        for (view, exact, expected) in [
            (
                View::Default,
                false,
                [
                    "TCP  10.0.0.1:80 rr",
                    "  -> 192.168.10.3:80              Masq    65535  7          8         ",
                ],
            ),
            (
                View::TunnelInfo,
                false,
                [
                    "TCP  10.0.0.1:80 rr",
                    "  -> 192.168.10.3:80              Masq    n/a           65535  7          8         ",
                ],
            ),
            (
                View::Thresholds,
                false,
                [
                    "TCP  10.0.0.1:80 rr",
                    "  -> 192.168.10.3:80              100        50         7          8         ",
                ],
            ),
            (
                View::PersistentConnections,
                false,
                [
                    "TCP  10.0.0.1:80 rr",
                    "  -> 192.168.10.3:80              65535     9           7          8         ",
                ],
            ),
            (
                View::Stats,
                false,
                [
                    "TCP  10.0.0.1:80                         3        0        0    1234M        0",
                    "  -> 192.168.10.3:80                     3        0        0    1234M        0",
                ],
            ),
            (
                View::Stats,
                true,
                [
                    "TCP  10.0.0.1:80                         3        0        0 1234567890        0",
                    "  -> 192.168.10.3:80                     3        0        0 1234567890        0",
                ],
            ),
            (
                View::Rate,
                false,
                [
                    "TCP  10.0.0.1:80                         1  100000K        0  100000K        0",
                    "  -> 192.168.10.3:80                     1 100000000        0  100000K        0",
                ],
            ),
        ] {
            assert_eq!(lines(&row, view, exact, None), expected, "{view:?} {exact}");
        }
    }

    #[test]
    fn ipv4_names_are_cut_and_ipv6_ones_are_not() {
        let long = "averyveryverylonghostnameforasinglehost";
        let mut names = FixedNames::default();
        for address in ["10.0.0.1", "192.168.10.3", "2001:db8::1"] {
            names.hosts.push((long.to_owned(), address.parse().unwrap()));
        }
        names.services.push(("http".to_owned(), 80, Protocol::Tcp));
        let ipv4 = row(tcp("10.0.0.1:80"), "192.168.10.3:80");
        assert_eq!(
            lines(&ipv4, View::Default, false, Some(&names)),
            [
                "TCP  averyveryverylonghostnamefor rr",
                "  -> averyveryverylonghostnamefor Masq    65535  7          8         ",
            ]
        );
        let ipv6 = row(tcp("[2001:db8::1]:80"), "[2001:db8::1]:80");
        assert_eq!(
            lines(&ipv6, View::Default, false, Some(&names)),
            [
                format!("TCP  [{long}]:http rr"),
                format!("  -> [{long}]:http Masq    65535  7          8         "),
            ]
        );
        let mark = ServiceKey::Fwmark { mark: 7, family: Family::Ipv4 };
        names.hosts.clear();
        assert_eq!(
            lines(&row(mark, "192.168.10.3:80"), View::Default, false, Some(&names)),
            ["FWM  7 rr", "  -> 192.168.10.3:80              Masq    65535  7          8         ",],
            "the port of a mark's server has no protocol, hence no name"
        );
    }

    #[test]
    fn attributes_in_their_order() {
        let mut row = row(tcp("[2001:db8::1]:0"), "[2001:db8::2]:0");
        row.spec.persistence =
            Some(Persistence { timeout_s: 300, mask: PersistenceMask::Ipv6(64) });
        row.spec.persistence_engine = Some("sip".to_owned());
        row.spec.scheduler = SchedulerKind::Sh;
        row.spec.scheduler_flags = SchedulerFlags::FLAG_1;
        row.spec.one_packet = true;
        let title = |row: &ServiceRow| lines(row, View::Default, false, None).swap_remove(0);
        assert_eq!(
            title(&row),
            "TCP  [2001:db8::1]:0 sh (sh-fallback) persistent 300 mask 64 pe sip ops"
        );
        row.spec.persistence =
            Some(Persistence { timeout_s: 300, mask: PersistenceMask::Ipv6(128) });
        row.spec.scheduler_flags = SchedulerFlags::FLAG_3;
        assert_eq!(title(&row), "TCP  [2001:db8::1]:0 sh () persistent 300 pe sip ops");
        row.spec.persistence = None;
        assert_eq!(title(&row), "TCP  [2001:db8::1]:0 sh () ops");
    }
}
