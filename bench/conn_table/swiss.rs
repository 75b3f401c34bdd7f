//! hashbrown: a map from tuples to connection numbers.

use super::clients::{self, Questions, pieces};
use super::memory::Memory;
use super::meter::Meter;
use director::conn::{Connection, Method};
use director::limits::BURST;
use director::packet::Tuple;
use hashbrown::HashMap;

pub fn measure(meter: &mut Meter, size: usize, name: &'static str) {
    meter.candidate(name);
    let questions = Questions::new(size, clients::ipv4);
    let before = Memory::now();
    let blank = Connection::new(clients::ipv4(0), Method::Route);
    let mut connections = vec![blank; size];
    let mut map: HashMap<Tuple<u32>, u32> = HashMap::with_capacity(size);
    // Otherwise the first insertions would take the page faults.
    map.extend((0..size as u32).map(|number| (clients::ipv4(number), number)));
    map.clear();
    let bytes = map.allocation_size() + size_of_val(connections.as_slice());
    meter.place(before, bytes as f64 / size as f64);
    let insert = |number| {
        let tuple = clients::ipv4(number);
        map.insert(tuple, number);
        connections[number as usize] = Connection::new(tuple, Method::Route);
    };
    meter.time("insert", clients::each(&clients::in_order(size), insert));
    let mut find = |tuples: &[Tuple<u32>]| {
        let mut found = 0;
        for burst in tuples.chunks_exact(BURST) {
            let numbers: [Option<u32>; BURST] =
                std::array::from_fn(|index| map.get(&burst[index]).copied());
            for number in numbers.into_iter().flatten() {
                let connection = &mut connections[number as usize];
                connection.in_packets = connection.in_packets.wrapping_add(1);
                found += 1;
            }
        }
        found
    };
    meter.time("find, hit", pieces(&questions.hits, &mut find));
    let missing = pieces(&questions.misses, |piece| piece.len() - find(piece));
    meter.time("find, miss", missing);
    let remove = |number| {
        map.remove(&clients::ipv4(number));
    };
    meter.time("remove (by key)", clients::each(&clients::by_timeout(size), remove));
    assert!(map.is_empty());
}
