//! Finds candidate entries by the hash of a tuple.
//!
//! A hash selects one of the primary buckets. A full bucket is continued by overflow buckets from a pool. Chains are
//! compact: only the last bucket has empty slots, because a hole is filled from the end. A chain with `j` overflow
//! buckets therefore holds more than `10 j` references, so all chains together need overflow buckets for at most a
//! tenth of the references. With a pool of that size no insertion fails before the table is full. Removals leave no
//! tombstones.

use super::bucket::{Bucket, SLOTS};
use super::hash::Hash;
use super::memory::{OutOfMemory, Slab, prefetch};

/// References per primary bucket when the index is full: on average six of ten slots, so that with random placement
/// four of a hundred buckets overflow. A table with one reference per connection fills half of it.
const LOAD: usize = 6;

pub(super) struct Index {
    buckets: Slab<Bucket>,
    primary: u32,
    /// Overflow buckets from here on were never used.
    unused: u32,
    /// First free overflow bucket that was used before, linked by `overflow`; zero ends the list.
    vacant: u32,
}

impl Index {
    /// Creates an index for up to `references` references.
    pub(super) fn new(references: usize) -> Result<Index, OutOfMemory> {
        let primary = references.div_ceil(LOAD).max(1);
        let buckets = Slab::new(primary + references / SLOTS, Bucket::EMPTY)?;
        Ok(Index { buckets, primary: primary as u32, unused: primary as u32, vacant: 0 })
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val::<[Bucket]>(&self.buckets)
    }

    /// Number of primary buckets.
    #[inline]
    pub(super) fn buckets(&self) -> u32 {
        self.primary
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: Hash) {
        prefetch(self.buckets.as_ptr().wrapping_add(hash.bucket()));
    }

    /// The first entry in the first bucket with the hash's tag. If there is none and the chain continues, prefetches
    /// the next bucket instead.
    #[inline]
    pub(super) fn peek(&self, hash: Hash) -> Option<u32> {
        let bucket = &self.buckets[hash.bucket()];
        let found = bucket.matches(hash.tag()).next();
        if found.is_none() && bucket.overflow != 0 {
            prefetch(self.buckets.as_ptr().wrapping_add(bucket.overflow as usize));
        }
        found.map(|slot| bucket.entry(slot))
    }

    /// The first result of `accept` over the entries with the hash's tag.
    #[inline]
    pub(super) fn find<R>(
        &self,
        hash: Hash,
        mut accept: impl FnMut(u32) -> Option<R>,
    ) -> Option<R> {
        let tag = hash.tag();
        let mut bucket = &self.buckets[hash.bucket()];
        loop {
            for slot in bucket.matches(tag) {
                let accepted = accept(bucket.entry(slot));
                if accepted.is_some() {
                    return accepted;
                }
            }
            if bucket.overflow == 0 {
                return None;
            }
            bucket = &self.buckets[bucket.overflow as usize];
        }
    }

    /// Adds a reference. The caller adds at most as many as the index was created for.
    #[inline]
    pub(super) fn insert(&mut self, hash: Hash, entry: u32) {
        let last = self.last(hash.bucket()).1;
        if let Some(slot) = self.buckets[last].empty_slot() {
            self.buckets[last].set(slot, hash.tag(), entry);
            return;
        }
        let fresh = self.take_overflow();
        self.buckets[last].overflow = fresh;
        self.buckets[fresh as usize].set(0, hash.tag(), entry);
    }

    /// Removes a reference; false if it did not exist.
    pub(super) fn remove(&mut self, hash: Hash, entry: u32) -> bool {
        let Some((bucket, slot)) = self.place(hash, entry) else { return false };
        self.buckets[bucket].take(slot);
        self.fill_hole(hash.bucket(), bucket, slot);
        true
    }

    /// Replaces a reference to `old` by one to `new`; false if it did not exist.
    pub(super) fn replace(&mut self, hash: Hash, old: u32, new: u32) -> bool {
        let Some((bucket, slot)) = self.place(hash, old) else { return false };
        self.buckets[bucket].set(slot, hash.tag(), new);
        true
    }

    /// Bucket and slot of a reference.
    fn place(&self, hash: Hash, entry: u32) -> Option<(usize, usize)> {
        let mut bucket = hash.bucket();
        loop {
            let here = &self.buckets[bucket];
            if let Some(slot) = here.matches(hash.tag()).find(|slot| here.entry(*slot) == entry) {
                return Some((bucket, slot));
            }
            if here.overflow == 0 {
                return None;
            }
            bucket = here.overflow as usize;
        }
    }

