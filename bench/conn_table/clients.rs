//! The connections: one tuple for each client number.

use director::packet::Tuple;

/// Lookups per measurement: enough that at larger sizes none hits a cache.
pub const LOOKUPS: usize = 1 << 20;

/// The request of client `number`.
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

/// [`LOOKUPS`] keys that are in a table of `size` connections, and as many that are not.
pub struct Questions<K> {
    pub hits: Vec<K>,
    pub misses: Vec<K>,
}

impl<K> Questions<K> {
    /// `key` of each client number, in random order.
    pub fn new(size: usize, key: impl Fn(u32) -> K) -> Questions<K> {
        let mut random = fastrand::Rng::with_seed(7);
        let size = size as u32;
        let mut keys =
            |first: u32| (0..LOOKUPS).map(|_| key(first + random.u32(0..size))).collect();
        Questions { hits: keys(0), misses: keys(size) }
    }
}

/// Operations timed together.
const PIECE: usize = 1024;

/// Calls `ask` for each chunk of the keys.
pub fn pieces<K>(keys: &[K], ask: impl FnMut(&[K]) -> usize) -> impl Iterator<Item = usize> {
    keys.chunks(PIECE).map(ask)
}

/// Calls `work` for each client number, in chunks.
pub fn each(numbers: &[u32], mut work: impl FnMut(u32)) -> impl Iterator<Item = usize> {
    numbers.chunks(PIECE).map(move |piece| {
        piece.iter().for_each(|number| work(*number));
        piece.len()
    })
}

/// All clients in ascending order.
pub fn in_order(size: usize) -> Vec<u32> {
    (0..size as u32).collect()
}

/// All clients in the order in which the timers of the director's table expire them.
pub fn by_timeout(size: usize) -> Vec<u32> {
    (0..60).flat_map(|second| (second..size as u32).step_by(60)).collect()
}
