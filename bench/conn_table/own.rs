//! The connection table of the director.

use super::clients::{LOOKUPS, Questions};
use super::memory::Memory;
use super::meter::Meter;
use director::conn::{Connection, Hash, Method, Table, Verdict};
use director::limits::BURST;
use director::packet::{Address, Tuple};

pub fn measure<A: Address>(
    meter: &mut Meter,
    size: usize,
    name: &'static str,
    method: Method,
    client: fn(u32) -> Tuple<A>,
) {
    meter.candidate(name);
    let questions = Questions::new(size, client);
    let before = Memory::now();
    let mut table = Table::<A>::new(size).expect("memory for the table");
    meter.place(before, table.bytes() as f64 / size as f64);
    let server = client(0).destination;
    meter.time("insert", || {
        for number in 0..size as u32 {
            let connection = Connection {
                destination_address: server,
                destination_port: 8080,
                timeout_s: 60 + number % 60,
                ..Connection::new(client(number), method)
            };
            table.insert(connection, 0).expect("within the capacity");
        }
        size
    });
    meter.time("find, hit", || find_in_bursts(&mut table, &questions.hits));
    meter.time("find, hit, one by one", || find_one_by_one(&mut table, &questions.hits));
    meter.time("find, miss", || LOOKUPS - find_in_bursts(&mut table, &questions.misses));
    expire(meter, size, &mut table);
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
fn expire<A: Address>(meter: &mut Meter, size: usize, table: &mut Table<A>) {
    let mut cursor = Some(0);
    let mut ids = Vec::with_capacity(size);
    while let Some(from) = cursor {
        let (rows, next) = table.iter_from(from, 4096);
        ids.extend(rows.map(|(id, _)| id));
        cursor = next;
    }
    // Filed for 60 to 120 seconds; the packet at 59 moves every end beyond 119.
    ids.iter().for_each(|id| table.touch(*id, 59_000));
    meter.time("expire, filed again", || {
        let (mut looked, mut ticks) = (0, 0);
        for now_ms in (0..119_000).step_by(64) {
            ticks += 1;
            looked += expire_all(table, now_ms);
        }
        looked - ticks
    });
    assert_eq!(table.len(), size);
    meter.time("remove (by the timer)", || {
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
