//! Cycles per packet of the real worker, over prepared mbufs.
//!
//! `scripts/bench pipeline` runs it; `bench/README.md` explains the output.

#[path = "support/mod.rs"]
mod support;

use clap::Parser;
use director::dpdk::{Eal, EalOptions, Mempool};
use director::limits::BURST;
use director::model::{Family, ForwardMethod, Protocol};
use director::packet::{Address, tcp};
use director::time::Duration;
use std::sync::Arc;
use support::bench_setup::{BATCH, Planned, Run, Stand, idle, mempool};
use support::meter::{Cost, median};
use support::report::Report;
use support::testbed::TestSnapshot;
use support::traffic::{Size, Spread};

/// Cycles per packet through the worker.
#[derive(Parser)]
struct Arguments {
    /// Also 10 million flows: needs 1 GiB of hugepages.
    #[arg(long)]
    full: bool,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only rows whose details contain this.
    #[arg(long, default_value = "")]
    detail: String,
    /// Numbers of flows.
    #[arg(long, value_delimiter = ',')]
    flows: Vec<u32>,
    /// Batches of 2,048 packets in each measurement.
    #[arg(long, default_value_t = 48)]
    batches: usize,
    /// Use ordinary memory instead of hugepages.
    #[arg(long)]
    no_huge: bool,
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

/// Minimum table size: the configuration's default.
const CAPACITY: usize = 1 << 20;

struct Pipeline {
    arguments: Arguments,
    flows: Vec<u32>,
    mempool: Arc<Mempool>,
    report: Report,
}

fn main() {
    let arguments = Arguments::parse();
    let mut flows = arguments.flows.clone();
    if flows.is_empty() {
        flows = vec![1_024, 16_384, 100_000, 1_000_000];
        flows.extend(arguments.full.then_some(10_000_000));
    }
    let eal = start(arguments.core, arguments.no_huge);
    let mempool = mempool(&eal);
    let report =
        Report::new("pipeline", "per packet; conversations: each of six packets and its end");
    let json = arguments.json.clone();
    let mut pipeline = Pipeline { arguments, flows, mempool, report };
    pipeline.measure();
    pipeline.report.save(json.as_deref()).expect("the JSON file can be written");
}

/// Starts DPDK on one core, with hugepages if there are any.
fn start(core: Option<usize>, no_huge: bool) -> Eal {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = core.or(cores.last().map(|core| core.id)).unwrap_or(0);
    let mut options = EalOptions {
        main_cores: vec![core],
        file_prefix: format!("director-bench-{}", std::process::id()),
        ..EalOptions::default()
    };
    let free = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    let free: u64 = free.unwrap_or_default().trim().parse().unwrap_or(0);
    if no_huge || free < 64 {
        eprintln!("fewer than 64 free hugepages: measuring with ordinary memory");
        options.no_huge = true;
        options.memory_mb = Some(64);
    }
    Eal::start(&options).unwrap_or_else(|error| panic!("{error}"))
}

impl Pipeline {
    fn measure(&mut self) {
        if self.wants("stand alone") {
            let cost = idle(&self.mempool);
            self.report.add("stand alone", None, "", cost);
        }
        for method in [ForwardMethod::Route, ForwardMethod::Masq, ForwardMethod::Tunnel] {
            self.family::<u32>(method);
            self.family::<u128>(method);
        }
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.arguments.only)
    }

    fn wants_detail(&self, detail: &str) -> bool {
        detail.contains(&self.arguments.detail)
    }

    fn family<A: Address>(&mut self, method: ForwardMethod) {
        let name = format!("{} {}", short_name(method), family_name(A::FAMILY));
        if self.wants(&format!("{name} udp")) {
            self.established::<A>(method, Protocol::Udp, &name);
        }
        if self.wants(&format!("{name} tcp")) {
            self.established::<A>(method, Protocol::Tcp, &format!("{name} tcp"));
        }
        if self.wants(&format!("{name} conversation")) {
            self.conversations::<A>(method, &name);
        }
    }

