//! The shipped configuration files are valid and mean what their comments say.

use director::config::{Config, RouteHop};
use director::model::{
    Family, ForwardMethod, InterfaceId, MssClamp, PersistenceMask, Protocol, SchedulerFlags,
    SchedulerKind, ServiceKey, Sysctls, Tunnel, TunnelChecksum,
};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn load(name: &str) -> Config {
    Config::load(&folder().join(name)).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn every_shipped_file_is_valid() {
    let mut files = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            Config::load(&path).unwrap_or_else(|faults| panic!("{faults}"));
            files += 1;
        }
    }
    assert!(files >= 5, "{files} files in config/");
}

#[test]
fn the_configuration_for_pktgen_is_valid() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/pktgen/director.toml");
    let config = Config::load(&file).unwrap_or_else(|faults| panic!("{faults}"));
    // pktgen does not answer ARP, so every next hop needs a static neighbour.
    assert_eq!((config.ports.len(), config.services.len(), config.neighbours.len()), (2, 2, 3));
}

#[test]
fn the_readme_explains_every_key() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for line in fs::read_to_string(folder().join("director.toml")).unwrap().lines() {
        let line = line.trim_start_matches("# ");
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if key.chars().all(|letter| letter.is_ascii_lowercase() || "_6".contains(letter)) {
            assert!(readme.contains(&format!("`{key}`")), "{key} is not in config/README.md");
        }
    }
    for setting in Sysctls::default().iter() {
        let (name, default) = (setting.name, setting.default.replace('\t', " "));
        let row = format!("| `{name}` | {default} | {} | {} |", setting.allowed, setting.help);
        assert!(readme.lines().any(|line| line == row), "not in config/README.md: {row}");
    }
    for (name, why) in Sysctls::refused() {
        let row = format!("| `{name}` | {why} |");
        assert!(readme.lines().any(|line| line == row), "not in config/README.md: {row}");
    }
}

#[test]
fn the_minimal_file_has_the_defaults() {
    let config = load("minimal.toml");
    assert_eq!(config.director.socket, Path::new("/run/director/control.sock"));
    assert_eq!(config.director.unserved, None);
    assert_eq!((config.dpdk.workers, config.dpdk.cores.len()), (1, 0));
    assert_eq!(config.dpdk.file_prefix, "director");
    assert_eq!((config.dpdk.memory_mb, config.dpdk.mbufs), (None, None));
    assert_eq!(config.tables.connections, 1 << 20);
    assert_eq!(config.tables.connections_ipv6, 1 << 18);
    assert_eq!(config.ports[0].mtu, 1500);
    assert_eq!(
        (config.timeouts.tcp, config.timeouts.tcp_fin, config.timeouts.udp),
        (900, 120, 300)
    );
    assert_eq!(config.mss_clamp, MssClamp::Off);
    assert!(config.commands().is_empty());
}

