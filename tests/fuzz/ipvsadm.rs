//! The grammar of ipvsadm on random words: output, or a message with an exit status. What `-S` saves, `-R` restores.

use crate::nameless::Nameless;
use bolero::TypeGenerator;
use director::api::{ClientError, Command, Reply, Request, Rows};
use director::cli::ipvsadm::{Backend, CommandLine, Streams, parse, run};
use director::model::{
    Counters, DestinationRow, DestinationSpec, Origin, Rates, ServiceKey, ServiceRow, ServiceSpec,
};
use director::query::{Query, Services};

/// Words of command lines, valid and invalid.
const WORDS: [&str; 96] = [
    "-A",
    "-E",
    "-D",
    "-a",
    "-e",
    "-d",
    "-L",
    "-l",
    "-C",
    "-Z",
    "-S",
    "-R",
    "-h",
    "-v",
    "-Ln",
    "-t",
    "-u",
    "-f",
    "-s",
    "-p",
    "-M",
    "-o",
    "-b",
    "-r",
    "-w",
    "-x",
    "-y",
    "-g",
    "-m",
    "-i",
    "-n",
    "-c",
    "-6",
    "-4",
    "--set",
    "--pe",
    "--tun-type",
    "--tun-port",
    "--tun-csum",
    "--tun-nocsum",
    "--tun-remcsum",
    "--sctp-service",
    "--start-daemon",
    "--stop-daemon",
    "--mcast-interface",
    "--syncid",
    "--stats",
    "--rate",
    "--exact",
    "--nosort",
    "--sort",
    "--timeout",
    "--daemon",
    "--thresholds",
    "--persistent-conn",
    "--tun-info",
    "--add-service",
    "--tcp-serv",
    "--real-server=10.1.0.11:80",
    "10.0.0.100:80",
    "10.0.0.100",
    "[fd00:a::100]:80",
    "[fd00:a::100]",
    "fd00:a::100:80",
    "10.1.0.11:8080",
    "10.1.0.11",
    "[fd00:b::11]:80",
    "host:http",
    "7",
    "0",
    "1",
    "-1",
    "65535",
    "65536",
    "2147483647",
    "4294967295",
    "4294967296",
    "255.255.255.0",
    "0.0.0.0",
    "64",
    "300",
    "rr",
    "wlc",
    "sh",
    "mh",
    "nosuch",
    "sh-port",
    "flag-1,flag-2",
    "sip",
    "gue",
    "gre",
    "ipip",
    "master",
    "backup",
    "eth0",
    "--",
];

