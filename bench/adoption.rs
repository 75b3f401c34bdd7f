//! Time of a poll that adopts a new snapshot: 10,000 services with 10 destinations each are edited while packets of
//! open flows arrive. Each adopting poll is timed separately.
//!
//! As in the director, another thread on another CPU creates and frees the snapshots, so that changed rows are not in
//! the worker's caches. The operating system and the hypervisor disturb all polls alike; polls with nothing to adopt,
//! and polls without packets, show how much.

#[path = "support/mod.rs"]
mod support;

use clap::Parser;
use director::dpdk::{Eal, EalOptions};
use director::limits::BURST;
use director::model::{DestinationId, ForwardMethod, Protocol};
use director::scheduler::Change;
use director::snapshot::{Service, Snapshot};
use serde::Serialize;
use std::sync::{Arc, mpsc};
use std::thread;
use support::bench_setup::{self, Planned, Stand};
use support::clock::{Clock, waited};
use support::report::{Machine, write_json};
use support::testbed::TestSnapshot;
use support::traffic::Spread;

/// Cycles of polls that adopt an edit, and of others.
#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 10_000)]
    services: u32,
    #[arg(long, default_value_t = 10)]
    destinations: u32,
    #[arg(long, default_value_t = 16_384)]
    flows: u32,
    /// Number of edits of each kind; one hundredth of it for rebuilds of everything.
    #[arg(long, default_value_t = 2000)]
    edits: usize,
    /// File for results as JSON.
    #[arg(long)]
    json: Option<String>,
    /// Passed by Cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Bound in nanoseconds for every part of the packet path.
const BOUND: f64 = 20_000.0;

/// Kinds of publications.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    /// The other thread builds the snapshot of [`Edit::Destination`] and keeps it.
    Nothing,
    /// The weight of one destination, as by `ipvsadm -e`: its row, and its service's scheduler.
    Destination,
    /// All services, destinations and next hops in new memory, as after a reload that changes all.
    Everything,
}

/// Results for one kind of poll, in cycles.
#[derive(Serialize)]
struct Row {
    what: String,
    polls: usize,
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
    /// Polls longer than 20 us.
    over: usize,
    /// Those during which another thread had the CPU, according to the kernel.
    preempted: usize,
    /// Histogram by powers of two: (upper bound in cycles, polls).
    histogram: Vec<(u64, usize)>,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    services: u32,
    destinations: u32,
    flows: u32,
    bound_ns: f64,
    rows: Vec<Row>,
}

/// Times of polls of one kind.
#[derive(Default)]
struct Polls {
    cycles: Vec<u64>,
    preempted: usize,
}

impl Polls {
    /// `interrupted` is called only for polls over the bound, because it needs a system call.
    fn note(&mut self, taken: u64, clock: Clock, interrupted: &mut Interrupted) {
        self.cycles.push(taken);
        if clock.nanoseconds(taken) > BOUND && interrupted.since_asked() {
            self.preempted += 1;
        }
    }

    fn row(mut self, what: String, clock: Clock) -> Row {
        self.cycles.sort_unstable();
        let polls = self.cycles.len();
        let at = |share: f64| self.cycles[((polls as f64 * share) as usize).min(polls - 1)];
        let mut histogram: Vec<(u64, usize)> = Vec::new();
        for taken in &self.cycles {
            let below = (taken + 1).next_power_of_two();
            match histogram.last_mut() {
                Some((last, count)) if *last == below => *count += 1,
                _ => histogram.push((below, 1)),
            }
        }
        let over = self.cycles.iter().filter(|taken| clock.nanoseconds(**taken) > BOUND).count();
        let (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), at(1.0));
        Row { what, polls, p50, p99, p999, max, over, preempted: self.preempted, histogram }
    }
}

/// True if another thread had this thread's CPU.
struct Interrupted(u64);

impl Interrupted {
    fn since_asked(&mut self) -> bool {
        let before = std::mem::replace(&mut self.0, waited());
        self.0 > before
    }
}

fn main() {
    let arguments = Arguments::parse();
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = cores.last().map_or(0, |core| core.id);
    let options = EalOptions {
        main_cores: vec![core],
        no_huge: true,
        memory_mb: Some(64),
        file_prefix: format!("director-bench-{}", std::process::id()),
        ..EalOptions::default()
    };
    let eal = Eal::start(&options).unwrap_or_else(|error| panic!("{error}"));
    let machine = Machine::this();
    println!("## adoption: cycles of a poll while snapshots arrive\n");
    println!("{}, {} CPUs, load {}\n", machine.processor, machine.cpus, machine.load);
    let Arguments { services, destinations, flows, .. } = arguments;
    println!("{services} services of {destinations} destinations, {flows} open flows\n");
    println!(
        "| {:<44} |  polls |   p50 |    p99 |  p99.9 |      max | max us | over 20 us | preempted |",
        "poll"
    );
    println!(
        "|{:-<46}|-------:|------:|-------:|-------:|---------:|-------:|-----------:|----------:|",
        ""
    );
    let clock = Clock::start();
    let mut results =
        Results { machine, services, destinations, flows, bound_ns: BOUND, rows: Vec::new() };
    let other = cores.first().map_or(0, |core| core.id);
    measure(&eal, &arguments, other, clock, |row| {
        print(&row, clock);
        results.rows.push(row);
    });
    println!();
    results.rows.iter().for_each(print_histogram);
    write_json(&results, arguments.json.as_deref()).expect("the JSON file can be written");
}

