//! The gain of a second worker, and the cost of a hand-off between workers.
//!
//! Each worker has its own prepared traffic (`support/stock.rs`), as on a NIC with RSS. The gain is measured on two
//! CPUs at the same time; a round in which another program used one of them is marked and does not count. The cost of a
//! hand-off is measured with NAT replies that arrive at the owner of their connection or at the other worker: with both
//! workers in turn on one CPU, which needs no quiet machine and leaves out cache traffic between CPUs, and on two CPUs.

#[path = "support/mod.rs"]
mod support;

use clap::Parser;
use director::dpdk::{Eal, EalOptions, Mbuf, Mempool, cycles, cycles_per_second};
use director::model::{ForwardMethod, Protocol};
use director::packet::Tuple;
use director::reason::DropReason;
use director::time::{Duration, Instant};
use director::worker::steering::{Placement, Steering};
use director::worker::{ControlEnd, Shared, Sizing, Worker, WorkerBuilder, connect_rings};
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;
use support::clock::{Clock, waited};
use support::meter::median;
use support::report::{Machine, write_json};
use support::stock::{Script, Source, Stock};
use support::testbed::{CLIENTS, SERVERS, TestSnapshot};
use support::traffic::{reply, request};

/// Gain of a second worker, and cost of a hand-off.
#[derive(Parser)]
struct Arguments {
    /// Number of flows, shared by the workers.
    #[arg(long, default_value_t = 16_384)]
    flows: u32,
    /// Length of each measurement in milliseconds.
    #[arg(long, default_value_t = 500)]
    milliseconds: u64,
    /// Number of measurements of each kind.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// File for results as JSON.
    #[arg(long)]
    json: Option<String>,
    /// Passed by Cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Polls of a worker that are timed together.
const TURNS: usize = 32;

/// A worker's traffic, from its counters.
#[derive(Clone, Copy)]
struct Count {
    received: u64,
    sent: u64,
}

/// Largest share of a round that a worker may wait for its CPU; otherwise the round does not count.
const QUIET: f64 = 0.01;

/// Results of one worker in a measurement.
struct Drive {
    packets: u64,
    cycles: u64,
    /// Cycles per packet, over [`TURNS`] polls each.
    per_packet: Vec<f64>,
    /// Share of the time in which another program had the CPU.
    waited: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Requests,
    /// Replies that arrive at the owner of their connection.
    RepliesHome,
    /// Replies that all arrive at the other worker.
    RepliesAway,
}

/// One round with two workers; rates in millions of packets per second.
#[derive(Serialize)]
struct Round {
    method: &'static str,
    one: f64,
    two: f64,
    gain: f64,
    /// The same from the median cycles per packet of all short intervals, which excludes the time slices of other
    /// programs.
    gain_by_cycles: f64,
    waited: f64,
    counts: bool,
}

/// Cycles per NAT reply, summed over all workers.
#[derive(Serialize)]
struct HandOff {
    cpus: usize,
    home: f64,
    away: f64,
    waited: f64,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    flows: u32,
    rounds: Vec<Round>,
    hand_off: Vec<HandOff>,
}

struct Bench {
    arguments: Arguments,
    eal: Eal,
    mempool: Arc<Mempool>,
    clock: Clock,
}

fn main() {
    let arguments = Arguments::parse();
    let cores: Vec<usize> = core_affinity::get_core_ids()
        .unwrap_or_default()
        .iter()
        .rev()
        .map(|core| core.id)
        .collect();
    let eal = start(&cores[..cores.len().min(2)]);
    let mempool = Mempool::new(&eal, "bench", 16_383, None).expect("memory for 16,383 mbufs");
    let bench = Bench { arguments, eal, mempool, clock: Clock::start() };
    let machine = Machine::this();
    println!(
        "## two workers\n\n{}, {} CPUs, load {}\n",
        machine.processor, machine.cpus, machine.load
    );
    let flows = bench.arguments.flows;
    let mut results = Results { machine, flows, rounds: Vec::new(), hand_off: Vec::new() };
    bench.hand_off_on_one_cpu(&mut results);
    if cores.len() < 2 {
        println!("one CPU: a second worker brings nothing, and its gain is not measured");
    } else {
        bench.hand_off_on_two_cpus(&mut results);
        bench.scaling(&mut results);
    }
    write_json(&results, bench.arguments.json.as_deref()).expect("the JSON file can be written");
}

fn start(cores: &[usize]) -> Eal {
    let options = EalOptions {
        worker_cores: cores.to_vec(),
        main_cores: cores[..1].to_vec(),
        no_huge: true,
        memory_mb: Some(128),
        file_prefix: format!("director-bench-{}", std::process::id()),
        ..EalOptions::default()
    };
    Eal::start(&options).unwrap_or_else(|error| panic!("{error}"))
}

/// Workers that are not built yet.
struct Team {
    seats: Vec<WorkerBuilder<Mbuf>>,
    shared: Shared,
    /// Keeps the snapshots alive while workers run.
    _control: ControlEnd<Mbuf>,
}

/// One server for each service, so that the replying server is known.
fn snapshot(method: ForwardMethod) -> TestSnapshot {
    TestSnapshot { destinations: 1, ..TestSnapshot::of(method, Protocol::Udp) }
}

impl Bench {
    fn team(&self, workers: u16, method: ForwardMethod) -> Team {
        let snapshot = snapshot(method);
        let plan = Sizing {
            workers,
            ports: 2,
            connections_ipv4: self.arguments.flows as usize,
            connections_ipv6: 1,
            services: snapshot.services as usize,
            destinations: snapshot.all_destinations() as usize,
            templates: 1,
        };
        let steering = Steering::new(workers, vec![Placement::Software; 2]);
        let (_control, seats, shared) =
            connect_rings::<Mbuf>(plan, snapshot.snapshot::<u32>(), steering);
        Team { seats, shared, _control }
    }