#[test]
fn the_mss_clamp_is_a_keyword_or_a_number() {
    for (value, clamp) in [
        (r#""off""#, MssClamp::Off),
        (r#""pmtu""#, MssClamp::PathMtu),
        ("536", MssClamp::Bytes(536)),
        ("1_400", MssClamp::Bytes(1400)),
        ("65495", MssClamp::Bytes(65_495)),
    ] {
        let text = format!(
            "[tcp]\nmss_clamp = {value}\n[[port]]\nname = \"a\"\ndevice = \"0000:01:00.0\"\n"
        );
        assert_eq!(Config::parse(&text, "f").unwrap().mss_clamp, clamp);
    }
}

#[test]
fn every_key_of_the_full_file_is_read() {
    let config = load("director.toml");
    assert_eq!((config.dpdk.workers, config.dpdk.control_core), (2, Some(0)));
    assert_eq!(config.director.vips[0].to_string(), "10.0.0.104/32");
    assert_eq!(config.ports[0].addresses[1].to_string(), "fd00:a::1/64");
    assert_eq!(config.ports[0].gateway.unwrap().to_string(), "10.0.0.254");
    assert_eq!(config.neighbours[0].interface, InterfaceId(0));
    assert_eq!(config.neighbours[0].mac.to_string(), "02:00:00:00:fe:fe");
    let router = "192.168.10.254".parse().unwrap();
    assert_eq!(config.routes[0].hop, RouteHop::Via { interface: InterfaceId(1), router });
    assert_eq!(config.routes[0].mtu, Some(1400));
    assert_eq!(config.mss_clamp, MssClamp::Off);
    assert_eq!((config.sysctls.sync_threshold, config.sysctls.sync_period), (3, 50));
    assert_eq!(config.marks[1].destination_ports.to_string(), "443");
    assert_eq!((config.marks[0].protocol, config.marks[0].mark), (Some(Protocol::Tcp), 7));

    let [web, nat, tunnel, dns, marked, ipv6] = config.services.as_slice() else {
        panic!("{} services", config.services.len())
    };
    assert_eq!(web.spec.key.to_string(), "TCP 10.0.0.100:80");
    assert_eq!((web.destinations[0].weight, web.destinations[1].weight), (2, 1));
    assert_eq!(nat.destinations[0].method, ForwardMethod::Masq);
    assert_eq!(nat.destinations[0].at.port, 8080);
    assert_eq!(nat.destinations[0].lower_threshold, 800);
    assert_eq!(tunnel.spec.scheduler, SchedulerKind::Sh);
    let both = SchedulerFlags::FLAG_1 | SchedulerFlags::FLAG_2;
    assert_eq!(tunnel.spec.scheduler_flags, both);
    let mask = PersistenceMask::Ipv4([255, 255, 255, 0].into());
    assert_eq!(tunnel.spec.persistence.unwrap().mask, mask);
    assert_eq!(tunnel.destinations[0].at.port, 443, "the service's port");
    assert_eq!(tunnel.destinations[0].tunnel, Tunnel::Ipip);
    let gue = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None };
    assert_eq!(tunnel.destinations[1].tunnel, gue);
    assert!(dns.spec.one_packet);
    assert_eq!(marked.spec.key, ServiceKey::Fwmark { mark: 7, family: Family::Ipv4 });
    assert_eq!(marked.destinations[0].at.port, 0);
    assert_eq!(ipv6.spec.persistence.unwrap().mask, PersistenceMask::Ipv6(64));
}

#[test]
fn no_huge_has_its_own_default_memory() {
    let text = "[dpdk]\nno_huge = true\n[[port]]\nname = \"a\"\ndevice = \"0000:01:00.0\"\n";
    assert_eq!(Config::parse(text, "f").unwrap().dpdk.memory_mb, Some(512));
}

/// 3,000 services with 10 destinations each: parsing must not be quadratic.
#[test]
fn a_large_file_is_parsed_and_reloaded() {
    use std::fmt::Write;

    let mut text = fs::read_to_string(folder().join("minimal.toml")).unwrap();
    for service in 0..3_000 {
        let (high, low) = (service / 250, service % 250 + 1);
        let protocol = "[[service]]\nprotocol = \"tcp\"\n";
        writeln!(text, "{protocol}address = \"10.1.{high}.{low}:80\"").unwrap();
        for server in 1..=10 {
            let method = "method = \"masq\"";
            let address = format!("address = \"192.168.{server}.{low}:8080\"");
            writeln!(text, "[[service.destination]]\n{address}\n{method}").unwrap();
        }
    }
    let config = Config::parse(&text, "f").unwrap();
    assert_eq!(config.commands().len(), 33_000);
    let edited = text.replace("10.1.3.7:80", "10.1.3.7:81");
    let reload = config.changes(&Config::parse(&edited, "f").unwrap()).unwrap();
    let services = reload.services.unwrap();
    assert_eq!((services.deletions.len(), services.changes.len()), (1, 1));
    assert_eq!(services.changes[0].new.destinations.len(), 10);
}
