//! A keyed hash of tuples that is equal for both directions.
//!
//! Clients choose most of a tuple, so each table hashes with a secret random key. Each round multiplies two 64-bit
//! words, masked with the key, to 128 bits and XORs the halves. Without the key nobody can choose tuples that share a
//! bucket more often than by chance.

use crate::packet::{Address, Tuple};
use std::hash::{BuildHasher, RandomState};

/// Hash of a tuple under the [`Key`] of one table, for that table's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash {
    bucket: u32,
    tag: u16,
}

impl Hash {
    /// The high bits, scaled, select one of `buckets` buckets, so `buckets` may be any number. The low bits are the
    /// tag.
    #[inline]
    fn new(bits: u64, buckets: u32) -> Self {
        let bucket = ((bits >> 32) * u64::from(buckets)) >> 32;
        Hash { bucket: bucket as u32, tag: bits as u16 | 1 }
    }

    /// The primary bucket.
    #[inline]
    pub(super) fn bucket(self) -> usize {
        self.bucket as usize
    }

    /// The tag in the bucket; never zero.
    #[inline]
    pub(super) fn tag(self) -> u16 {
        self.tag
    }
}

/// The secret key of one table.
#[derive(Clone, Copy)]
pub struct Key([u64; 4]);

impl Key {
    /// A new random key from the operating system.
    pub fn random() -> Key {
        let state = RandomState::new();
        Key::fixed(std::array::from_fn(|index| state.hash_one(index)))
    }

    /// A fixed key, so that hashes are equal in every run.
    pub const fn fixed([mask, factor, low, high]: [u64; 4]) -> Key {
        // A factor of zero would make all hashes equal.
        Key([mask, factor | 1, low, high])
    }

    /// Hashes `tuple` for an index with this many `buckets`. The reversed tuple has the same hash, because both ends
    /// are masked with the same key before they are multiplied.
    #[inline]
    pub(super) fn hash<A: Address>(&self, tuple: &Tuple<A>, buckets: u32) -> Hash {
        let [mask, factor, ..] = self.0;
        let source = self.end(tuple.source, tuple.source_port);
        let destination = self.end(tuple.destination, tuple.destination_port);
        let pair = fold(source ^ mask, destination ^ mask);
        Hash::new(fold(pair ^ u64::from(tuple.protocol), factor), buckets)
    }

    /// One end in 64 bits: an IPv4 address and its port unchanged; an IPv6 address by a keyed round of its own, because
    /// an attacker may choose both of its halves.
    #[inline]
    fn end<A: Address>(&self, address: A, port: u16) -> u64 {
        let number = address.bits();
        let (high, low) = ((number >> 64) as u64, number as u64);
        if A::BYTES <= 4 {
            low << 16 | u64::from(port)
        } else {
            fold(high ^ self.0[3], low ^ self.0[2]).wrapping_add(u64::from(port))
        }
    }
}

/// XOR of the two halves of the 128-bit product.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUCKETS: u32 = 1 << 14;

    fn tuple<A>(source: A, destination: A, ports: (u16, u16), protocol: u8) -> Tuple<A> {
        Tuple { source, destination, source_port: ports.0, destination_port: ports.1, protocol }
    }

    proptest! {
        #[test]
        fn both_directions_have_the_same_hash(
            v4 in any::<(u32, u32)>(), v6 in any::<(u128, u128)>(), ports in any::<(u16, u16)>(), protocol: u8
        ) {
            let key = Key::random();
            let tuple4 = tuple(v4.0, v4.1, ports, protocol);
            prop_assert_eq!(key.hash(&tuple4, BUCKETS), key.hash(&tuple4.reversed(), BUCKETS));
            let tuple6 = tuple(v6.0, v6.1, ports, protocol);
            prop_assert_eq!(key.hash(&tuple6, BUCKETS), key.hash(&tuple6.reversed(), BUCKETS));
        }
    }

    /// Largest number of `tuples` in one of as many buckets as there are tuples.
    fn deepest<A: Address>(key: Key, tuples: impl Iterator<Item = Tuple<A>>) -> u32 {
        let mut depth = vec![0; BUCKETS as usize];
        for tuple in tuples.take(BUCKETS as usize) {
            depth[key.hash(&tuple, BUCKETS).bucket()] += 1;
        }
        depth.into_iter().max().unwrap()
    }

    /// With random placement the fullest of 16,384 buckets holds 9 or more with probability below 2 %, and practically
    /// never 14 or more.
    #[test]
    fn regular_tuples_spread_like_random_ones() {
        for _ in 0..8 {
            let key = Key::random();
            let counting = (0..).map(|n: u32| tuple(0x0a00_0000 + n, 0xc0a8_0001, (40_000, 80), 6));
            assert!(deepest(key, counting) < 14);
            let ports = (0..).map(|n: u32| tuple(0x0a00_0001u32, 0xc0a8_0001, (n as u16, 80), 6));
            assert!(deepest(key, ports) < 14);
            // An XOR of the two halves without a key would cancel out.
            let halves = (0..).map(|n: u128| tuple(n << 64 | n, 1, (1, 80), 6));
            assert!(deepest(key, halves) < 14);
            let rotated = (0..).map(|n: u128| tuple(n << 96 | n, 1, (1, 80), 6));
            assert!(deepest(key, rotated) < 14);
        }
    }

    #[test]
    fn keys_and_protocols_matter() {
        let tuple4 = tuple(1u32, 2, (3, 4), 6);
        assert_ne!(Key::random().hash(&tuple4, BUCKETS), Key::random().hash(&tuple4, BUCKETS));
        let key =
            Key::fixed([1, 2, 3, 4].map(|word: u64| word.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let known = key.hash(&tuple4, BUCKETS);
        assert_ne!(known, key.hash(&Tuple { protocol: 17, ..tuple4 }, BUCKETS));
        assert_ne!(known, key.hash(&Tuple { source_port: 4, ..tuple4 }, BUCKETS));
    }
}