    /// The flows owned by `worker`.
    fn flows(&self, steering: &Steering, worker: usize) -> Vec<u32> {
        let services = snapshot(ForwardMethod::Masq).services;
        (0..self.arguments.flows)
            .filter(|&flow| {
                let tuple: Tuple<u32> = request(flow, services, Protocol::Udp);
                usize::from(steering.owner(CLIENTS, &tuple)) == worker
            })
            .collect()
    }

    /// Requests that open the flows owned by `worker`, and then the measured traffic.
    fn load(&self, team: &Team, worker: usize, traffic: Traffic) -> Load {
        let services = snapshot(ForwardMethod::Masq).services;
        let requests = |flows: Vec<u32>| {
            flows.into_iter().map(|flow| request(flow, services, Protocol::Udp)).collect()
        };
        let replies = |flows: Vec<u32>| {
            flows.into_iter().map(|flow| reply(flow, flow % services, Protocol::Udp)).collect()
        };
        let own = self.flows(&team.shared.steering, worker);
        let mut measured: Vec<Tuple<u32>> = match traffic {
            Traffic::Requests => requests(own.clone()),
            Traffic::RepliesHome => replies(own.clone()),
            Traffic::RepliesAway => replies(self.flows(&team.shared.steering, 1 - worker)),
        };
        fastrand::Rng::with_seed(worker as u64).shuffle(&mut measured);
        Load { opening: requests(own), measured, by_servers: traffic != Traffic::Requests }
    }

    fn window(&self) -> u64 {
        self.arguments.milliseconds * cycles_per_second() / 1000
    }

    /// Runs `workers` workers at the same time, each on its own CPU.
    fn side_by_side(&self, workers: u16, method: ForwardMethod, traffic: Traffic) -> Vec<Drive> {
        let mut team = self.team(workers, method);
        let start = Arc::new(Barrier::new(usize::from(workers)));
        let (clock, window) = (self.clock, self.window());
        let loads: Vec<Load> =
            (0..usize::from(workers)).map(|worker| self.load(&team, worker, traffic)).collect();
        let seats = std::mem::take(&mut team.seats);
        let tasks: Vec<_> = seats
            .into_iter()
            .zip(loads)
            .zip(self.eal.workers())
            .enumerate()
            .map(|(number, ((seat, load), lcore))| {
                let (mempool, start) = (Arc::clone(&self.mempool), Arc::clone(&start));
                let shared = team.shared.clone();
                let work = move || {
                    let mut seated = Seated::new(seat, &mempool);
                    seated.open(&load, clock);
                    start.wait();
                    seated.play(&load);
                    drive(clock, window, || count(&shared, number), |now| seated.turn(now))
                };
                lcore.launch(work).expect("the lcore is idle")
            })
            .collect();
        // DPDK waits for an lcore in a busy loop, which would take half of a worker's CPU.
        while !tasks.iter().all(|task| task.is_finished()) {
            thread::sleep(Duration::from_millis(5));
        }
        let drives: Vec<Drive> =
            tasks.into_iter().map(|task| task.join().expect("a worker never panics")).collect();
        check_hand_offs(&team.shared, traffic);
        drives
    }

