//! The director's connection table.

use super::clients::{self, Questions, pieces};
use super::memory::Memory;
use super::meter::Meter;
use director::conn::{Connection, ConnectionId, Direction, Expiry, Hash, Hint, Method, Table};
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
    let server = client(0).destination;
    let insert = |table: &mut Table<A>, number: u32| {
        let mut connection = Connection::new(client(number), method);
        (connection.destination_address, connection.destination_port) = (server, 8080);
        connection.timeout_s = 60 + number % 60;
        table.insert(connection, 0).expect("the table is full");
    };
    let numbers = clients::in_order(size);
    let mut first = Table::<A>::new(size).expect("memory for the table");
    meter.time("insert, one by one", clients::each(&numbers, |number| insert(&mut first, number)));
    drop(first);
    let before = Memory::now();
    let mut table = Table::<A>::new(size).expect("memory for the table");
    meter.place(before, table.bytes() as f64 / size as f64);
    // A worker has read the bucket of each packet of a burst before it creates the first connection.
    let in_bursts = pieces(&numbers, |piece| {
        for burst in piece.chunks(BURST) {
            burst.iter().for_each(|&number| table.prefetch_bucket(table.hash(&client(number))));
            burst.iter().for_each(|&number| insert(&mut table, number));
        }
        piece.len()
    });
    meter.time("insert", in_bursts);
    let Questions { hits, misses } = &questions;
    meter.time("find, hit", pieces(hits, |piece| find_in_bursts(&mut table, piece)));
    let one_by_one = pieces(hits, |piece| find_one_by_one(&mut table, piece));
    meter.time("find, hit, one by one", one_by_one);
    let missing = pieces(misses, |piece| piece.len() - find_in_bursts(&mut table, piece));
    meter.time("find, miss", missing);
    expire(meter, size, &mut table);
}

/// Looks up bursts like a worker: in three passes, so that memory accesses overlap.
fn find_in_bursts<A: Address>(table: &mut Table<A>, tuples: &[Tuple<A>]) -> usize {
    let mut found = 0;
    for burst in tuples.chunks_exact(BURST) {
        let hashes: [Hash; BURST] = std::array::from_fn(|index| {
            let hash = table.hash(&burst[index]);
            table.prefetch_bucket(hash);
            hash
        });
        let guesses: [Hint; BURST] =
            std::array::from_fn(|index| table.prefetch_entry(hashes[index]));
        for ((guess, hash), tuple) in guesses.into_iter().zip(hashes).zip(burst) {
            let connection = table.verify_hint(guess, tuple).or_else(|| table.find(hash, tuple));
            found += stamp(table, connection);
        }
    }
    found
}

fn find_one_by_one<A: Address>(table: &mut Table<A>, tuples: &[Tuple<A>]) -> usize {
    let mut found = 0;
    for tuple in tuples {
        let connection = table.find(table.hash(tuple), tuple);
        found += stamp(table, connection);
    }
    found
}

#[inline]
fn stamp<A: Address>(table: &mut Table<A>, found: Option<(ConnectionId, Direction)>) -> usize {
    let Some((id, _)) = found else { return 0 };
    let connection = table.get_mut(id);
    connection.in_packets = connection.in_packets.wrapping_add(1);
    1
}

/// First every connection had a packet and is rescheduled in the timer wheel, then all expire.
fn expire<A: Address>(meter: &mut Meter, size: usize, table: &mut Table<A>) {
    let mut cursor = Some(0);
    let mut ids = Vec::with_capacity(size);
    while let Some(from) = cursor {
        let (rows, next) = table.iter_from(from, 4096);
        ids.extend(rows.map(|(id, _)| id));
        cursor = next;
    }
    // Timers of 60 to 120 seconds; the packet at 59 s moves every expiry beyond 119 s.
    ids.iter().for_each(|id| table.touch(*id, 59_000));
    meter.time("expire, filed again", Turn { table, now_ms: 0, end_ms: 119_000 });
    assert_eq!(table.len(), size);
    meter.time("remove (by the timer)", Turn { table, now_ms: 119_000, end_ms: 260_000 });
    assert!(table.is_empty());
}

/// Advances the clock tick by tick and handles due connections in bursts; each chunk returns their number.
struct Turn<'table, A> {
    table: &'table mut Table<A>,
    now_ms: u32,
    end_ms: u32,
}

impl<A: Address> Iterator for Turn<'_, A> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.now_ms >= self.end_ms {
            return None;
        }
        let mut looked = 0;
        for _ in 0..32 {
            let used = self.table.expire(self.now_ms, BURST, |_, _| Expiry::Remove);
            looked += used;
            if used < BURST {
                self.now_ms += 64;
                // One item was the step of the wheel.
                return Some(looked.saturating_sub(1));
            }
        }
        Some(looked)
    }
}
