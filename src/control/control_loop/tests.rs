//! The loop alone: batches, reloads and listings in slices, a worker that is stuck, and how long the loop would sleep.

use super::*;
use crate::api::{Refusal, Reply};
use crate::config::PortConfig;
use crate::control::Reloader;
use crate::control::server::{Call, ReplyChannel};
use crate::io::{MemoryFrame, MemoryQueue};
use crate::limits::{
    ACKNOWLEDGEMENT_MAX, COMMANDS_AT_ONCE, REPLY_PIECES, REPLY_ROWS, WORKER_STALLED,
};
use crate::model::{
    PortId, Protocol, SchedulerFlags, SchedulerKind, ServiceKey, ServiceSpec, Timeouts,
};
use crate::query::{Connections, NoArgs, PortRows, Services, ServicesArgs, request};
use crate::snapshot::Snapshot;
use crate::worker::steering::{Placement, Steering};
use crate::worker::{Worker, connect_rings};
use crossbeam_channel::{Receiver, bounded};
use std::fs;

mod slices;

const CONFIGURATION: &str = "[[port]]\nname = \"wan\"\ndevice = \"net_null0\"\naddresses = [\"10.0.0.1/24\"]\n\
     [dpdk]\nvdevs = [\"net_null0\"]\n";

struct NoPorts;

impl Ports<MemoryFrame> for NoPorts {
    fn allocate(&mut self, _: PortId) -> Option<MemoryFrame> {
        Some(MemoryFrame::new(&[]))
    }

    fn rows(&self) -> PortRows {
        Box::new(Vec::new)
    }

    fn set_addresses(&mut self, _: &[PortConfig]) {}
}

/// A client's end of one request.
struct Waiting {
    pieces: Receiver<Reply>,
    _alive: Arc<()>,
}

struct Fixture {
    control: Control<MemoryFrame>,
    worker: Worker<MemoryQueue>,
    /// It does not poll.
    is_stuck: bool,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self::of(Config::parse(CONFIGURATION, "test").unwrap())
    }

    fn of(config: impl Into<Arc<Config>>) -> Self {
        let sizing = Sizing {
            workers: 1,
            ports: 1,
            connections_ipv4: 16,
            connections_ipv6: 16,
            services: 4096,
            destinations: 4096,
            templates: 16,
        };
        let steering = Steering::new(1, vec![Placement::Software]);
        let (end, builders, shared) = connect_rings(sizing, Snapshot::default(), steering);
        let macs = vec![[2, 0, 0, 0, 0, 1]];
        let mut control =
            Control::new(config, macs, sizing, end, shared, StaticInfo::default()).unwrap();
        let builder = builders.into_iter().next().unwrap();
        let worker = builder.build(vec![MemoryQueue::default()]).unwrap();
        let now = Instant::from_secs(1);
        control.start(&mut NoPorts, now);
        let mut fixture = Fixture { control, worker, is_stuck: false, now };
        fixture.settle();
        fixture
    }

    /// One turn of the loop and one poll; true if there was something to do.
    fn turn(&mut self) -> bool {
        self.now = self.now + Duration::from_micros(100);
        let worked = self.control.run_once(&mut NoPorts, self.now);
        if !self.is_stuck {
            self.worker.poll(self.now);
            self.control.state.shared.counters[0].time.add(100_000);
        }
        worked
    }

    fn settle(&mut self) {
        for _ in 0..4096 {
            if !self.turn() && self.control.is_settled() {
                return;
            }
        }
        panic!("the loop does not come to rest");
    }

    fn ask(&mut self, request: crate::api::Request) -> Waiting {
        let (answer, pieces, alive) = ReplyChannel::to_test();
        let call = Message::Call(Box::new(Call { request, answer }));
        self.control.handle(call, &mut NoPorts, self.now);
        Waiting { pieces, _alive: alive }
    }

    fn apply(&mut self, commands: Vec<Command>) -> Waiting {
        self.ask(crate::api::Request::Apply(commands))
    }

    fn services(&self) -> usize {
        self.control.state.desired.services_len()
    }

    fn epoch(&self) -> u64 {
        self.control.state.publisher.current().epoch
    }
}

