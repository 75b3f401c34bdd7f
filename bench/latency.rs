//! Time of a packet in the director below full load.
//!
//! Packets arrive in a receive ring at random, independent times, sometimes many at once; the real worker polls as on
//! its own CPU. Each frame carries the times at which it arrived and was received; both are read when it is sent. The
//! load is a share of the rate with full bursts.
//!
//! If other programs or the hypervisor interrupt a poll, that is not latency of the director: the frames of this poll
//! are left out, arrivals stop meanwhile, and interruptions are counted separately.

#[path = "support/mod.rs"]
mod support;

use clap::Parser;
use director::dpdk::{Eal, EalOptions, Mbuf, Mempool, cycles, cycles_per_second};
use director::io::{Burst, Frame, Queue};
use director::model::{ForwardMethod, PortId, Protocol};
use director::worker::steering::{Placement, Steering};
use director::worker::{Sizing, Worker, connect_rings};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use support::clock::Clock;
use support::meter::median;
use support::report::{Machine, write_json};
use support::stock::{Prepared, Stock, prepare};
use support::testbed::{CLIENTS, SERVERS, TestSnapshot};
use support::traffic::request;

/// Time from arrival to sending, at several loads.
#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 16_384)]
    flows: u32,
    /// Loads in percent of the maximum rate.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 90])]
    loads: Vec<u32>,
    /// Number of packets at each load.
    #[arg(long, default_value_t = 2_000_000)]
    packets: usize,
    /// The CPU to run on; default: the last one.
    #[arg(long)]
    core: Option<usize>,
    /// File for results as JSON.
    #[arg(long)]
    json: Option<String>,
    /// Passed by Cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Size of the receive ring; packets above it are lost.
const RING: usize = 1024;

/// A poll longer than this many nanoseconds was interrupted: handling two bursts takes a tenth of it.
const INTERRUPTED: f64 = 20_000.0;

/// Offset of the two times in a frame: in the UDP payload.
const ARRIVAL: usize = 42;
const RECEIVED: usize = ARRIVAL + 8;

/// Prepared intervals between arrivals, in parts of the mean.
const GAPS: usize = 1 << 16;

/// Frames arriving at the clients' port, and their latencies.
struct Line {
    stock: Stock,
    frames: Vec<Prepared>,
    next: usize,
    gaps: Vec<f32>,
    /// Mean cycles between two arrivals; 0: a frame is always waiting.
    mean_gap: f64,
    next_arrival: f64,
    arrivals: u64,
    waiting: VecDeque<u64>,
    lost: u64,
    /// Cycles from arrival, and from reception, until sending.
    sojourns: Vec<(u32, u32)>,
}

/// A queue that shares the line.
struct LinePort {
    port: PortId,
    line: Rc<RefCell<Line>>,
}

impl Line {
    fn new(stock: Stock, flows: u32, snapshot: &TestSnapshot) -> Line {
        let mut random = fastrand::Rng::with_seed(3);
        let mut numbers: Vec<u32> = (0..flows).collect();
        random.shuffle(&mut numbers);
        let tuple = |flow| request::<u32>(flow, snapshot.services, Protocol::Udp);
        Line {
            stock,
            frames: numbers.into_iter().map(|flow| prepare(&tuple(flow))).collect(),
            next: 0,
            gaps: (0..GAPS).map(|_| -(1.0 - random.f32()).ln()).collect(),
            mean_gap: 0.0,
            next_arrival: 0.0,
            arrivals: 0,
            waiting: VecDeque::with_capacity(RING),
            lost: 0,
            sojourns: Vec::new(),
        }
    }

    /// Starts to record `packets` packets that arrive at `mean_gap`.
    fn begin(&mut self, mean_gap: f64, packets: usize) {
        self.mean_gap = mean_gap;
        self.next_arrival = cycles() as f64;
        self.waiting.clear();
        self.lost = 0;
        self.sojourns = Vec::with_capacity(packets);
    }

    /// Discards what the last poll sent beyond `noted`, and what arrived during it; before it `lost` were lost.
    fn forget(&mut self, noted: usize, lost: u64) {
        self.sojourns.truncate(noted);
        self.lost = lost;
        self.waiting.clear();
        self.next_arrival = cycles() as f64;
    }

    /// Puts the arrivals since the last call into the ring.
    #[inline]
    fn arrive(&mut self, now: u64) {
        if self.mean_gap == 0.0 {
            self.waiting.resize(director::limits::BURST, now);
            return;
        }
        while self.next_arrival <= now as f64 {
            match self.waiting.len() {
                RING => self.lost += 1,
                _ => self.waiting.push_back(self.next_arrival as u64),
            }
            let gap = self.gaps[self.arrivals as usize % GAPS];
            self.next_arrival += f64::from(gap) * self.mean_gap;
            self.arrivals += 1;
        }
    }
}

