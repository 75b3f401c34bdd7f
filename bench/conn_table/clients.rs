//! Whose connections: one tuple per number.

use director::packet::Tuple;

/// Lookups per measurement: enough that those of the larger sizes find nothing in a cache.
pub const LOOKUPS: usize = 1 << 20;

/// The request of the `number`th client.
pub fn ipv4(number: u32) -> Tuple<u32> {
    Tuple {
        source: 0x0a00_0000 + (number >> 4),
        destination: 0xc000_0201,
        source_port: 32_768 + (number & 15) as u16,
        destination_port: 80,
        protocol: 6,
    }
}

pub fn ipv6(number: u32) -> Tuple<u128> {
    let network = 0x2001_0db8_u128 << 96;
    let tuple = ipv4(number);
    Tuple {
        source: network | u128::from(tuple.source),
        destination: network | u128::from(tuple.destination),
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        protocol: tuple.protocol,
    }
}

/// What is asked for: [`LOOKUPS`] keys that are in a table of `size` connections, and as many that are not.
pub struct Questions<K> {
    pub hits: Vec<K>,
    pub misses: Vec<K>,
}

impl<K> Questions<K> {
    /// In random order, `key` of each client's number.
    pub fn new(size: usize, key: impl Fn(u32) -> K) -> Questions<K> {
        let mut random = fastrand::Rng::with_seed(7);
        let size = size as u32;
        let mut keys =
            |first: u32| (0..LOOKUPS).map(|_| key(first + random.u32(0..size))).collect();
        Questions { hits: keys(0), misses: keys(size) }
    }
}

/// Operations that are timed together.
const PIECE: usize = 1024;

/// `ask` for each piece of the questions.
pub fn pieces<K>(keys: &[K], ask: impl FnMut(&[K]) -> usize) -> impl Iterator<Item = usize> {
    keys.chunks(PIECE).map(ask)
}

/// `work` for each client's number, pieced.
pub fn each(numbers: &[u32], mut work: impl FnMut(u32)) -> impl Iterator<Item = usize> {
    numbers.chunks(PIECE).map(move |piece| {
        piece.iter().for_each(|number| work(*number));
        piece.len()
    })
}

/// All clients in order.
pub fn in_order(size: usize) -> Vec<u32> {
    (0..size as u32).collect()
}

/// All clients in the order in which the timers of the director's table come round to them.
pub fn by_timeout(size: usize) -> Vec<u32> {
    (0..60).flat_map(|second| (second..size as u32).step_by(60)).collect()
}
