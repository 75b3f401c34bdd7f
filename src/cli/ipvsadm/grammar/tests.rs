//! Command lines, what they mean, and what is said about wrong ones.

use super::*;
use crate::api::SyncRole;
use crate::cli::ipvsadm::names::FixedNames;
use crate::model::ForwardMethod;
use crate::model::{PersistenceMask, Timeouts, TunnelChecksum};
use proptest::prelude::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn line(text: &str) -> Result<CommandLine, UsageError> {
    parse(&words(text), &FixedNames::default())
}

fn change_of(text: &str) -> Command {
    match line(text) {
        Ok(CommandLine::Change(command)) => command,
        other => panic!("{text}: {other:?}"),
    }
}

fn service_of(text: &str) -> ServiceSpec {
    match change_of(text) {
        Command::AddService(spec) | Command::EditService(spec) => spec,
        other => panic!("{text}: {other:?}"),
    }
}

fn destination_of(text: &str) -> DestinationSpec {
    match change_of(text) {
        Command::AddDestination { destination, .. }
        | Command::EditDestination { destination, .. } => destination,
        other => panic!("{text}: {other:?}"),
    }
}

const TRY_HELP: &str = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";

#[test]
fn lines_that_are_not_its_language() {
    for text in [
        "-n",
        "-t 10.0.0.1:80 -A",
        "--foo",
        "--lis",
        "-V",
        "--set=5",
        "--start-daemon",
        "foo",
        "-6",
    ] {
        let error = line(text).unwrap_err();
        assert_eq!((error.message.as_str(), error.status), (TRY_HELP, 255), "{text}");
    }
    for (text, message) in [
        ("-A -t", "-t: missing argument"),
        ("-L --bogus", "--bogus: unknown option"),
        ("-L --num", "--num: unknown option"),
        ("--set -1 0 0", "-1: unknown option"),
        ("-A -t 10.0.0.1:80 -p -5", "-5: unknown option"),
        ("-L --numeric=1", "--numeric=1: option does not take an argument"),
    ] {
        let error = line(text).unwrap_err();
        assert_eq!((error.message.as_str(), error.status), (message, 255), "{text}");
    }
}

const ADDRESS: &str = "illegal virtual server address[:port] specified";