impl Queue for LinePort {
    type Frame = Mbuf;

    #[inline]
    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        if self.port != CLIENTS {
            return;
        }
        let line = &mut *self.line.borrow_mut();
        let now = cycles();
        line.arrive(now);
        while !burst.is_full() {
            let Some(arrival) = line.waiting.pop_front() else { return };
            let Some(mut frame) = line.stock.fill(&line.frames[line.next]) else { return };
            line.next = if line.next + 1 == line.frames.len() { 0 } else { line.next + 1 };
            let bytes = frame.bytes_mut();
            bytes[ARRIVAL..RECEIVED].copy_from_slice(&arrival.to_ne_bytes());
            bytes[RECEIVED..RECEIVED + 8].copy_from_slice(&now.to_ne_bytes());
            burst.push(frame);
        }
    }

    #[inline]
    fn transmit(&mut self, burst: &mut Burst<Mbuf>) {
        let line = &mut *self.line.borrow_mut();
        let now = cycles();
        for frame in burst.iter() {
            let time = |at: usize| {
                let bytes = frame.bytes()[at..at + 8].try_into();
                now.saturating_sub(u64::from_ne_bytes(bytes.expect("eight bytes"))) as u32
            };
            if line.sojourns.len() < line.sojourns.capacity() {
                line.sojourns.push((time(ARRIVAL), time(RECEIVED)));
            }
        }
        line.stock.take_back(burst);
    }

    fn allocate(&mut self) -> Option<Mbuf> {
        None
    }
}

/// Percentiles in nanoseconds.
#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// Packets that took less than `below` nanoseconds and at least half of it.
#[derive(Serialize)]
struct Bar {
    below: u64,
    packets: usize,
}

#[derive(Serialize)]
struct Load {
    method: &'static str,
    percent: u32,
    /// Millions of packets per second.
    rate: f64,
    from_arrival: Percentiles,
    from_receive: Percentiles,
    histogram: Vec<Bar>,
    lost: u64,
    interruptions: u64,
    /// Share of the time lost to interruptions.
    interrupted: f64,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    flows: u32,
    loads: Vec<Load>,
}

