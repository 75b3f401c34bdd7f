//! Times the connection table and two others over the same connections: DPDK's `rte_hash` and hashbrown.
//!
//! `cargo bench --bench conn_table -- [CONNECTIONS...]`; the default is 1 k, 100 k, 1 M and 10 M. Lookups are in bursts
//! of 32 and in random order over all connections, so at larger sizes every access misses the cache. Each hit reads and
//! stamps its connection, as a worker does. In each of several runs every table is created, filled, looked up and
//! emptied, one after another, so that other load on the machine affects all of them.
//!
//! Without the feature `dpdk` there is no row for `rte_hash` and no column of cycles.

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

/// Cost of looking up, adding and expiring connections.
#[derive(Parser)]
struct Arguments {
    /// Numbers of connections.
    sizes: Vec<usize>,
    /// Number of runs; medians are shown.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only tables whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
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

/// Gives hugepages to tables on the heap too, if the machine has any. glibc uses hugepages for large allocations if an
/// environment variable is set at start.
fn heap_in_hugepages() {
    const NAME: &str = "GLIBC_TUNABLES";
    if std::env::var_os(NAME).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env(NAME, "glibc.malloc.hugetlb=2");
    let error = again.exec();
    eprintln!("the heap uses ordinary pages: {error}");
}
