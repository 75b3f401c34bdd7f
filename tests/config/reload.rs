//! What a reload changes, and what it refuses.

use director::api::Command;
use director::config::{Config, Reload, ServiceChange, ServicesUpdate};
use director::model::MssClamp;
use std::fs;
use std::path::Path;

const BASE: &str = r#"
[director]
vips = ["10.0.0.104"]
[dpdk]
workers = 2
[[port]]
name = "wan0"
device = "0000:01:00.0"
addresses = ["10.0.0.1/24"]
gateway = "10.0.0.254"
[[neighbour]]
port = "wan0"
address = "10.0.0.254"
mac = "02:00:00:00:fe:fe"
[[route]]
destination = "172.16.0.0/16"
via = "10.0.0.253"
[timeouts]
tcp = 900
[sysctl]
drop_entry = 1
sync_threshold = "3 50"
[[mark]]
protocol = "tcp"
mark = 7
[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
scheduler = "rr"
[[service.destination]]
address = "10.0.0.11"
weight = 1
[[service.destination]]
address = "10.0.0.12"
[[service]]
protocol = "udp"
address = "10.0.0.100:53"
[[service.destination]]
address = "10.0.0.13"
"#;

fn parse(text: &str) -> Config {
    Config::parse(text, "director.toml").unwrap_or_else(|faults| panic!("{faults}"))
}

/// The changes when `from` is replaced by `to` in the base file.
fn reload(from: &str, to: &str) -> Reload {
    assert_eq!(BASE.matches(from).count(), 1, "{from}");
    parse(BASE).changes(&parse(&BASE.replace(from, to))).unwrap()
}

fn names(commands: &[Command]) -> Vec<String> {
    let name = |command: &Command| match command {
        Command::AddService(spec) => format!("add {}", spec.key),
        Command::EditService(spec) => format!("edit {}", spec.key),
        Command::DeleteService(key) => format!("delete {key}"),
        Command::AddDestination { service, destination } => {
            format!("add {} to {service}", destination.at)
        }
        Command::EditDestination { service, destination } => {
            format!("edit {} of {service}", destination.at)
        }
        Command::DeleteDestination { service, at } => format!("delete {at} of {service}"),
        other => panic!("{other:?}"),
    };
    commands.iter().map(name).collect()
}

#[test]
fn the_same_file_changes_nothing() {
    let config = parse(BASE);
    assert!(config.changes(&config).unwrap().is_empty());
    // Comments and the order of keys do not matter.
    assert!(reload("[dpdk]", "# words\n[dpdk]").is_empty());
}

#[test]
fn the_first_load_adds_everything_in_order() {
    assert_eq!(
        names(&parse(BASE).commands()),
        [
            "add TCP 10.0.0.100:80",
            "add 10.0.0.11:80 to TCP 10.0.0.100:80",
            "add 10.0.0.12:80 to TCP 10.0.0.100:80",
            "add UDP 10.0.0.100:53",
            "add 10.0.0.13:53 to UDP 10.0.0.100:53",
        ]
    );
}

/// Deletions, then changes and additions; `new` for a service that the file did not have.
fn steps(reload: &Reload) -> Vec<String> {
    let change = |change: &ServiceChange| match &change.old {
        Some(old) => {
            assert_eq!(old.spec.key, change.new.spec.key);
            format!("change {}", change.new.spec.key)
        }
        None => format!("new {} with {}", change.new.spec.key, change.new.destinations.len()),
    };
    let services = reload.services.as_ref().unwrap();
    let mut steps = names(&services.deletions);
    steps.extend(services.changes.iter().map(change));
    steps
}

#[test]
fn each_changed_service_is_listed_once() {
    let (tcp, udp) = ("change TCP 10.0.0.100:80", "change UDP 10.0.0.100:53");
    for (from, to, expected) in [
        ("scheduler = \"rr\"", "scheduler = \"lc\"", vec![tcp]),
        ("weight = 1", "weight = 5", vec![tcp]),
        ("weight = 1", "method = \"masq\"", vec![tcp]),
        ("10.0.0.13", "10.0.0.15", vec!["delete 10.0.0.13:53 of UDP 10.0.0.100:53", udp]),
        (
            "[[service.destination]]\naddress = \"10.0.0.12\"\n",
            "",
            vec!["delete 10.0.0.12:80 of TCP 10.0.0.100:80", tcp],
        ),
        (
            "\"10.0.0.100:53\"",
            "\"10.0.0.101:53\"",
            vec!["delete UDP 10.0.0.100:53", "new UDP 10.0.0.101:53 with 1"],
        ),
    ] {
        let reload = reload(from, to);
        assert_eq!(steps(&reload), expected, "{from} to {to}");
        assert_eq!(Reload { services: None, ..reload }, Reload::default());
    }
}

#[test]
fn only_what_changed_is_replaced() {
    let vips = reload("10.0.0.104", "10.0.0.105");
    assert_eq!(
        vips.director.as_ref().unwrap().vips.as_ref().unwrap()[0].to_string(),
        "10.0.0.105/32"
    );
    assert_eq!(Reload { director: None, ..vips }, Reload::default());

    let neighbours = reload("fe:fe", "fe:ff");
    assert_eq!(neighbours.neighbours.unwrap()[0].mac.to_string(), "02:00:00:00:fe:ff");
    assert_eq!(
        reload("172.16", "172.17").routes.unwrap()[0].destination.to_string(),
        "172.17.0.0/16"
    );
    assert_eq!(reload("mark = 7", "mark = 8").marks.unwrap()[0].mark, 8);
    let timeouts = reload("tcp = 900", "tcp = 901").timeouts.unwrap();
    assert_eq!((timeouts.tcp, timeouts.tcp_fin, timeouts.udp), (901, 0, 0), "0 keeps the value");
    let ports = reload("gateway = \"10.0.0.254\"", "gateway = \"10.0.0.253\"").ports.unwrap();
    assert_eq!(ports[0].gateway.unwrap().to_string(), "10.0.0.253");
}

#[test]
fn answers_from_vips_change_while_the_director_runs() {
    let refusing = reload("[director]", "[director]\nforward_vip_answers = false");
    assert_eq!(refusing.director.as_ref().unwrap().forward_vip_answers, Some(false));
    assert_eq!(Reload { director: None, ..refusing }, Reload::default());
    assert!(reload("[director]", "[director]\nforward_vip_answers = true").is_empty());
}

#[test]
fn the_mss_clamp_changes_while_the_director_runs() {
    let with = |clamp: &str| parse(&format!("{BASE}[tcp]\nmss_clamp = {clamp}\n"));
    let files = [parse(BASE), with("\"off\""), with("\"pmtu\""), with("1400")];
    let clamps = [MssClamp::Off, MssClamp::Off, MssClamp::PathMtu, MssClamp::Bytes(1400)];
    for (old, from) in files.iter().zip(clamps) {
        for (new, to) in files.iter().zip(clamps) {
            let reload = old.changes(new).unwrap();
            assert_eq!(reload.mss_clamp, (from != to).then_some(to), "{from:?} to {to:?}");
            assert_eq!(Reload { mss_clamp: None, ..reload }, Reload::default());
        }
    }
}

#[test]
fn only_changed_settings_are_set() {
    let changed = |from, to| reload(from, to).sysctls.unwrap();
    assert_eq!(changed("drop_entry = 1", "drop_entry = 2"), [("drop_entry", "2".to_owned())]);
    // A removed setting returns to its default.
    assert_eq!(changed("drop_entry = 1\n", ""), [("drop_entry", "0".to_owned())]);
    let mut running = parse(BASE).sysctls;
    running.set("sloppy_tcp", "1").unwrap();
    for (name, value) in changed("\"3 50\"", "\"2 9\"") {
        running.set(name, &value).unwrap();
    }
    assert_eq!((running.sync_threshold, running.sync_period), (2, 9));
    assert_eq!(running.sloppy_tcp, 1, "set at run time, in neither file");
}

#[test]
fn keys_read_at_start_only_are_refused_by_name() {
    for (from, to, key) in [
        ("workers = 2", "workers = 3", "dpdk.workers"),
        ("workers = 2", "workers = 2\nno_huge = true\nmemory_mb = 600", "dpdk.no_huge"),
        ("[dpdk]", "[tables]\nconnections = 64\n[dpdk]", "tables.connections"),
        ("[director]", "[director]\nsocket = \"/run/other.sock\"", "director.socket"),
        ("0000:01:00.0", "0000:01:00.1", "port.device of wan0"),
        ("gateway = ", "mtu = 2000\ngateway = ", "port.mtu of wan0"),
        ("gateway = ", "kernel = true\ngateway = ", "port.kernel of wan0"),
        ("gateway = ", "side = \"clients\"\ngateway = ", "port.side of wan0"),
        (
            "[[neighbour]]",
            "[[port]]\nname = \"lan0\"\ndevice = \"0000:01:00.1\"\n[[neighbour]]",
            "port.name",
        ),
    ] {
        let new = parse(&BASE.replace(from, to));
        let faults = parse(BASE).changes(&new).unwrap_err().to_string();
        let expected = format!(
            "director.toml: {key}: it changed, and is read at start only; restart directord or \
             undo the change"
        );
        assert!(faults.starts_with(&expected), "{faults}");
    }
}

/// Applying the changes between two files to the services of the first gives those of the second.
#[test]
fn reloads_between_all_shipped_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let services: Vec<_> = ["director.toml", "nat.toml", "tunnel.toml", "direct-routing.toml"]
        .iter()
        .map(|name| fs::read_to_string(folder.join(name)).unwrap())
        .map(|text| text[text.find("[[service]]").unwrap()..].to_owned())
        .chain([String::new()])
        .collect();
    let head = "[[port]]\nname = \"a\"\ndevice = \"0000:01:00.0\"\naddresses = [\"10.0.0.1/24\"]\n";
    for old in services.iter().map(|services| parse(&format!("{head}{services}"))) {
        for new in services.iter().map(|services| parse(&format!("{head}{services}"))) {
            let mut table = Table::default();
            old.commands().into_iter().for_each(|command| table.apply(command));
            if let Some(update) = old.changes(&new).unwrap().services {
                let ServicesUpdate { deletions, changes } = update;
                deletions.into_iter().for_each(|command| table.apply(command));
                changes.into_iter().for_each(|change| table.follow(change));
            }
            let mut fresh = Table::default();
            new.commands().into_iter().for_each(|command| fresh.apply(command));
            assert_eq!(table, fresh);
        }
    }
}