fn services(count: u16) -> Vec<Command> {
    let key = |number: u16| ServiceKey::Address {
        protocol: Protocol::Udp,
        address: [10, 0, 0, 100].into(),
        port: 1 + number,
    };
    let spec = |number| ServiceSpec {
        key: key(number),
        scheduler: SchedulerKind::Rr,
        scheduler_flags: SchedulerFlags::default(),
        one_packet: false,
        persistence: None,
        persistence_engine: None,
    };
    (0..count).map(|number| Command::AddService(spec(number))).collect()
}

#[test]
fn a_batch_is_applied_in_slices_and_published_as_a_whole() {
    let mut fixture = Fixture::new();
    let epoch = fixture.epoch();
    let count = COMMANDS_AT_ONCE * 3;
    let client = fixture.apply(services(count as u16));
    let mut before = 0;
    while fixture.services() < count {
        assert_eq!(fixture.epoch(), epoch, "nothing is published of half a batch");
        assert!(fixture.turn());
        let applied = fixture.services() - before;
        assert!((1..=COMMANDS_AT_ONCE).contains(&applied), "{applied} in one turn");
        before += applied;
    }
    assert!(client.pieces.is_empty(), "no worker has it yet");
    fixture.settle();
    assert_eq!(fixture.epoch(), epoch + 1);
    assert_eq!(client.pieces.recv().unwrap(), Reply::Applied(vec![Ok(()); count]));
}

#[test]
fn all_services_are_deleted_in_slices() {
    let mut fixture = Fixture::new();
    let count = COMMANDS_AT_ONCE * 3;
    fixture.apply(services(count as u16));
    fixture.settle();
    let epoch = fixture.epoch();
    let client = fixture.apply([vec![Command::Flush], services(1)].concat());
    assert!(fixture.turn());
    assert!(fixture.services() >= count - COMMANDS_AT_ONCE, "{}", fixture.services());
    fixture.settle();
    assert_eq!((fixture.services(), fixture.epoch()), (1, epoch + 1));
    assert_eq!(client.pieces.recv().unwrap(), Reply::Applied(vec![Ok(()), Ok(())]));
}

/// A client that does not read holds up neither the loop nor the listings of others.
#[test]
fn listings_take_turns() {
    let mut fixture = Fixture::new();
    fixture.apply(services(4000));
    fixture.settle();
    let list = || request::<Services>(&ServicesArgs::default());
    let (idle, reader) = (fixture.ask(list()), fixture.ask(list()));
    let walk = fixture.ask(request::<Connections>(&NoArgs {}));
    let (mut told, mut turns) = (0, 0);
    let is_end = |reply: &Reply| *reply == Reply::End;
    while told == 0 || !reader.pieces.try_recv().is_ok_and(|reply| is_end(&reply)) {
        fixture.turn();
        told = told.max(reader.pieces.len());
        turns += 1;
        assert!(reader.pieces.len() <= 1, "a turn brings one piece");
        assert!(turns < 1000, "the listing does not end");
    }
    assert!(turns > 4000 / REPLY_ROWS);
    assert_eq!(idle.pieces.len(), REPLY_PIECES, "as many as may wait");
    fixture.settle();
    assert!(walk.pieces.iter().any(|reply| is_end(&reply)));
}

