//! Work in slices comes to the same as work in one piece, and nothing is published of half of it.

use super::*;
use crate::api::RefusalCode;
use crate::config::ServicesUpdate;
use crate::control::reread::ReloadStep;
use crate::model::{
    DestinationAddress, DestinationSpec, ForwardMethod, Overlay, OverlayTarget, Tunnel,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A configuration file: services of one address by port, each with weights by the last octet of a server.
type File = BTreeMap<u16, (bool, BTreeMap<u8, u32>)>;

fn file() -> impl Strategy<Value = File> {
    let servers = proptest::collection::btree_map(1..9_u8, 1..4_u32, 0..4);
    proptest::collection::btree_map(1..200_u16, (any::<bool>(), servers), 1..120)
}

fn text(file: &File) -> String {
    let mut text = CONFIGURATION.to_owned();
    for (port, (is_rr, servers)) in file {
        let scheduler = if *is_rr { "rr" } else { "wlc" };
        text.push_str(&format!(
            "[[service]]\nprotocol = \"udp\"\naddress = \"10.0.0.100:{port}\"\nscheduler = \"{scheduler}\"\n"
        ));
        for (server, weight) in servers {
            text.push_str(&format!(
                "[[service.destination]]\naddress = \"10.0.0.{server}0\"\nweight = {weight}\n"
            ));
        }
    }
    text
}

fn parse(file: &File) -> Config {
    Config::parse(&text(file), "test").unwrap_or_else(|faults| panic!("{faults}"))
}

/// Services and their destinations, each list with the newest first.
fn running(fixture: &Fixture) -> Vec<(ServiceSpec, Vec<DestinationSpec>)> {
    let desired = &fixture.control.state.desired;
    let services = desired.services_before(None);
    let destinations = |id| desired.destinations(id).map(|(_, spec)| *spec).collect();
    services.map(|(_, id, spec)| (spec.clone(), destinations(id))).collect()
}

/// The same as a file has it.
fn as_file(fixture: &Fixture) -> File {
    let service = |(spec, destinations): (ServiceSpec, Vec<DestinationSpec>)| {
        let ServiceKey::Address { port, .. } = spec.key else { panic!("{spec:?}") };
        let server = |to: DestinationSpec| match to.at.address {
            IpAddr::V4(address) => (address.octets()[3] / 10, to.weight),
            other => panic!("{other}"),
        };
        let servers = destinations.into_iter().map(server).collect();
        (port, (spec.scheduler == SchedulerKind::Rr, servers))
    };
    running(fixture).into_iter().map(service).collect()
}

fn reload_in_one_piece(fixture: &mut Fixture, update: ServicesUpdate) {
    let desired = &mut fixture.control.state.desired;
    for command in update.deletions {
        desired.apply(&command, Origin::File, Instant::START).unwrap();
    }
    for change in update.changes {
        for command in desired.follow(&change) {
            desired.apply(&command, Origin::File, Instant::START).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_reload_in_slices_equals_one_in_one_piece(old in file(), new in file()) {
        let config = Arc::new(parse(&old));
        let mut sliced = Fixture::of(Arc::clone(&config));
        let mut whole = Fixture::of(Arc::clone(&config));
        if let Some(update) = config.changes(&parse(&new)).unwrap().services {
            reload_in_one_piece(&mut whole, update);
        }
        let mut reloader = Reloader::new("test".into(), config);
        let outcome = reloader.compare(parse(&new));
        let steps = outcome.as_ref().unwrap().steps.len();
        sliced.control.handle(Message::Reload(Box::new(outcome)), &mut NoPorts, sliced.now);
        let mut turns = 1;
        while sliced.turn() {
            turns += 1;
        }
        prop_assert!(turns >= steps / COMMANDS_AT_ONCE, "{steps} steps in {turns} turns");
        prop_assert_eq!(running(&sliced), running(&whole));
        prop_assert_eq!(as_file(&sliced), new);
        prop_assert_eq!(sliced.control.state.drift, 0);
    }
}

/// Deleted services of a file of 10,000 are not moved about on the control thread.
#[test]
fn the_steps_of_a_reload_are_made_on_the_other_thread() {
    let file: File = (1..=120).map(|port| (port, (true, BTreeMap::new()))).collect();
    let mut reloader = Reloader::new("test".into(), Arc::new(parse(&file)));
    let reread = reloader.compare(parse(&File::new())).unwrap();
    assert!(reread.changes.is_empty());
    let deletions = reread.steps.iter().filter(|step| matches!(step, ReloadStep::Delete(_)));
    assert_eq!((deletions.count(), reread.steps.len()), (120, 121));
}

fn server(last: u8) -> DestinationSpec {
    DestinationSpec {
        at: DestinationAddress { address: [10, 0, 0, last].into(), port: 80 },
        method: ForwardMethod::Route,
        weight: 5,
        upper_threshold: 0,
        lower_threshold: 0,
        tunnel: Tunnel::Ipip,
    }
}

/// A director with so many services, each with one server: 10.0.0.10.
fn with_servers(count: u16) -> Fixture {
    let mut fixture = Fixture::new();
    let add = |command: Command| match command {
        Command::AddService(spec) => {
            let service = spec.key;
            [
                Command::AddService(spec),
                Command::AddDestination { service, destination: server(10) },
            ]
        }
        other => panic!("{other:?}"),
    };
    fixture.apply(services(count).into_iter().flat_map(add).collect());
    fixture.settle();
    fixture
}

/// Turns until the client has its answer, and the answer.
fn answer(fixture: &mut Fixture, client: &Waiting) -> (usize, Vec<Result<(), RefusalCode>>) {
    for turns in 1..4096 {
        fixture.turn();
        match client.pieces.try_recv() {
            Ok(Reply::Applied(outcomes)) => {
                let code = |outcome: Result<(), Refusal>| outcome.map_err(|refusal| refusal.code);
                return (turns, outcomes.into_iter().map(code).collect());
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    panic!("no answer");
}

#[test]
fn a_drain_of_a_server_of_many_services_is_one_change_in_slices() {
    let count = COMMANDS_AT_ONCE * 4;
    let mut fixture = with_servers(count as u16);
    let target =
        |last: u8| OverlayTarget { address: [10, 0, 0, last].into(), port: None, service: None };
    let epoch = fixture.epoch();
    let drain = |last| Command::SetOverlay { target: target(last), overlay: Overlay::Drain };
    let zero = Command::Zero(None);
    let client = fixture.apply(vec![drain(10), zero, drain(11)]);
    let (turns, outcomes) = answer(&mut fixture, &client);
    assert!(turns > 8, "{turns}");
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(RefusalCode::ENOENT)]);
    assert_eq!(fixture.epoch(), epoch + 1, "nothing was published in between");
    let snapshot = fixture.control.state.publisher.current();
    let weights: Vec<u32> =
        (0..count).map(|id| snapshot.destinations.get(id).unwrap().weight).collect();
    assert_eq!(weights, vec![0; count]);
}

/// New routes concern every destination: they are looked up some at a time, and published together.
#[test]
fn destinations_follow_new_routes_in_slices() {
    let count = COMMANDS_AT_ONCE * 40;
    let mut fixture = with_servers(count as u16);
    let other = CONFIGURATION.replace("10.0.0.1/24", "10.0.0.2/28")
        + "[[route]]\ndestination = \"10.0.0.8/30\"\nvia = \"10.0.0.3\"\n";
    let mut reloader = Reloader::new("test".into(), Arc::clone(&fixture.control.state.config));
    let outcome = reloader.compare(Config::parse(&other, "test").unwrap());
    let epoch = fixture.epoch();
    fixture.control.handle(Message::Reload(Box::new(outcome)), &mut NoPorts, fixture.now);
    let mut turns = 0;
    while !fixture.control.state.desired.is_swept() {
        assert_eq!(fixture.epoch(), epoch, "half of the destinations have the old next hop");
        fixture.turn();
        turns += 1;
    }
    assert!(turns >= 1);
    fixture.settle();
    assert!(fixture.epoch() > epoch);
    let snapshot = fixture.control.state.publisher.current();
    for id in 0..count {
        let next_hop = snapshot.destinations.get(id).unwrap().next_hop;
        let next_hop = snapshot.next_hops.get(next_hop.0 as usize).unwrap();
        assert_eq!(next_hop.address, IpAddr::from([10, 0, 0, 3]), "{id}");
    }
}

/// A task that works for too long.
struct Sluggish;

impl Task<MemoryFrame> for Sluggish {
    fn name(&self) -> &'static str {
        "sluggish"
    }

    fn on_timer(&mut self, _: &mut Context<'_, MemoryFrame>) -> Option<Instant> {
        std::thread::sleep(std::time::Duration::from_millis(25));
        None
    }
}

#[test]
fn a_task_that_takes_long_is_measured_and_named() {
    let mut fixture = Fixture::new();
    fixture.control.tasks.push(Box::new(Sluggish));
    fixture.control.timers = Timers::new(fixture.control.tasks.len());
    let began = std::time::Instant::now();
    let clock =
        || Instant::from_secs(2) + Duration::from_micros(began.elapsed().as_micros() as u64);
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) > 3;
    fixture.control.run(&mut NoPorts, clock, stop);
    let turns = fixture.control.state.turns;
    let slept = Duration::from_millis(25);
    assert!(turns.longest >= slept && turns.over_10ms >= 1, "{turns:?}");
    assert_eq!(turns.longest_part.0, "sluggish");
    assert!(turns.longest_part.1 >= slept, "{turns:?}");
}