fn main() {
    let arguments = Arguments::parse();
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = arguments.core.or(cores.last().map(|core| core.id)).unwrap_or(0);
    let options = EalOptions {
        main_cores: vec![core],
        no_huge: true,
        memory_mb: Some(64),
        file_prefix: format!("director-bench-{}", std::process::id()),
        ..EalOptions::default()
    };
    let eal = Eal::start(&options).unwrap_or_else(|error| panic!("{error}"));
    let machine = Machine::this();
    println!("## latency: nanoseconds from arrival to sending\n");
    println!("{}, {} CPUs, load {}\n", machine.processor, machine.cpus, machine.load);
    println!(
        "| what | load | Mpps | p50 | p90 | p99 | p99.9 | max | received to sent: p50 | p99 | lost | interrupted |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut results = Results { machine, flows: arguments.flows, loads: Vec::new() };
    for (method, name) in [(ForwardMethod::Route, "DR"), (ForwardMethod::Masq, "NAT")] {
        measure(&eal, &arguments, method, name, &mut results);
    }
    println!();
    results.loads.iter().for_each(print_histogram);
    write_json(&results, arguments.json.as_deref()).expect("the JSON file can be written");
}

fn measure(
    eal: &Eal,
    arguments: &Arguments,
    method: ForwardMethod,
    name: &'static str,
    results: &mut Results,
) {
    let snapshot = TestSnapshot::of(method, Protocol::Udp);
    let plan = Sizing {
        workers: 1,
        ports: 2,
        connections_ipv4: arguments.flows as usize,
        connections_ipv6: 1,
        services: snapshot.services as usize,
        destinations: snapshot.all_destinations() as usize,
        templates: 1,
    };
    let steering = Steering::new(1, vec![Placement::Software; 2]);
    let (_control, mut seats, _shared) =
        connect_rings::<Mbuf>(plan, snapshot.snapshot::<u32>(), steering);
    let mempool = Mempool::new(eal, &format!("bench {name}"), 4095, None).expect("4,095 mbufs");
    let line = Line::new(Stock::new(&mempool), arguments.flows, &snapshot);
    let line = Rc::new(RefCell::new(line));
    let ports = [CLIENTS, SERVERS].map(|port| LinePort { port, line: Rc::clone(&line) });
    let seat = seats.pop().expect("one worker was asked for");
    let mut worker = seat.build(ports.into()).expect("memory for the tables");
    let clock = Clock::start();
    let full = saturate(&mut worker, &line, arguments, clock);
    for &percent in &arguments.loads {
        let mean_gap = full * 100.0 / f64::from(percent);
        line.borrow_mut().begin(mean_gap, arguments.packets);
        let (mut interruptions, mut interrupted, start) = (0, 0, cycles());
        let mut last = start;
        while line.borrow().sojourns.len() < arguments.packets {
            let (noted, lost) = (line.borrow().sojourns.len(), line.borrow().lost);
            worker.poll(clock.now());
            let now = cycles();
            // From the end of one poll to the end of the next, so that every interruption is seen.
            if clock.nanoseconds(now - last) > INTERRUPTED {
                line.borrow_mut().forget(noted, lost);
                interruptions += 1;
                interrupted += now - last;
            }
            last = now;
        }
        let taken = last - start;
        let line = &mut *line.borrow_mut();
        let of = |choose: fn(&(u32, u32)) -> u32| -> Vec<f64> {
            let cycles = line.sojourns.iter().map(choose);
            cycles.map(|cycles| clock.nanoseconds(cycles.into())).collect()
        };
        let mut from_arrival = of(|sojourn| sojourn.0);
        let load = Load {
            method: name,
            percent,
            rate: cycles_per_second() as f64 / mean_gap / 1e6,
            histogram: histogram(&from_arrival),
            from_arrival: percentiles(&mut from_arrival),
            from_receive: percentiles(&mut of(|sojourn| sojourn.1)),
            lost: line.lost,
            interruptions,
            interrupted: interrupted as f64 / taken as f64,
        };
        print(&load);
        results.loads.push(load);
    }
}

/// Opens the flows; returns cycles per packet with full bursts.
fn saturate(
    worker: &mut Worker<LinePort>,
    line: &Rc<RefCell<Line>>,
    arguments: &Arguments,
    clock: Clock,
) -> f64 {
    const TURNS: usize = 32;
    line.borrow_mut().begin(0.0, arguments.packets);
    let mut handled = 0;
    while handled < 2 * arguments.flows as usize {
        handled += worker.poll(clock.now());
    }
    let mut per_packet = Vec::new();
    while handled < arguments.packets {
        let start = cycles();
        let count: usize = (0..TURNS).map(|_| worker.poll(clock.now())).sum();
        per_packet.push((cycles() - start) as f64 / count as f64);
        handled += count;
    }
    median(&mut per_packet)
}

fn percentiles(nanoseconds: &mut [f64]) -> Percentiles {
    nanoseconds.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (nanoseconds.len() as f64 * share) as usize;
        nanoseconds[index.min(nanoseconds.len() - 1)]
    };
    Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) }
}

/// One bar for each power of two.
fn histogram(nanoseconds: &[f64]) -> Vec<Bar> {
    let mut bars: Vec<Bar> = (0..33).map(|power| Bar { below: 1 << power, packets: 0 }).collect();
    for time in nanoseconds {
        bars[((*time as u64).max(1).ilog2() as usize + 1).min(32)].packets += 1;
    }
    let first = bars.iter().position(|bar| bar.packets > 0).unwrap_or(0);
    let last = bars.iter().rposition(|bar| bar.packets > 0).unwrap_or(0);
    bars.truncate(last + 1);
    bars.split_off(first)
}

fn print(load: &Load) {
    let Load { method, percent, rate, from_arrival, from_receive, lost, .. } = load;
    let Percentiles { p50, p90, p99, p999, max } = from_arrival;
    println!(
        "| {method} | {percent} % | {rate:.2} | {p50:.0} | {p90:.0} | {p99:.0} | {p999:.0} | {max:.0} | {:.0} | {:.0} \
         | {lost} | {} times, {:.1} % |",
        from_receive.p50,
        from_receive.p99,
        load.interruptions,
        load.interrupted * 100.0
    );
}

fn print_histogram(load: &Load) {
    println!("{} at {} %, from arrival to sending:", load.method, load.percent);
    let all: usize = load.histogram.iter().map(|bar| bar.packets).sum();
    for bar in &load.histogram {
        let share = bar.packets as f64 / all as f64;
        let length = (share * 60.0).ceil() as usize;
        println!("  < {:>10} ns {:>9.4} % {}", bar.below, share * 100.0, "#".repeat(length));
    }
    println!();
}
