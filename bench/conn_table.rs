//! Times the connection table, and a hashbrown map over the same entries for comparison.
//!
//! `cargo bench --no-default-features --bench conn_table [CONNECTIONS...]`; without numbers it runs 1 k, 1 M and
//! 10 M. Lookups go in bursts of 32 in random order over everything that is in the table, so at the larger sizes
//! every cache misses; each lookup that hits reads and stamps its entry, as a worker does. Cycles are nanoseconds
//! times the frequency in /proc/cpuinfo, which on current processors is that of the time stamp counter.

use director::conn::{Connection, Hash, Method, Table, Verdict};
use director::limits::BURST;
use director::packet::{Address, Tuple};
use hashbrown::HashMap;
use std::hint::black_box;
use std::time::Instant;

/// Lookups per measurement.
const LOOKUPS: usize = 1 << 22;

/// Measurements of which the best counts.
const ROUNDS: usize = 5;

fn main() {
    let mut sizes: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 1_000_000, 10_000_000];
    }
    let clock = Clock::new();
    println!("{:>10}  {:<34} {:>8} {:>8}", "entries", "operation", "ns", "cycles");
    for size in sizes {
        own_table(&clock, size, "IPv4 DR", Method::Route, client4);
        own_table(&clock, size, "IPv4 NAT", Method::Masq, client4);
        own_table(&clock, size, "IPv6 DR", Method::Route, client6);
        hash_map(&clock, size);
    }
}

struct Clock {
    gigahertz: f64,
}

impl Clock {
    fn new() -> Clock {
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let megahertz = information
            .lines()
            .find(|line| line.starts_with("cpu MHz"))
            .and_then(|line| line.split(':').nth(1)?.trim().parse::<f64>().ok());
        Clock { gigahertz: megahertz.map_or(f64::NAN, |megahertz| megahertz / 1000.0) }
    }

    /// Times `work`, which says how many operations it did.
    fn time(&self, size: usize, operation: &str, work: impl FnOnce() -> usize) {
        self.print(size, operation, once(work));
    }

    /// Times `work` several times and prints the fastest, which other programs disturbed least.
    fn time_best(&self, size: usize, operation: &str, mut work: impl FnMut() -> usize) {
        let nanos = (0..ROUNDS).map(|_| once(&mut work)).fold(f64::INFINITY, f64::min);
        self.print(size, operation, nanos);
    }

    fn print(&self, size: usize, operation: &str, nanos: f64) {
        println!("{size:>10}  {operation:<34} {nanos:>8.1} {:>8.0}", nanos * self.gigahertz);
    }
}

/// Nanoseconds for each operation of `work`.
fn once(work: impl FnOnce() -> usize) -> f64 {
    let start = Instant::now();
    let operations = black_box(work());
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// The request of the `number`th client.
fn client4(number: u32) -> Tuple<u32> {
    Tuple {
        source: 0x0a00_0000 + (number >> 4),
        destination: 0xc000_0201,
        source_port: 32_768 + (number & 15) as u16,
        destination_port: 80,
        protocol: 6,
    }
}

fn client6(number: u32) -> Tuple<u128> {
    let network = 0x2001_0db8_u128 << 96;
    let tuple = client4(number);
    Tuple {
        source: network | u128::from(tuple.source),
        destination: network | u128::from(tuple.destination),
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        protocol: tuple.protocol,
    }
}

/// Requests of clients from `first` on, `size` of them, in random order.
fn requests<A>(size: usize, first: u32, client: fn(u32) -> Tuple<A>) -> Vec<Tuple<A>> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..LOOKUPS).map(|_| client(first + random.u32(0..size as u32))).collect()
}

fn own_table<A: Address>(
    clock: &Clock,
    size: usize,
    kind: &str,
    method: Method,
    client: fn(u32) -> Tuple<A>,
) {
    let mut table = Table::<A>::new(size).expect("memory for the table");
    let bytes = table.bytes() as f64 / size as f64;
    println!("{size:>10}  {kind}: {bytes:.0} bytes per connection");
    let server = client(0).destination;
    clock.time(size, "insert", || {
        for number in 0..size as u32 {
            let tuple = client(number);
            let connection = Connection {
                destination_address: server,
                destination_port: 8080,
                timeout_s: 60 + number % 60,
                ..Connection::new(tuple, method)
            };
            table.insert(connection, 0).expect("within the capacity");
        }
        size
    });
    let hits = requests(size, 0, client);
    clock.time_best(size, "find, hit, bursts of 32", || find_in_bursts(&mut table, &hits));
    clock.time_best(size, "find, hit, one by one", || find_one_by_one(&mut table, &hits));
    let misses = requests(size, size as u32, client);
    clock.time_best(size, "find, miss, bursts of 32", || {
        LOOKUPS - find_in_bursts(&mut table, &misses)
    });
    expire(clock, size, &mut table);
}

