//! Writes the topology of the transcripts as the director's configuration file.

use crate::topology::{Route, Topology};
use crate::transcript::Transcript;
use std::net::IpAddr;
use std::path::Path;
use toml::{Table, Value};

/// What differs between directors that run at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub socket: &'a Path,
    /// DPDK file prefix.
    pub file_prefix: &'a str,
    /// Core of the only worker.
    pub core: usize,
}

/// The configuration file for one transcript.
///
/// # Errors
/// One sentence that quotes the part of the topology or of the mark rules that is not understood.
pub fn write(topology: &Topology, transcript: &Transcript, place: Place) -> Result<String, String> {
    let mut file = Table::new();
    file.insert("director".into(), director(topology, place).into());
    file.insert("dpdk".into(), dpdk(topology, place).into());
    file.insert("tables".into(), tables().into());
    let routes = topology.parsed_routes()?;
    let (gateways, others): (Vec<_>, Vec<_>) =
        routes.iter().partition(|route| route.destination.is_none());
    file.insert("port".into(), ports(topology, &gateways)?.into());
    file.insert("neighbour".into(), neighbours(topology).into());
    file.insert("route".into(), others.into_iter().map(route).collect::<Vec<Value>>().into());
    if !transcript.sysctl.0.is_empty() {
        file.insert("sysctl".into(), sysctl(transcript).into());
    }
    let marks = transcript.shell.iter().filter_map(|line| mark(line).transpose());
    let marks = marks.collect::<Result<Vec<Table>, String>>()?;
    if !marks.is_empty() {
        file.insert("mark".into(), marks.into());
    }
    toml::to_string(&file).map_err(|error| format!("cannot write the configuration: {error}"))
}

