//! DPDK's cuckoo hash with bulk lookup: from sixteen bytes of tuple to the connection number.

use super::clients::{self, Questions, pieces};
use super::hash_table::HashTable;
use super::memory::Memory;
use super::meter::Meter;
use director::conn::{Connection, Method};
use director::dpdk::{Eal, EalOptions};
use director::limits::BURST;
use director::packet::Tuple;

/// A key length for which `rte_hash` has its own comparison function.
const KEY: usize = 16;

/// Maximum bytes of an `rte_hash` per entry: a key with its value, slots in two sets of buckets, and a number in the
/// ring of free slots. All but the first are rounded up to a power of two.
const ROOM: usize = 128;

/// Starts DPDK with room for a table of `size` entries, in hugepages if there are any.
pub fn start(core: usize, size: usize) -> Eal {
    let mut options = EalOptions {
        main_cores: vec![core],
        file_prefix: format!("director-bench-{}", std::process::id()),
        ..EalOptions::default()
    };
    let free = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    let free: usize = free.unwrap_or_default().trim().parse().unwrap_or(0);
    let megabytes = 64 + ((size * ROOM) >> 20);
    if free < megabytes / 2 {
        eprintln!("only {free} free hugepages: rte_hash uses ordinary memory");
        options.no_huge = true;
        options.memory_mb = Some(megabytes as u32);
    }
    Eal::start(&options).unwrap_or_else(|error| panic!("{error}"))
}

fn key(tuple: &Tuple<u32>) -> [u8; KEY] {
    let mut key = [0; KEY];
    key[..4].copy_from_slice(&tuple.source.to_ne_bytes());
    key[4..8].copy_from_slice(&tuple.destination.to_ne_bytes());
    key[8..10].copy_from_slice(&tuple.source_port.to_ne_bytes());
    key[10..12].copy_from_slice(&tuple.destination_port.to_ne_bytes());
    key[12] = tuple.protocol;
    key
}

pub fn measure(meter: &mut Meter, size: usize, name: &'static str, eal: &Eal) {
    meter.candidate(name);
    let questions = Questions::new(size, clients::ipv4);
    let before = Memory::now();
    let blank = Connection::new(clients::ipv4(0), Method::Route);
    let mut connections = vec![blank; size];
    let mut table = HashTable::<KEY>::new(eal, size as u32);
    let taken = Memory::now().since(before);
    let bytes = taken.hugepages + taken.transparent + taken.ordinary;
    meter.place(before, bytes as f64 / size as f64);
    let insert = |number| {
        let tuple = clients::ipv4(number);
        table.insert(&key(&tuple), number as usize);
        connections[number as usize] = Connection::new(tuple, Method::Route);
    };
    meter.time("insert", clients::each(&clients::in_order(size), insert));
    let mut find = |tuples: &[Tuple<u32>]| {
        let mut found = 0;
        for burst in tuples.chunks_exact(BURST) {
            let keys: [[u8; KEY]; BURST] = std::array::from_fn(|index| key(&burst[index]));
            let mut numbers = [0; BURST];
            let mut hits = table.find(&keys.each_ref(), &mut numbers);
            while hits != 0 {
                let connection = &mut connections[numbers[hits.trailing_zeros() as usize]];
                connection.in_packets = connection.in_packets.wrapping_add(1);
                found += 1;
                hits &= hits - 1;
            }
        }
        found
    };
    meter.time("find, hit", pieces(&questions.hits, &mut find));
    let missing = pieces(&questions.misses, |piece| piece.len() - find(piece));
    meter.time("find, miss", missing);
    let remove = |number| {
        table.remove(&key(&clients::ipv4(number)));
    };
    meter.time("remove (by key)", clients::each(&clients::by_timeout(size), remove));
    assert!(table.is_empty());
}