    /// Moves a reference from the end of the chain at `home` into an emptied slot, and frees the last bucket if it
    /// becomes empty.
    #[inline]
    fn fill_hole(&mut self, home: usize, bucket: usize, slot: usize) {
        if self.buckets[home].overflow == 0 {
            return;
        }
        let (before, last) = self.last(home);
        if last != bucket
            && let Some(used) = self.buckets[last].used_slot()
        {
            let (tag, entry) = self.buckets[last].take(used);
            self.buckets[bucket].set(slot, tag, entry);
        }
        if self.buckets[last].is_empty() {
            self.buckets[before].overflow = 0;
            self.buckets[last].overflow = self.vacant;
            self.vacant = last as u32;
        }
    }

    /// The last bucket of the chain at `home`, and the one before it (or itself).
    #[inline]
    fn last(&self, home: usize) -> (usize, usize) {
        let (mut before, mut last) = (home, home);
        while self.buckets[last].overflow != 0 {
            before = last;
            last = self.buckets[last].overflow as usize;
        }
        (before, last)
    }

    /// Takes an empty overflow bucket.
    fn take_overflow(&mut self) -> u32 {
        let fresh = match self.vacant {
            0 => {
                self.unused += 1;
                self.unused - 1
            }
            vacant => vacant,
        };
        self.vacant = std::mem::take(&mut self.buckets[fresh as usize].overflow);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::Key;
    use super::*;
    use crate::packet::Tuple;

    /// Hashes with any tag that select the same bucket of `index`.
    fn same_bucket(index: &Index) -> impl Iterator<Item = Hash> {
        let key = Key::random();
        let primary = index.primary;
        (0..)
            .map(move |source: u32| key.hash(&Tuple { source, ..Tuple::default() }, primary))
            .filter(move |hash| hash.bucket() == 0)
    }

    fn overflow_in_use(index: &Index) -> usize {
        let mut vacant = 0;
        let mut bucket = index.vacant;
        while bucket != 0 {
            vacant += 1;
            bucket = index.buckets[bucket as usize].overflow;
        }
        (index.unused - index.primary) as usize - vacant
    }

    /// Number of buckets in the chain of a hash.
    impl Index {
        pub(in super::super) fn chain_length(&self, hash: Hash) -> usize {
            let mut bucket = hash.bucket();
            let mut length = 1;
            while self.buckets[bucket].overflow != 0 {
                bucket = self.buckets[bucket].overflow as usize;
                length += 1;
            }
            length
        }
    }

    #[test]
    fn one_chain_holds_all_references() {
        const REFERENCES: usize = 200;
        let mut index = Index::new(REFERENCES).unwrap();
        let hashes: Vec<Hash> = same_bucket(&index).take(REFERENCES).collect();
        for round in 0..3 {
            for (entry, hash) in hashes.iter().enumerate() {
                index.insert(*hash, entry as u32 + 1);
            }
            assert_eq!(overflow_in_use(&index), REFERENCES / SLOTS - 1);
            for (entry, hash) in hashes.iter().enumerate() {
                let entry = entry as u32 + 1;
                assert!(index.find(*hash, |found| (found == entry).then_some(())).is_some());
            }
            // Removed from the front, from the back, and every other one.
            let order: Vec<usize> = match round {
                0 => (0..REFERENCES).collect(),
                1 => (0..REFERENCES).rev().collect(),
                _ => (0..REFERENCES).step_by(2).chain((1..REFERENCES).step_by(2)).collect(),
            };
            for (removed, entry) in order.into_iter().enumerate() {
                assert!(index.remove(hashes[entry], entry as u32 + 1));
                assert!(!index.remove(hashes[entry], entry as u32 + 1));
                let left = REFERENCES - removed - 1;
                assert_eq!(overflow_in_use(&index), left.div_ceil(SLOTS).saturating_sub(1));
            }
        }
    }

    /// The worst case for the pool: every chain needs exactly one overflow bucket.
    #[test]
    fn chains_of_eleven_fit_the_pool() {
        const REFERENCES: usize = 6600;
        let mut index = Index::new(REFERENCES).unwrap();
        let key = Key::random();
        let mut depths = vec![0; index.primary as usize];
        let mut left = REFERENCES;
        for source in 0u32.. {
            let hash = key.hash(&Tuple { source, ..Tuple::default() }, index.primary);
            let depth: &mut usize = &mut depths[hash.bucket()];
            if *depth > SLOTS {
                continue;
            }
            // All hashes are in the first 600 buckets.
            if hash.bucket() < 600 {
                *depth += 1;
                index.insert(hash, source + 1);
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        assert_eq!(overflow_in_use(&index), 600);
    }
}