fn measure(
    eal: &Eal,
    arguments: &Arguments,
    other: usize,
    clock: Clock,
    mut done: impl FnMut(Row),
) {
    let snapshot = TestSnapshot {
        services: arguments.services,
        destinations: arguments.destinations,
        ..TestSnapshot::of(ForwardMethod::Route, Protocol::Udp)
    };
    let mempool = bench_setup::mempool(eal);
    let capacity = (arguments.flows as usize).next_power_of_two();
    let mut stand: Stand<u32> = Stand::new(snapshot, &mempool, capacity);
    stand.grow(arguments.flows);
    let mut interrupted = Interrupted(waited());
    let mut idle = Polls::default();
    for taken in stand.idle_polls(arguments.edits * bench_setup::BATCH / BURST) {
        idle.note(taken, clock, &mut interrupted);
    }
    done(idle.row("without packets".to_owned(), clock));
    for (edit, what, edits) in [
        (Edit::Nothing, "nothing to adopt", arguments.edits),
        (Edit::Destination, "a destination edited", arguments.edits),
        (Edit::Everything, "everything new", arguments.edits.div_ceil(100)),
    ] {
        let control = Control::start(snapshot, edit, other);
        let (mut first, mut later) = (Polls::default(), Polls::default());
        for _ in 0..edits {
            let snapshot = control.next();
            control.free(match edit {
                Edit::Nothing => Arc::new(snapshot),
                _ => stand.publish(snapshot),
            });
            for (index, taken) in traffic(&mut stand, arguments.flows).into_iter().enumerate() {
                let polls = if index == 0 { &mut first } else { &mut later };
                polls.note(taken, clock, &mut interrupted);
            }
        }
        done(first.row(format!("{what}: the first poll"), clock));
        done(later.row(format!("{what}: the 63 after it"), clock));
    }
}

/// Cycles of each poll for a batch of packets.
fn traffic(stand: &mut Stand<u32>, flows: u32) -> Vec<u64> {
    let length = stand.shortest();
    for _ in 0..bench_setup::BATCH {
        let number = stand.pick(Spread::Uniform, flows);
        stand.plan(Planned { tuple: stand.request(number), tcp_flags: 0, length });
    }
    let run = stand.run();
    run.bursts.iter().map(|per_packet| (per_packet * BURST as f64) as u64).collect()
}

/// The thread that creates and frees snapshots.
struct Control {
    new: mpsc::Receiver<Snapshot>,
    old: mpsc::Sender<Arc<Snapshot>>,
}

impl Control {
    fn start(snapshot: TestSnapshot, edit: Edit, core: usize) -> Control {
        let (give, new) = mpsc::sync_channel(1);
        let (old, take) = mpsc::channel::<Arc<Snapshot>>();
        thread::spawn(move || {
            core_affinity::set_for_current(core_affinity::CoreId { id: core });
            let first = snapshot.snapshot::<u32>();
            for turn in 0.. {
                let next = match edit {
                    Edit::Everything => snapshot.snapshot::<u32>(),
                    Edit::Nothing | Edit::Destination => edited(&first, &snapshot, turn),
                };
                if give.send(next).is_err() {
                    break;
                }
                // Frees what the worker gave back.
                while take.try_recv().is_ok() {}
            }
        });
        Control { new, old }
    }

    /// The next snapshot. Waits in a busy loop, as a worker would.
    fn next(&self) -> Snapshot {
        loop {
            match self.new.try_recv() {
                Ok(snapshot) => return snapshot,
                Err(mpsc::TryRecvError::Empty) => std::hint::spin_loop(),
                Err(mpsc::TryRecvError::Disconnected) => {
                    unreachable!("the other thread runs as long as the receiver")
                }
            }
        }
    }

    fn free(&self, snapshot: Arc<Snapshot>) {
        // Without the other thread the snapshot is freed here.
        let _ = self.old.send(snapshot);
    }
}

/// Changes the weight of one destination of one service.
fn edited(first: &Snapshot, snapshot: &TestSnapshot, turn: u32) -> Snapshot {
    let (number, weight) = (turn.wrapping_mul(7919) % snapshot.services, 1 + turn % 9);
    let mut next = first.clone();
    let old = first.services.get(&snapshot.key::<u32>(number)).expect("one of the services");
    let mut candidates = old.scheduler.candidates().to_vec();
    candidates[0].weight = weight;
    let id: DestinationId = candidates[0].id;
    let mut destination = *next.destinations.get(id.index()).expect("one of the destinations");
    destination.weight = weight;
    next.destinations.set(id.index(), destination);
    let scheduler = old.scheduler.changed(candidates, Change::Edited(id));
    let mut services = (*first.services).clone();
    services.insert(Arc::new(Service {
        id: old.id,
        key: old.key,
        one_packet: old.one_packet,
        persistence: old.persistence,
        by_call_id: old.by_call_id,
        scheduler,
    }));
    next.services = Arc::new(services);
    next
}

fn print(row: &Row, clock: Clock) {
    println!(
        "| {:<44} | {:>6} | {:>5} | {:>6} | {:>6} | {:>8} | {:>6.1} | {:>10} | {:>9} |",
        row.what,
        row.polls,
        row.p50,
        row.p99,
        row.p999,
        row.max,
        clock.nanoseconds(row.max) / 1000.0,
        row.over,
        row.preempted
    );
}

fn print_histogram(row: &Row) {
    println!("{}, cycles of a poll:", row.what);
    for (below, polls) in &row.histogram {
        let share = *polls as f64 / row.polls as f64;
        let length = (share * 60.0).ceil() as usize;
        println!("  < {below:>10} {:>9.4} % {}", share * 100.0, "#".repeat(length));
    }
    println!();
}