/// Lines with a wrong value or combination, and what is said about them.
const WRONG: &[(&str, &str)] = &[
    ("-A -t 10.0.0.1", "Zero port specified for non-persistent service"),
    ("-A -t 10.0.0.1:80 -r 1.2.3.4", "Illegal 'real-server' option with the 'add-service' command"),
    ("-A -t 10.0.0.1:80 -w 1", "Illegal 'weight' option with the 'add-service' command"),
    ("-A", "You need to supply the 'service-address' option for the 'add-service' command"),
    (
        "-a -t 10.0.0.1:80",
        "You need to supply the 'real-server' option for the 'add-server' command",
    ),
    ("-a -w 1", "You need to supply the 'service-address' option for the 'add-server' command"),
    (
        "-d -t 10.0.0.1:80 -r 1.2.3.4 -w 1",
        "Illegal 'weight' option with the 'delete-server' command",
    ),
    ("-C -t 10.0.0.1:80", "Illegal 'service-address' option with the 'flush' command"),
    ("-A -D -t 10.0.0.1:80", "invalid option `-D'"),
    ("-AnD", "invalid option `-AnD'"),
    ("-L -h", "invalid option `-h'"),
    ("-L --clear", "invalid option `--clear'"),
    ("-L --start-daemon master", "invalid option `master'"),
    ("-L --start-daemon=master", "invalid option `--start-daemon=master'"),
    (
        "-L -t 10.0.0.1:80 --timeout",
        "The option 'timeout' conflicts with the 'service-address' option in the 'list' command",
    ),
    (
        "-L -c -t 10.0.0.1:80",
        "The option 'service-address' conflicts with the 'connection' option in the 'list' command",
    ),
    ("-L -c --stats", "options conflicts in the list command"),
    ("-L --daemon --persistent-conn", "options conflicts in the list command"),
    ("-L -s rr", "Illegal 'scheduler' option with the 'list' command"),
    ("-Z -n", "Illegal 'numeric' option with the 'zero' command"),
    (
        "-a -t 10.0.0.1:80 -r [2001:db8::1]:80 -m",
        "Different address family is allowed only for tunneling servers",
    ),
    ("--set 1 2", "--set option requires 3 timeout values"),
    ("--set 1 2 3 4", "unexpected argument 4"),
    ("--set -- -1 2 3", "invalid timeout value `-1' specified"),
    ("--set 1 2 2678401", "invalid timeout value `2678401' specified"),
    ("-L foo", "unexpected argument foo"),
    ("foo -L", "unexpected argument foo"),
    ("-A -tcp-service X", ADDRESS),
    ("-A -t 300.0.0.1:80", ADDRESS),
    ("-A -t 10.0.0.1:99999", ADDRESS),
    ("-A -t 1234", ADDRESS),
    ("-A -t 10.0.0.100:82 -u 10.0.0.100:82", "multiple 'service-address' options specified"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 -m -m", "multiple 'forwarding-method' options specified"),
    ("-Lnn", "multiple 'numeric' options specified"),
    ("-A -f 0 -s rr", "invalid fwmark value `0' specified"),
    ("-A -f abc", "invalid fwmark value `abc' specified"),
    ("-A -f 4294967296", "invalid fwmark value `4294967296' specified"),
    ("-A -6 -f 1", "-6 used before -f\n"),
    ("-A -t [::1]:80 -6", "-6 used before -f\n"),
    ("-A -t 10.0.0.100:83 -s rr -p 0", "invalid timeout value `0' specified"),
    ("-A -t 10.0.0.1:80 -M nosuch", "illegal virtual server persistent mask specified"),
    ("-A -t [::1]:80 -M 129", "illegal ipv6 netmask specified"),
    ("-A -t [::1]:80 -M 0", "illegal ipv6 netmask specified"),
    ("-A -t 10.0.0.1:80 -o", "One-Packet Scheduling is only for UDP virtual services"),
    ("-A -t 10.0.0.1:80 -b nosuch", "invalid scheduler flag `nosuch'"),
    ("-A -t 10.0.0.1:80 -b sh-port", "incompatible scheduler flag `sh-port'"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 -w -1", "illegal weight specified"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 -w 2147483648", "illegal weight specified"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 -x a", "illegal u_threshold specified"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 -y a", "illegal l_threshold specified"),
    ("-a -t 10.0.0.1:80 -r 1234", "illegal real server address[:port] specified"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 --tun-type x", "illegal tunnel type specified"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 --tun-port 0", "illegal tunnel port specified"),
    ("-a -t 10.0.0.1:80 -r 1.2.3.4 --tun-csum", "Tunnel options conflict with forward method"),
    (
        "-a -t 10.0.0.1:80 -r 1.2.3.4 -i --tun-type gue",
        "You need to supply the 'tun-port' option for the 'gue' tunnel type",
    ),
    (
        "-a -t 10.0.0.1:80 -r 1.2.3.4 -i --tun-port 6",
        "Illegal 'tun-port' option with the 'ipip' tunnel type",
    ),
    (
        "-a -t 10.0.0.1:80 -r 1.2.3.4 -i --tun-csum",
        "Illegal 'tun-csum' option with the 'ipip' tunnel type",
    ),
    (
        "-a -t 10.0.0.1:80 -r 1.2.3.4 -i --tun-type gre --tun-remcsum",
        "Illegal 'tun-remcsum' option with the 'gre' tunnel type",
    ),
    (
        "-a -t 10.0.0.1:80 -r 1.2.3.4 -i --tun-type gre --tun-csum --tun-nocsum",
        "The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gre' tunnel type",
    ),
    ("--start-daemon slave", "illegal start-daemon parameter specified"),
    ("--stop-daemon slave", "illegal start_daemon specified"),
    ("--start-daemon master --syncid 256", "illegal syncid specified"),
    ("--start-daemon master --sync-maxlen 65508", "illegal sync-maxlen specified"),
    ("--start-daemon master --mcast-port 0", "illegal mcast-port specified"),
    ("--start-daemon master --mcast-ttl 256", "illegal mcast-ttl specified"),
    ("--start-daemon master --mcast-group 10.0.0.1", "invalid IPv4 mcast-group `10.0.0.1'"),
    ("--start-daemon master --mcast-group ::1", "invalid IPv6 mcast-group `::1'"),
];

#[test]
fn wrong_values_and_combinations() {
    for (text, message) in WRONG {
        let error = line(text).unwrap_err();
        assert_eq!((error.message.as_str(), error.status), (*message, 2), "{text}");
    }
}

#[test]
fn services_and_their_defaults() {
    let plain = service_of("-A -t 10.0.0.1:80");
    let address = "10.0.0.1".parse().unwrap();
    let key = ServiceKey::Address { protocol: Protocol::Tcp, address, port: 80 };
    assert_eq!(
        plain,
        ServiceSpec {
            key,
            scheduler: SchedulerKind::Wlc,
            scheduler_flags: SchedulerFlags::empty(),
            one_packet: false,
            persistence: None,
            persistence_engine: None,
        }
    );
    let mask = |text: &str| PersistenceMask::Ipv4(text.parse().unwrap());
    for (text, timeout_s, mask) in [
        ("-A -t 10.0.0.1 -p", 360, mask("255.255.255.255")),
        ("-A -t 10.0.0.1 -p 60 -M 255.255.0.0", 60, mask("255.255.0.0")),
        ("-A -t 10.0.0.1 -p=60 -M 24", 60, mask("0.0.0.24")),
        ("-A -t 2001:db8::1 -p", 360, PersistenceMask::Ipv6(128)),
        ("-A -t 2001:db8::1 -p -M 64x", 360, PersistenceMask::Ipv6(64)),
        ("-A -M 64 -t 2001:db8::1 -p", 360, PersistenceMask::Ipv6(128)),
        ("-A -f 3 -6 -p -M 64", 360, PersistenceMask::Ipv6(64)),
    ] {
        assert_eq!(service_of(text).persistence, Some(Persistence { timeout_s, mask }), "{text}");
    }
    assert_eq!(service_of("-A -t 10.0.0.1:80 -M 255.0.0.0").persistence, None);
    let nameless = parse(
        &["-A", "-f7", "--pe", "", "-s", "", "-b", ""].map(str::to_owned),
        &FixedNames::default(),
    );
    assert_eq!(nameless, line("-A -f 7"), "empty names are none");
    let sip = service_of("-E -u 10.0.0.1:5060 -s sh -b sh-port,flag-1 --pe sip -o -p");
    assert_eq!(sip.scheduler_flags, SchedulerFlags::FLAG_1 | SchedulerFlags::FLAG_2);
    assert_eq!((sip.one_packet, sip.persistence_engine.as_deref()), (true, Some("sip")));
    assert_eq!(
        service_of("-A -f 4294967295 -6 --sort --sort").key,
        ServiceKey::Fwmark { mark: u32::MAX, family: Family::Ipv6 }
    );
    assert_eq!(
        line("-A -t 10.0.0.1:80 -s bogus"),
        Ok(CommandLine::UnknownScheduler { adding: true, key })
    );
}

#[test]
fn destinations_take_the_port_their_method_allows() {
    for (text, expected) in [
        ("-a -t 10.0.0.1:80 -r 1.2.3.4", "1.2.3.4:80"),
        ("-a -t 10.0.0.1:80 -r 1.2.3.4:99", "1.2.3.4:80"),
        ("-a -t 10.0.0.1:80 -r 1.2.3.4:99 -i", "1.2.3.4:80"),
        ("-a -t 10.0.0.1:80 -r 1.2.3.4:99 -m", "1.2.3.4:99"),
        ("-e -t 10.0.0.1:80 -r 1.2.3.4 -m", "1.2.3.4:80"),
        ("-a -r 1.2.3.4 -t 10.0.0.1:80 -m", "1.2.3.4:0"),
        ("-a -f 7 -r 1.2.3.4:99", "1.2.3.4:99"),
        ("-a -f 7 -r 1.2.3.4", "1.2.3.4:0"),
        ("-a -t [2001:db8::9]:80 -r 1.2.3.4 -i", "1.2.3.4:80"),
    ] {
        assert_eq!(destination_of(text).at.to_string(), expected, "{text}");
    }
    let names = FixedNames {
        services: vec![("http".to_owned(), 80, Protocol::Tcp)],
        ..FixedNames::default()
    };
    for (text, named) in [
        ("-a -f 7 -r 1.2.3.4:http", true),
        ("-a -t 10.0.0.1:80 -r 1.2.3.4:http", true),
        ("-a -u 10.0.0.1:80 -r 1.2.3.4:http", false),
        ("-a -r 1.2.3.4:http -t 10.0.0.1:80", false),
    ] {
        assert_eq!(parse(&words(text), &names).is_ok(), named, "{text}");
    }
    let at = |text| match change_of(text) {
        Command::DeleteDestination { at, .. } => at.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(at("-d -t 10.0.0.1:80 -r 1.2.3.4:99"), "1.2.3.4:99");
    assert_eq!(at("-d -t 10.0.0.1:80 -r 1.2.3.4"), "1.2.3.4:80");
}

#[test]
fn destinations_and_their_defaults() {
    let plain = destination_of("-a -t 10.0.0.1:80 -r 1.2.3.4");
    assert_eq!((plain.method, plain.weight), (ForwardMethod::Route, 1));
    assert_eq!((plain.upper_threshold, plain.lower_threshold), (0, 0));
    let full = destination_of("-a -t 10.0.0.1:80 -r 1.2.3.4 -m -w 2147483647 -x 9 -y 3");
    assert_eq!((full.method, full.weight), (ForwardMethod::Masq, 2_147_483_647));
    assert_eq!((full.upper_threshold, full.lower_threshold), (9, 3));
    for (options, tunnel) in [
        ("", Tunnel::Ipip),
        ("--tun-type ipip", Tunnel::Ipip),
        (
            "--tun-type gue --tun-port 6080 --tun-remcsum",
            Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Remote },
        ),
        ("--tun-csum --tun-type gre", Tunnel::Gre { checksum: TunnelChecksum::Full }),
        ("--tun-type gre", Tunnel::Gre { checksum: TunnelChecksum::None }),
    ] {
        let spec = destination_of(&format!("-a -t 10.0.0.1:80 -r 1.2.3.4 -i {options}"));
        assert_eq!((spec.method, spec.tunnel), (ForwardMethod::Tunnel, tunnel), "{options}");
    }
}

#[test]
fn the_other_commands() {
    assert_eq!(line(""), Ok(CommandLine::LIST));
    assert_eq!(line("-l"), Ok(CommandLine::LIST));
    assert_eq!(line("-L --sort --syncid 3"), Ok(CommandLine::LIST));
    assert_eq!(line("-h --nonsense"), Ok(CommandLine::Help));
    assert_eq!(line("--version x"), Ok(CommandLine::Version));
    assert_eq!(line("-Sn"), Ok(CommandLine::Save { numeric: true }));
    assert_eq!(line("-R"), Ok(CommandLine::Restore));
    assert_eq!(change_of("--clear"), Command::Flush);
    assert_eq!(change_of("-Z"), Command::Zero(None));
    assert_eq!(
        change_of("-Z -f 42"),
        Command::Zero(Some(ServiceKey::Fwmark { mark: 42, family: Family::Ipv4 }))
    );
    assert_eq!(
        change_of("--set 0 2678400 33"),
        Command::SetTimeouts(Timeouts { tcp: 0, tcp_fin: 2_678_400, udp: 33 })
    );
    assert_eq!(
        change_of("--stop-daemon backup --syncid 5"),
        Command::StopSyncDaemon(SyncRole::Backup)
    );
    let defaults = SyncDaemon {
        role: SyncRole::Master,
        interface: "eth0".to_owned(),
        sync_id: 0,
        max_length: None,
        group: None,
        port: None,
        ttl: None,
    };
    assert_eq!(change_of("--start-daemon master"), Command::StartSyncDaemon(defaults.clone()));
    assert_eq!(
        change_of(
            "--start-daemon=master --mcast-interface a-name-much-too-long --syncid 7 \
             --mcast-group ff02::5 --mcast-port 99 --mcast-ttl 2 --sync-maxlen 1400"
        ),
        Command::StartSyncDaemon(SyncDaemon {
            interface: "a-name-much-too".to_owned(),
            sync_id: 7,
            max_length: Some(1400),
            group: Some("ff02::5".parse().unwrap()),
            port: Some(99),
            ttl: Some(2),
            ..defaults
        })
    );
}

#[test]
fn views_by_precedence() {
    for (text, expected) in [
        ("-L --rate --stats", View::Stats),
        ("-L --thresholds --rate", View::Rate),
        ("-L --persistent-conn --thresholds", View::Thresholds),
        ("-L --tun-info --persistent-conn", View::PersistentConnections),
        ("-L --tun-info", View::TunnelInfo),
    ] {
        match line(text) {
            Ok(CommandLine::List(Listing { what: Listed::Services { view, .. }, .. })) => {
                assert_eq!(view, expected, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(
        line("-Lnc --persistent-conn --tun-info"),
        Ok(CommandLine::List(Listing {
            what: Listed::Connections { with_engine: true },
            numeric: true
        }))
    );
}

proptest! {
    #[test]
    fn no_line_is_a_panic(words in prop::collection::vec(
        prop_oneof![
            "-[A-Za-z6]{1,3}",
            "--[a-z-]{0,12}(=.*)?",
            Just("-A".to_owned()),
            Just("-a".to_owned()),
            Just("-t10.0.0.1:80".to_owned()),
            Just("-r1.2.3.4".to_owned()),
            Just("-i".to_owned()),
            Just("--tun-type=gue".to_owned()),
            "\\PC*",
        ],
        0..8,
    )) {
        let outcome = parse(&words, &FixedNames::default());
        if let Err(error) = outcome {
            prop_assert!(error.status == 2 || error.status == 255);
            prop_assert!(!error.message.is_empty());
        }
    }
}