#[derive(Clone, Debug, TypeGenerator)]
enum Word {
    Known(#[generator(0..96u8)] u8),
    Glued(#[generator(0..96u8)] u8, #[generator(0..96u8)] u8),
    Any(String),
}

impl Word {
    fn text(&self) -> String {
        let known = |number: &u8| WORDS[usize::from(*number)].to_owned();
        match self {
            Word::Known(number) => known(number),
            Word::Glued(one, other) => known(one) + &known(other),
            Word::Any(text) => text.clone(),
        }
    }
}

/// A command that is valid as far as this enum can express.
#[derive(Clone, Debug, TypeGenerator)]
enum Right {
    Service {
        what: u8,
        scheduler: u8,
        options: Vec<u8>,
    },
    Destination {
        what: u8,
        server: u8,
        method: u8,
        #[generator(0..70_000u32)]
        weight: u32,
    },
}

const SERVICES: [&str; 6] = [
    "-t 10.0.0.100:80",
    "-u 10.0.0.100:53",
    "--sctp-service 10.0.0.100:9",
    "-t [fd00:a::100]:80",
    "-f 7",
    "-f 4294967295 -6",
];
const SCHEDULERS: [&str; 6] = ["rr", "wlc", "sh", "mh", "lblcr", "none"];
const OPTIONS: [&str; 8] =
    ["-p 77", "-p", "-o", "-b sh-port", "-b mh-fallback", "-b flag-3", "-M 64", "-M 255.255.0.0"];
const SERVERS: [&str; 5] =
    ["10.1.0.11:80", "10.1.0.12:8080", "10.1.0.13", "[fd00:b::11]:80", "[fd00:b::12]"];
const METHODS: [&str; 7] = [
    "-g",
    "-m",
    "-i",
    "-i --tun-type gue --tun-port 6080",
    "-i --tun-type gue --tun-port 6080 --tun-remcsum",
    "-i --tun-type gre --tun-csum",
    "",
];

impl Right {
    fn words(&self) -> Vec<String> {
        let choose = |list: &[&'static str], number: u8| list[usize::from(number) % list.len()];
        let line = match self {
            Right::Service { what, scheduler, options } => {
                let options = options.iter().take(3).map(|number| choose(&OPTIONS, *number));
                let options = options.collect::<Vec<_>>().join(" ");
                let scheduler = choose(&SCHEDULERS, *scheduler);
                format!("-A {} -s {scheduler} {options}", choose(&SERVICES, *what))
            }
            Right::Destination { what, server, method, weight } => {
                let (server, method) = (choose(&SERVERS, *server), choose(&METHODS, *method));
                format!("-a {} -r {server} {method} -w {weight}", choose(&SERVICES, *what))
            }
        };
        line.split_whitespace().map(str::to_owned).collect()
    }
}

/// A director that accepts every command.
#[derive(Default)]
struct Table(Vec<(ServiceSpec, Vec<DestinationSpec>)>);

impl Table {
    fn destinations(&mut self, key: &ServiceKey) -> Option<&mut Vec<DestinationSpec>> {
        self.0.iter_mut().find(|(spec, _)| spec.key == *key).map(|(_, list)| list)
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::AddService(spec) if self.destinations(&spec.key).is_none() => {
                self.0.push((spec, Vec::new()));
            }
            Command::AddDestination { service, destination } => {
                if let Some(list) = self.destinations(&service)
                    && list.iter().all(|other| other.at != destination.at)
                {
                    list.push(destination);
                }
            }
            _ => {}
        }
    }

    /// Sorted, and without what `-S` does not save.
    fn sorted(&self) -> Vec<(ServiceSpec, Vec<DestinationSpec>)> {
        let mut sorted = self.0.clone();
        for (_, list) in &mut sorted {
            list.sort_by_key(|spec| spec.at);
            for spec in list {
                (spec.upper_threshold, spec.lower_threshold) = (0, 0);
            }
        }
        sorted.sort_by_key(|(spec, _)| spec.key);
        sorted
    }
}

fn row(spec: &DestinationSpec) -> DestinationRow {
    DestinationRow {
        spec: *spec,
        weight: spec.weight,
        origin: Origin::Operator,
        overlays: Vec::new(),
        active_connections: 0,
        inactive_connections: 0,
        persistent_connections: 0,
        counters: Counters::default(),
        rates: Rates::default(),
    }
}

impl Backend for Table {
    fn call(&mut self, request: Request, each: &mut dyn FnMut(Reply)) -> Result<(), ClientError> {
        match request {
            Request::Apply(commands) => {
                let outcomes = commands.iter().map(|_| Ok(())).collect();
                commands.into_iter().for_each(|command| self.apply(command));
                each(Reply::Applied(outcomes));
            }
            Request::Query { query, .. } if query == Services::NAME => {
                let rows = self.0.iter().map(|(spec, list)| ServiceRow {
                    spec: spec.clone(),
                    counters: Counters::default(),
                    rates: Rates::default(),
                    destinations: list.iter().map(row).collect(),
                });
                each(Reply::Rows(Rows::of(rows.collect::<Vec<_>>())));
            }
            Request::Query { .. } => {}
        }
        Ok(())
    }
}

fn execute(words: &[String], director: &mut Table, mut input: &[u8]) -> (u8, String, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut streams = Streams { input: &mut input, output: &mut output, errors: &mut errors };
    let status = run(words, &Nameless, director, &mut streams);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status, text(output), text(errors))
}

#[test]
fn any_words() {
    bolero::check!().with_type::<Vec<Word>>().with_test_time(crate::SHORT).for_each(|words| {
        let words: Vec<String> = words.iter().take(14).map(Word::text).collect();
        match parse(&words, &Nameless) {
            Ok(CommandLine::Change(command)) => {
                // Every accepted command can be sent over the control socket.
                let text = serde_json::to_string(&command).unwrap();
                assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command);
            }
            Ok(_) => {}
            Err(error) => {
                assert!(error.status != 0 && !error.message.is_empty(), "{words:?}: {error:?}");
            }
        }
    });
}

#[test]
fn any_text_restored() {
    bolero::check!().with_test_time(crate::SHORT).for_each(|text: &[u8]| {
        // Lines before the failed one may have printed something.
        let (status, _, errors) = execute(&["-R".to_owned()], &mut Table::default(), text);
        assert!(status != 0 || errors.is_empty(), "{errors}");
    });
}

#[test]
fn what_is_saved_is_restored() {
    bolero::check!().with_type::<Vec<Right>>().with_test_time(crate::SHORT).for_each(|commands| {
        let mut table = Table::default();
        for command in commands {
            let words = command.words();
            if let Ok(CommandLine::Change(command)) = parse(&words, &Nameless) {
                table.apply(command);
            }
        }
        let save = ["-S", "-n"].map(str::to_owned);
        let (status, saved, errors) = execute(&save, &mut table, &[]);
        assert_eq!((status, errors.as_str()), (0, ""));
        let mut restored = Table::default();
        let (status, _, errors) = execute(&["-R".to_owned()], &mut restored, saved.as_bytes());
        assert_eq!((status, errors.as_str()), (0, ""), "{saved}");
        assert_eq!(restored.sorted(), table.sorted(), "{saved}");
    });
}