/// As a worker looks a burst up: three rounds, so that memory answers in parallel.
fn find_in_bursts<A: Address>(table: &mut Table<A>, tuples: &[Tuple<A>]) -> usize {
    let mut found = 0;
    for burst in tuples.chunks_exact(BURST) {
        let hashes: [Hash; BURST] = std::array::from_fn(|index| {
            let hash = table.hash(&burst[index]);
            table.prefetch_bucket(hash);
            hash
        });
        hashes.iter().for_each(|hash| table.prefetch_entry(*hash));
        for (hash, tuple) in hashes.iter().zip(burst) {
            found += usize::from(find_and_stamp(table, *hash, tuple));
        }
    }
    found
}

fn find_one_by_one<A: Address>(table: &mut Table<A>, tuples: &[Tuple<A>]) -> usize {
    let mut found = 0;
    for tuple in tuples {
        let hash = table.hash(tuple);
        found += usize::from(find_and_stamp(table, hash, tuple));
    }
    found
}

#[inline]
fn find_and_stamp<A: Address>(table: &mut Table<A>, hash: Hash, tuple: &Tuple<A>) -> bool {
    let Some((id, _)) = table.find(hash, tuple) else { return false };
    let connection = table.get_mut(id);
    connection.in_packets = connection.in_packets.wrapping_add(1);
    true
}

/// First everything has been seen since and is filed again, then everything ends.
fn expire<A: Address>(clock: &Clock, size: usize, table: &mut Table<A>) {
    let mut cursor = Some(0);
    let mut ids = Vec::with_capacity(size);
    while let Some(from) = cursor {
        let (rows, next) = table.iter_from(from, 4096);
        ids.extend(rows.map(|(id, _)| id));
        cursor = next;
    }
    // Filed for 60 to 120 seconds; the packet at 59 moves every end beyond 119.
    ids.iter().for_each(|id| table.touch(*id, 59_000));
    clock.time(size, "expire, filed again", || {
        let (mut looked, mut ticks) = (0, 0);
        for now_ms in (0..119_000).step_by(64) {
            ticks += 1;
            looked += expire_all(table, now_ms);
        }
        looked - ticks
    });
    assert_eq!(table.len(), size);
    clock.time(size, "expire, removed", || {
        for now_ms in (119_000..260_000).step_by(64) {
            expire_all(table, now_ms);
        }
        size
    });
    assert!(table.is_empty());
}

/// What is due, a burst at a time; returns how much was looked at.
fn expire_all<A: Address>(table: &mut Table<A>, now_ms: u32) -> usize {
    let mut looked = 0;
    loop {
        let used = table.expire(now_ms, BURST, |_, _| Verdict::Remove);
        looked += used;
        if used < BURST {
            return looked;
        }
    }
}

/// The same lookups in a map from tuple to entry number, and the entry read and stamped.
fn hash_map(clock: &Clock, size: usize) {
    println!("{size:>10}  IPv4: hashbrown map to the entry's number");
    let mut map: HashMap<Tuple<u32>, u32> = HashMap::with_capacity(size);
    let mut entries = Vec::with_capacity(size);
    clock.time(size, "insert", || {
        for number in 0..size as u32 {
            let tuple = client4(number);
            map.insert(tuple, number);
            entries.push(Connection::new(tuple, Method::Route));
        }
        size
    });
    let mut find = |tuples: &[Tuple<u32>]| {
        let mut found = 0;
        for burst in tuples.chunks_exact(BURST) {
            let numbers: [Option<u32>; BURST] =
                std::array::from_fn(|index| map.get(&burst[index]).copied());
            for number in numbers.into_iter().flatten() {
                let entry = &mut entries[number as usize];
                entry.in_packets = entry.in_packets.wrapping_add(1);
                found += 1;
            }
        }
        found
    };
    let hits = requests(size, 0, client4);
    clock.time_best(size, "find, hit, bursts of 32", || find(&hits));
    let misses = requests(size, size as u32, client4);
    clock.time_best(size, "find, miss, bursts of 32", || LOOKUPS - find(&misses));
    clock.time(size, "remove", || {
        (0..size as u32).filter(|number| map.remove(&client4(*number)).is_some()).count()
    });
}