#[test]
fn changes_go_on_while_a_large_file_is_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("director.toml");
    let service =
        |port: usize| format!("[[service]]\nprotocol = \"tcp\"\naddress = \"10.0.0.100:{port}\"\n");
    let file =
        |count: usize| CONFIGURATION.to_owned() + &(1..=count).map(service).collect::<String>();
    fs::write(&path, file(1)).unwrap();
    let config = Arc::new(Config::load(&path).unwrap());
    let mut fixture = Fixture::of(Arc::clone(&config));
    let (sender, rereads) = bounded(1);
    fixture.control.set_rereads(rereads);
    let mut reloader = Reloader::new(path.clone(), config);
    let count = COMMANDS_AT_ONCE * 20;
    fs::write(&path, file(count)).unwrap();
    sender.send(reloader.reread()).unwrap();
    let mut edits = 0;
    fixture.turn();
    while !fixture.control.state.reloading.is_empty() {
        edits += 1;
        let timeouts = Timeouts { udp: edits, ..Timeouts::default() };
        let client = fixture.apply(vec![Command::SetTimeouts(timeouts)]);
        let before = fixture.services();
        (0..3).for_each(|_| {
            fixture.turn();
        });
        assert!(fixture.services() - before <= 3 * COMMANDS_AT_ONCE);
        assert_eq!(client.pieces.try_recv().unwrap(), Reply::Applied(vec![Ok(())]));
    }
    assert!(edits > 5, "{edits}");
    assert_eq!(fixture.services(), count);
    // A faulty file changes nothing, and the next one is compared with the last good one.
    fs::write(&path, "[[port]]").unwrap();
    sender.send(reloader.reread()).unwrap();
    fixture.settle();
    assert_eq!(fixture.services(), count);
    let told = |fixture: &Fixture| fixture.control.state.last_reload.clone().unwrap().fault;
    assert!(told(&fixture).unwrap().contains("`name` is missing"));
    fs::write(&path, file(2)).unwrap();
    sender.send(reloader.reread()).unwrap();
    fixture.settle();
    assert_eq!(fixture.services(), 2);
    assert_eq!(told(&fixture), None);
}

#[test]
fn the_service_manager_hears_only_while_all_workers_poll() {
    let mut fixture = Fixture::new();
    let (notifier, manager) = Notifier::to_test();
    fixture.control.set_notifier(notifier);
    let heard = |fixture: &mut Fixture| {
        (0..100).for_each(|_| {
            fixture.now = fixture.now + Duration::from_millis(10);
            fixture.turn();
        });
        let mut message = [0; 64];
        let mut messages = Vec::new();
        while let Ok(length) = manager.recv(&mut message) {
            messages.push(String::from_utf8_lossy(&message[..length]).into_owned());
        }
        messages
    };
    assert_eq!(heard(&mut fixture)[..2], ["READY=1", "WATCHDOG=1"]);
    fixture.is_stuck = true;
    let seconds = WORKER_STALLED.as_secs() + 1;
    (0..seconds).for_each(|_| drop(heard(&mut fixture)));
    assert!(heard(&mut fixture).is_empty());
    assert_eq!(fixture.control.state.worker_warnings, ["worker 0 has not polled for 2 s or more"]);
    fixture.is_stuck = false;
    assert_eq!(heard(&mut fixture)[0], "WATCHDOG=1");
    assert!(fixture.control.state.worker_warnings.is_empty());
}

#[test]
fn a_change_that_a_worker_does_not_take_is_refused_in_the_end() {
    let mut fixture = Fixture::new();
    fixture.is_stuck = true;
    let client = fixture.apply(services(1));
    fixture.turn();
    fixture.now = fixture.now + Duration::from_secs(ACKNOWLEDGEMENT_MAX.as_secs());
    fixture.turn();
    let refusal = |client: &Waiting| -> Refusal {
        match client.pieces.try_recv() {
            Ok(Reply::Failed(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    };
    assert!(refusal(&client).detail.ends_with("this change is kept and comes into force then"));
    let late = fixture.apply(services(2));
    assert!(refusal(&late).detail.ends_with("changes are refused until it does"));
    assert_eq!(fixture.services(), 1);
    fixture.is_stuck = false;
    fixture.settle();
    let again = fixture.apply(services(2));
    fixture.settle();
    assert!(
        matches!(&again.pieces.recv().unwrap(), Reply::Applied(outcomes) if outcomes[1].is_ok())
    );
}

#[test]
fn a_loop_without_work_sleeps() {
    let mut fixture = Fixture::new();
    let now = Instant::from_millis(5050);
    let control = &mut fixture.control;
    for _ in 0..64 {
        control.run_once(&mut NoPorts, now);
    }
    assert_eq!(control.patience(now), QUIET);
    for (after_a_punt, patience) in [(0, EAGER), (20, ATTENTIVE), (2500, QUIET)] {
        control.last_punt = now;
        let later = now + Duration::from_millis(after_a_punt);
        control.run_once(&mut NoPorts, later);
        let slept = control.patience(later);
        assert!(slept <= patience && slept > Duration::ZERO, "{after_a_punt} ms: {slept:?}");
        assert!(patience < QUIET || slept > ATTENTIVE, "{after_a_punt} ms: {slept:?}");
    }
}