    /// Runs two workers in turn on this CPU.
    fn in_turn(&self, traffic: Traffic) -> Drive {
        let mut team = self.team(2, ForwardMethod::Masq);
        let loads = [0, 1].map(|worker| self.load(&team, worker, traffic));
        let seats = std::mem::take(&mut team.seats);
        let mut seated: Vec<Seated> =
            seats.into_iter().map(|seat| Seated::new(seat, &self.mempool)).collect();
        for (seated, load) in seated.iter_mut().zip(&loads) {
            seated.open(load, self.clock);
        }
        seated.iter().zip(&loads).for_each(|(seated, load)| seated.play(load));
        let all = || {
            let [one, other] = [0, 1].map(|worker| count(&team.shared, worker));
            Count { received: one.received + other.received, sent: one.sent + other.sent }
        };
        let turn = |now| seated.iter_mut().for_each(|seated| seated.turn(now));
        let drive = drive(self.clock, self.window(), all, turn);
        check_hand_offs(&team.shared, traffic);
        drive
    }

    fn hand_off_on_one_cpu(&self, results: &mut Results) {
        let rounds = (0..self.arguments.rounds).map(|_| {
            let home = self.in_turn(Traffic::RepliesHome);
            let away = self.in_turn(Traffic::RepliesAway);
            (vec![home], vec![away])
        });
        hand_off(results, 1, rounds);
    }

    fn hand_off_on_two_cpus(&self, results: &mut Results) {
        let masq = ForwardMethod::Masq;
        let rounds = (0..self.arguments.rounds).map(|_| {
            let home = self.side_by_side(2, masq, Traffic::RepliesHome);
            (home, self.side_by_side(2, masq, Traffic::RepliesAway))
        });
        hand_off(results, 2, rounds);
    }

    fn scaling(&self, results: &mut Results) {
        println!("| requests | one, Mpps | two, Mpps | gain | by cycles | waited |");
        println!("|---|---:|---:|---:|---:|---:|");
        for (method, name) in [(ForwardMethod::Route, "DR"), (ForwardMethod::Masq, "NAT")] {
            let rounds: Vec<Round> =
                (0..self.arguments.rounds).map(|_| self.round(method, name)).collect();
            let gains = |choose: fn(&Round) -> f64, counts: bool| {
                let rounds = rounds.iter().filter(|round| round.counts || !counts);
                median(&mut rounds.map(choose).collect::<Vec<f64>>())
            };
            let quiet = rounds.iter().filter(|round| round.counts).count();
            println!(
                "\n{name}: {quiet} of {} rounds had both CPUs; {}, by cycles x{:.2}\n",
                rounds.len(),
                match quiet {
                    0 => "the gain could not be measured".to_owned(),
                    _ => format!("gain x{:.2}", gains(|round| round.gain, true)),
                },
                gains(|round| round.gain_by_cycles, false)
            );
            results.rounds.extend(rounds);
        }
    }

