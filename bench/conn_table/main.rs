//! Times the connection table, and beside it two others over the same connections: DPDK's `rte_hash` and hashbrown.
//!
//! `cargo bench --bench conn_table -- [CONNECTIONS...]`; without numbers it runs 1 k, 100 k, 1 M and 10 M. Lookups go
//! in bursts of 32 in random order over everything that is in the table, so at the larger sizes every cache misses;
//! each lookup that hits reads and stamps its connection, as a worker does. Every candidate is made, filled, asked and
//! emptied once in each of several runs, one after the other, so that what else the machine does falls on all of them.
//!
//! Without the feature `dpdk` the row of `rte_hash` and the column of cycles stay away.

mod clients;
#[cfg(feature = "dpdk")]
mod hash_table;
mod memory;
mod meter;
mod own;
#[cfg(feature = "dpdk")]
mod rte_hash;
mod swiss;

use clap::Parser;
use director::conn::Method;
use meter::Meter;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Cost of finding, adding and ending connections.
#[derive(Parser)]
struct Arguments {
    /// Numbers of connections.
    sizes: Vec<usize>,
    /// Times that everything is done; the medians are shown.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only the candidates with this in their name.
    #[arg(long, default_value = "")]
    only: String,
    /// The CPU to run on; the last one unless said otherwise.
    #[arg(long)]
    core: Option<usize>,
    /// Results as JSON.
    #[arg(long)]
    json: Option<String>,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

const SIZES: [usize; 4] = [1_000, 100_000, 1_000_000, 10_000_000];

fn main() {
    heap_in_hugepages();
    let mut arguments = Arguments::parse();
    if arguments.sizes.is_empty() {
        arguments.sizes = SIZES.to_vec();
    }
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = arguments.core.or(cores.last().map(|core| core.id)).unwrap_or(0);
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let mut meter = Meter::new();
    measure(&mut meter, &arguments, core);
    meter.print();
    if let Some(path) = &arguments.json {
        meter.save(path).expect("the JSON file can be written");
    }
}

#[cfg_attr(not(feature = "dpdk"), expect(unused_variables, reason = "the EAL's core"))]
fn measure(meter: &mut Meter, arguments: &Arguments, core: usize) {
    #[cfg(feature = "dpdk")]
    let eal = rte_hash::start(core, arguments.sizes.iter().max().copied().unwrap_or(0));
    #[cfg(not(feature = "dpdk"))]
    println!("built without the feature dpdk: no rte_hash, no cycles\n");
    let wants = |name: &str| name.contains(&arguments.only);
    for &size in &arguments.sizes {
        for run in 0..arguments.runs {
            meter.begin(size, run);
            if wants("own IPv4 DR") {
                own::measure(meter, size, "own IPv4 DR", Method::Route, clients::ipv4);
            }
            #[cfg(feature = "dpdk")]
            if wants("rte_hash IPv4") {
                rte_hash::measure(meter, size, "rte_hash IPv4", &eal);
            }
            if wants("hashbrown IPv4") {
                swiss::measure(meter, size, "hashbrown IPv4");
            }
            if wants("own IPv4 NAT") {
                own::measure(meter, size, "own IPv4 NAT", Method::Masq, clients::ipv4);
            }
            if wants("own IPv6 DR") {
                own::measure(meter, size, "own IPv6 DR", Method::Route, clients::ipv6);
            }
        }
    }
}

/// The candidates that live on the heap are to have hugepages like the others, where there are any: glibc takes its
/// larger pieces from them when its environment says so at start.
fn heap_in_hugepages() {
    const NAME: &str = "GLIBC_TUNABLES";
    if std::env::var_os(NAME).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env(NAME, "glibc.malloc.hugetlb=2");
    let error = again.exec();
    eprintln!("the heap stays in ordinary pages: {error}");
}
