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