    fn round(&self, method: ForwardMethod, name: &'static str) -> Round {
        let one = self.side_by_side(1, method, Traffic::Requests);
        let two = self.side_by_side(2, method, Traffic::Requests);
        let rate = |drives: &[Drive]| -> f64 {
            let per_cycle = drives.iter().map(|drive| drive.packets as f64 / drive.cycles as f64);
            per_cycle.sum::<f64>() * cycles_per_second() as f64 / 1e6
        };
        let quick = |drives: &[Drive]| -> f64 {
            drives.iter().map(|drive| 1.0 / median(&mut drive.per_packet.clone())).sum()
        };
        let waited = one.iter().chain(&two).map(|drive| drive.waited).fold(0.0, f64::max);
        let round = Round {
            method: name,
            one: rate(&one),
            two: rate(&two),
            gain: rate(&two) / rate(&one),
            gain_by_cycles: quick(&two) / quick(&one),
            waited,
            counts: waited < QUIET,
        };
        let Round { one, two, gain, gain_by_cycles, .. } = round;
        println!(
            "| {name} | {one:.2} | {two:.2} | {gain:.2} | {gain_by_cycles:.2} | {:.1} % |",
            waited * 100.0
        );
        round
    }
}

/// Prints the median of all rounds as a table.
fn hand_off(
    results: &mut Results,
    cpus: usize,
    rounds: impl Iterator<Item = (Vec<Drive>, Vec<Drive>)>,
) {
    let (mut home, mut away, mut waited) = (Vec::new(), Vec::new(), 0_f64);
    for (at_home, abroad) in rounds {
        waited = at_home.iter().chain(&abroad).map(|drive| drive.waited).fold(waited, f64::max);
        home.extend(at_home.into_iter().flat_map(|drive| drive.per_packet));
        away.extend(abroad.into_iter().flat_map(|drive| drive.per_packet));
    }
    let (home, away) = (median(&mut home), median(&mut away));
    println!(
        "NAT replies, two workers on {cpus} CPU{}: {home:.0} cycles each at home, {away:.0} handed over: \
         {:.0} for the hand-off (up to {:.1} % of the time waited for a CPU)\n",
        if cpus == 1 { "" } else { "s" },
        away - home,
        waited * 100.0
    );
    results.hand_off.push(HandOff { cpus, home, away, waited });
}

/// Input of one worker.
struct Load {
    opening: Vec<Tuple<u32>>,
    measured: Vec<Tuple<u32>>,
    by_servers: bool,
}

/// A worker and its ports.
struct Seated {
    worker: Worker<Source>,
    scripts: [Rc<RefCell<Script>>; 2],
}

impl Seated {
    fn new(seat: WorkerBuilder<Mbuf>, mempool: &Arc<Mempool>) -> Seated {
        let stock = Stock::new(mempool);
        let (clients, from_clients) = Source::new(&stock);
        let (servers, from_servers) = Source::new(&stock);
        let worker = seat.build(vec![clients, servers]).expect("memory for the tables");
        Seated { worker, scripts: [from_clients, from_servers] }
    }

    /// Opens the worker's flows.
    fn open(&mut self, load: &Load, clock: Clock) {
        self.scripts[0].borrow_mut().play(load.opening.iter().copied());
        let mut handled = 0;
        while handled < load.opening.len() {
            handled += self.worker.poll(clock.now());
        }
        self.scripts[0].borrow_mut().play([]);
    }

    fn play(&self, load: &Load) {
        let script = &self.scripts[usize::from(load.by_servers)];
        script.borrow_mut().play(load.measured.iter().copied());
    }

    fn turn(&mut self, now: Instant) {
        self.worker.poll(now);
    }
}

/// Packets received and sent by `worker`.
fn count(shared: &Shared, worker: usize) -> Count {
    let queues = &shared.counters[worker].queues;
    Count {
        received: queues.iter().map(|queue| queue.rx_packets.get()).sum(),
        sent: queues.iter().map(|queue| queue.tx_packets.get()).sum(),
    }
}

/// Checks that the traffic is as named: replies that arrive elsewhere are all handed off, unless the ring is full
/// because the other worker has no CPU. Other packets are not.
fn check_hand_offs(shared: &Shared, traffic: Traffic) {
    let (mut away, mut replies) = (0, 0);
    for counters in &shared.counters {
        let servers = &counters.queues[SERVERS.index()];
        away += counters.handoff_tx.get() + servers.drop_of(DropReason::HandoffRingFull).get();
        replies += servers.rx_packets.get();
    }
    let expected = if traffic == Traffic::RepliesAway { replies } else { 0 };
    assert_eq!(away, expected, "hand-offs of {replies} replies");
}

/// Polls for `window` cycles.
fn drive(
    clock: Clock,
    window: u64,
    count: impl Fn() -> Count,
    mut turn: impl FnMut(Instant),
) -> Drive {
    let mut per_packet = Vec::with_capacity(1 << 16);
    let waited_before = waited();
    let (start, first) = (cycles(), count());
    let (mut from, mut before) = (start, first);
    while from - start < window {
        (0..TURNS).for_each(|_| turn(clock.now()));
        let (to, now) = (cycles(), count());
        let (received, sent) = (now.received - before.received, now.sent - before.sent);
        // If they differ much, the worker at the other end of the rings has no CPU.
        if received.abs_diff(sent) <= received / 16 && sent > 0 {
            per_packet.push((to - from) as f64 / sent as f64);
        }
        (from, before) = (to, now);
    }
    let waited = (waited() - waited_before) as f64 / clock.nanoseconds(from - start);
    Drive { packets: before.sent - first.sent, cycles: from - start, per_packet, waited }
}