/// Services as text; panics where a director would refuse a command.
#[derive(Debug, Default, PartialEq)]
struct Table(
    std::collections::BTreeMap<String, (String, std::collections::BTreeMap<String, String>)>,
);

impl Table {
    /// The old service must be as in the file.
    fn follow(&mut self, change: ServiceChange) {
        let old = self.0.remove(&format!("{:?}", change.new.spec.key));
        assert_eq!(old.is_some(), change.old.is_some());
        change.new.commands().for_each(|command| self.apply(command));
    }

    fn apply(&mut self, command: Command) {
        let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
        match command {
            Command::AddService(spec) => {
                let old = self.0.insert(text(&spec.key), (text(&spec), Default::default()));
                assert!(old.is_none());
            }
            Command::EditService(spec) => self.0.get_mut(&text(&spec.key)).unwrap().0 = text(&spec),
            Command::DeleteService(key) => assert!(self.0.remove(&text(&key)).is_some()),
            Command::AddDestination { service, destination } => {
                let destinations = &mut self.0.get_mut(&text(&service)).unwrap().1;
                assert!(destinations.insert(text(&destination.at), text(&destination)).is_none());
            }
            Command::EditDestination { service, destination } => {
                let destinations = &mut self.0.get_mut(&text(&service)).unwrap().1;
                *destinations.get_mut(&text(&destination.at)).unwrap() = text(&destination);
            }
            Command::DeleteDestination { service, at } => {
                let destinations = &mut self.0.get_mut(&text(&service)).unwrap().1;
                assert!(destinations.remove(&text(&at)).is_some());
            }
            other => panic!("{other:?}"),
        }
    }
}