    /// Opens flows, then sends their packets in random order.
    fn established<A: Address>(&mut self, method: ForwardMethod, protocol: Protocol, name: &str) {
        let most = self.flows.iter().max().map_or(0, |&flows| flows as usize);
        let snapshot = TestSnapshot::of(method, protocol);
        let mut stand = Stand::<A>::new(snapshot, &self.mempool, most.max(CAPACITY));
        let batches = self.arguments.batches;
        for flows in self.flows.clone() {
            if let Some(cost) = stand.grow(flows)
                && self.wants_detail("new 64")
            {
                self.report.add(name, Some(flows), "new 64", cost);
            }
            let mut hit = |spread: Spread, size: Size, replies| {
                let way = if replies { "reply" } else { "hit" };
                let detail = format!("{way} {} {}", spread.name(), size.name());
                if self.wants_detail(&detail) {
                    let cost = stand.hit(batches, spread, size, replies);
                    self.report.add(name, Some(flows), &detail, cost);
                }
            };
            hit(Spread::Uniform, Size::Shortest, false);
            if protocol == Protocol::Tcp {
                continue;
            }
            hit(Spread::Zipf, Size::Shortest, false);
            // A full frame does not fit into a tunnel.
            if method != ForwardMethod::Tunnel {
                hit(Spread::Uniform, Size::Imix, false);
                hit(Spread::Uniform, Size::Full, false);
            }
            if method == ForwardMethod::Masq {
                hit(Spread::Uniform, Size::Shortest, true);
            }
        }
    }

    /// Six TCP packets from SYN to the last ACK, then expiry by the timer.
    fn conversations<A: Address>(&mut self, method: ForwardMethod, name: &str) {
        let snapshot = TestSnapshot::of(method, Protocol::Tcp);
        let mut stand = Stand::<A>::new(snapshot, &self.mempool, CAPACITY);
        let steps = steps(method);
        let each = BATCH / steps.len();
        // 1,000 a second, so that expiring connections never fill the table.
        stand.set_step(Duration::from_micros((1000 * each / (BATCH / BURST)) as u64));
        let (mut taken, mut counted) = (Vec::new(), Vec::new());
        let warm_up = 400_000 / each as u32;
        for batch in 0..warm_up + 4 * self.arguments.batches as u32 {
            let run = conversation_batch(&mut stand, &steps, batch, each as u32);
            if batch >= warm_up {
                taken.push(run.cycles as f64 / each as f64);
                counted.push(run.instructions);
            }
        }
        let low = taken.iter().copied().fold(f64::INFINITY, f64::min);
        let instructions: Option<u64> = counted.iter().copied().sum();
        let instructions = instructions.map(|all| all as f64 / (counted.len() * each) as f64);
        let cost = Cost { cycles: median(&mut taken), cycles_low: low, instructions };
        let waiting = Some(stand.connections() as u32);
        self.report.add(name, waiting, "conversation", cost);
    }
}

/// Sender (`true`: the server) and flags of each packet. Without NAT replies do not pass the director.
fn steps(method: ForwardMethod) -> [(bool, u8); 6] {
    let data = tcp::PSH | tcp::ACK;
    let last = tcp::FIN | tcp::ACK;
    match method {
        ForwardMethod::Masq => [
            (false, tcp::SYN),
            (true, tcp::SYN | tcp::ACK),
            (false, data),
            (true, data),
            (false, last),
            (true, last),
        ],
        ForwardMethod::Route | ForwardMethod::Tunnel => {
            [tcp::SYN, tcp::ACK, data, tcp::ACK, last, tcp::ACK].map(|flags| (false, flags))
        }
    }
}

/// In each batch equally many conversations take each step, so that bursts are mixed.
fn conversation_batch<A: Address>(
    stand: &mut Stand<A>,
    steps: &[(bool, u8)],
    batch: u32,
    each: u32,
) -> Run {
    let length = stand.shortest();
    for conversation in 0..each {
        for (step, &(by_server, tcp_flags)) in (0..).zip(steps) {
            let Some(start) = batch.checked_sub(step) else { continue };
            let number = start * each + conversation;
            let tuple = if by_server { stand.reply(number) } else { stand.request(number) };
            stand.plan(Planned { tuple, tcp_flags, length });
        }
    }
    stand.run()
}

fn short_name(method: ForwardMethod) -> &'static str {
    match method {
        ForwardMethod::Route => "DR",
        ForwardMethod::Masq => "NAT",
        ForwardMethod::Tunnel => "TUN",
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
