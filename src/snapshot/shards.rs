//! A map split by address: cloning copies pointers, writing copies one shard. So an edit costs the same with ten
//! thousand services as with forty.

use crate::packet::slot_of;
use std::sync::Arc;

/// A power of two; with 100,000 addresses a shard has some hundreds.
const SHARDS: usize = 256;

/// Shards shared between snapshots, selected by the bits of an address.
#[derive(Debug)]
pub(crate) struct Shards<M> {
    shards: Box<[Arc<M>; SHARDS]>,
}

impl<M> Shards<M> {
    /// The shard of an address.
    #[inline]
    pub(crate) fn of(&self, address: u128) -> &M {
        &self.shards[slot_of(address, SHARDS)]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &M> {
        self.shards.iter().map(|shard| &**shard)
    }
}

impl<M: Clone> Shards<M> {
    /// The shard of an address for writing: a copy if it is shared.
    pub(crate) fn of_mut(&mut self, address: u128) -> &mut M {
        Arc::make_mut(&mut self.shards[slot_of(address, SHARDS)])
    }
}

impl<M: Default> Default for Shards<M> {
    fn default() -> Self {
        let empty = Arc::new(M::default());
        Shards { shards: Box::new(std::array::from_fn(|_| Arc::clone(&empty))) }
    }
}

impl<M> Clone for Shards<M> {
    fn clone(&self) -> Self {
        Shards { shards: self.shards.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_does_not_change_clones_and_shares_other_shards() {
        let mut shards = Shards::<Vec<u128>>::default();
        (0..1000).for_each(|address| shards.of_mut(address).push(address));
        let before = shards.clone();
        shards.of_mut(7).push(7000);
        assert_eq!(before.iter().map(Vec::len).sum::<usize>(), 1000);
        assert!(shards.of(7).contains(&7000) && !before.of(7).contains(&7000));
        let shared = |(one, other): (&Vec<u128>, &Vec<u128>)| std::ptr::eq(one, other);
        assert_eq!(shards.iter().zip(before.iter()).filter(|pair| shared(*pair)).count(), 255);
        // Neighbouring addresses are in different shards.
        assert!(before.iter().all(|shard| shard.len() < 16));
    }
}