fn table<const N: usize>(pairs: [(&str, Value); N]) -> Table {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn integer(value: usize) -> Value {
    Value::Integer(value as i64)
}

fn director(topology: &Topology, place: Place) -> Table {
    table([
        ("socket", place.socket.display().to_string().into()),
        ("vips", topology.vips.clone().into()),
    ])
}

fn dpdk(topology: &Topology, place: Place) -> Table {
    let devices = topology.ports.keys().enumerate();
    let devices = devices.map(|(at, name)| format!("net_af_xdp{at},iface={name}"));
    table([
        ("cores", vec![integer(place.core)].into()),
        ("no_huge", true.into()),
        ("memory_mb", integer(256)),
        ("mbufs", integer(4095)),
        ("vdevs", devices.collect::<Vec<String>>().into()),
        ("arguments", vec!["--no-pci"].into()),
        ("file_prefix", place.file_prefix.into()),
    ])
}

/// Small tables, because a transcript has a few hundred connections and each director must start quickly.
fn tables() -> Table {
    table([
        ("connections", integer(16384)),
        ("connections_ipv6", integer(16384)),
        ("services", integer(256)),
        ("destinations", integer(4096)),
        ("templates", integer(4096)),
    ])
}

fn ports(topology: &Topology, gateways: &[&Route]) -> Result<Vec<Table>, String> {
    let mut homeless = gateways.to_vec();
    let mut tables = Vec::new();
    for (at, (name, port)) in topology.ports.iter().enumerate() {
        let mut port_table = table([
            ("name", name.as_str().into()),
            ("device", format!("net_af_xdp{at}").into()),
            ("addresses", port.addrs.clone().into()),
            ("mtu", integer(1500)),
        ]);
        homeless.retain(|gateway| {
            let here = port.addrs.iter().any(|network| contains(network, gateway.via));
            let key = if gateway.via.is_ipv4() { "gateway" } else { "gateway_ipv6" };
            if here {
                port_table.insert(key.into(), gateway.via.to_string().into());
            }
            !here
        });
        tables.push(port_table);
    }
    match homeless.first() {
        Some(gateway) => Err(format!("topology: no port reaches the gateway {}", gateway.via)),
        None => Ok(tables),
    }
}

/// True if `network`, an address with a prefix length, contains `address`.
fn contains(network: &str, address: IpAddr) -> bool {
    let Some((base, length)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    let (base, address, width) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            (u128::from(base.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    (base ^ address).checked_shr(width - length.min(width)).unwrap_or(0) == 0
}

fn neighbours(topology: &Topology) -> Vec<Table> {
    let all = topology.ports.iter();
    let all = all.flat_map(|(name, port)| port.neigh.iter().map(move |pair| (name, pair)));
    all.map(|(name, (address, mac))| {
        table([
            ("port", name.as_str().into()),
            ("address", address.to_string().into()),
            ("mac", mac.as_str().into()),
        ])
    })
    .collect()
}

fn route(route: &Route) -> Value {
    let destination = route.destination.clone().unwrap_or_default();
    table([("destination", destination.into()), ("via", route.via.to_string().into())]).into()
}

fn sysctl(transcript: &Transcript) -> Table {
    let number =
        |value: &String| value.parse::<i64>().map_or_else(|_| value.clone().into(), Value::Integer);
    transcript.sysctl.0.iter().map(|(name, value)| (name.clone(), number(value))).collect()
}

/// Translates an `nft add rule` or `iptables -A` that sets a mark into a `[[mark]]` rule; `None` for commands that only
/// prepare such a rule.
fn mark(line: &str) -> Result<Option<Table>, String> {
    if line.starts_with("nft") && !line.starts_with("nft add rule") {
        return Ok(None);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut rule = Table::new();
    for pair in words.windows(2) {
        let value = pair[1].to_owned();
        match pair[0] {
            "tcp" | "udp" | "sctp" => drop(rule.insert("protocol".into(), pair[0].into())),
            "-p" => drop(rule.insert("protocol".into(), value.into())),
            "saddr" | "-s" => drop(rule.insert("source".into(), value.into())),
            "daddr" | "-d" => drop(rule.insert("destination".into(), value.into())),
            _ => {}
        }
        let value = pair[1].replace(':', "-");
        match pair[0] {
            "sport" | "--sport" => drop(rule.insert("source_ports".into(), value.into())),
            "dport" | "--dport" => drop(rule.insert("destination_ports".into(), value.into())),
            "set" | "--set-mark" => {
                let number = value.parse().map_err(|_| format!("mark {value} in \"{line}\""))?;
                rule.insert("mark".into(), Value::Integer(number));
            }
            _ => {}
        }
    }
    match rule.contains_key("mark") {
        true => Ok(Some(rule)),
        false => Err(format!("cannot write a mark rule for \"{line}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_from_kernel_rules() {
        for (line, wanted) in [
            ("nft add table ip m", None),
            ("nft 'add chain ip m pre { type filter hook prerouting priority mangle ; }'", None),
            (
                "nft add rule ip m pre tcp dport 80 meta mark set 7",
                Some("destination_ports = \"80\"\nmark = 7\nprotocol = \"tcp\"\n"),
            ),
            (
                "iptables -t mangle -A PREROUTING -p udp -d 10.0.0.1 --dport 80:90 -j MARK --set-mark 3",
                Some(
                    "destination = \"10.0.0.1\"\ndestination_ports = \"80-90\"\nmark = 3\nprotocol = \"udp\"\n",
                ),
            ),
        ] {
            let rule = mark(line).unwrap();
            let text = rule.map(|rule| toml::to_string(&rule).unwrap());
            assert_eq!(text.as_deref(), wanted, "{line}");
        }
        assert!(mark("iptables -A INPUT -j DROP").is_err());
    }

    #[test]
    fn a_gateway_belongs_to_the_port_that_reaches_it() {
        for (network, address, inside) in [
            ("10.0.0.1/24", "10.0.0.254", true),
            ("10.0.0.1/24", "10.0.1.254", false),
            ("10.0.0.1/0", "192.168.0.1", true),
            ("fd00:a::1/64", "fd00:a::fe", true),
            ("fd00:a::1/64", "fd00:b::fe", false),
            ("fd00:a::1/64", "10.0.0.1", false),
        ] {
            assert_eq!(contains(network, address.parse().unwrap()), inside, "{network} {address}");
        }
    }

    #[test]
    fn the_file_has_the_whole_topology() {
        let topology: Topology = serde_json::from_str(
            r#"{"ports": {"wan0": {"mac": "m", "peer_mac": "p", "addrs": ["10.0.0.1/24"], "neigh": {"10.0.0.254": "02:00:00:00:fe:fe"}}},
                "vips": ["10.0.0.100/32"], "routes": ["default via 10.0.0.254", "172.16.0.0/16 via 10.0.0.9"]}"#,
        )
        .unwrap();
        let transcript: Transcript = serde_json::from_str(
            r#"{"name": "n", "sysctl": {"net.ipv4.vs.sloppy_tcp": 1}, "steps": []}"#,
        )
        .unwrap();
        let place = Place { socket: Path::new("/s"), file_prefix: "p", core: 1 };
        let text = write(&topology, &transcript, place).unwrap();
        let file: Table = text.parse().unwrap();
        assert_eq!(file["port"][0]["gateway"].as_str(), Some("10.0.0.254"));
        assert_eq!(file["neighbour"][0]["port"].as_str(), Some("wan0"));
        assert_eq!(file["route"][0]["via"].as_str(), Some("10.0.0.9"));
        assert_eq!(file["sysctl"]["sloppy_tcp"].as_integer(), Some(1));
        assert_eq!(file["dpdk"]["vdevs"][0].as_str(), Some("net_af_xdp0,iface=wan0"));
    }
}
