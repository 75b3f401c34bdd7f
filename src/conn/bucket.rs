//! One cache line of the index: ten 16-bit tags, ten entry numbers, and the next bucket of the chain.

/// Number of tag and entry pairs in a bucket.
pub(super) const SLOTS: usize = 10;

/// Bit mask of all slots.
const ALL: u32 = (1 << SLOTS) - 1;

/// A tag of zero means an empty slot.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    tags: [u16; SLOTS],
    /// Next bucket of the chain; zero ends it (bucket zero is never an overflow bucket).
    pub(super) overflow: u32,
    entries: [u32; SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    pub(super) const EMPTY: Bucket = Bucket { tags: [0; SLOTS], overflow: 0, entries: [0; SLOTS] };

    /// Bit mask of the slots whose tag is `tag`.
    #[inline]
    pub(super) fn matches(&self, tag: u16) -> Matches {
        Matches(self.compare(tag) & ALL)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn compare(&self, tag: u16) -> u32 {
        use std::arch::x86_64::*;
        let line: *const __m128i = std::ptr::from_ref(self).cast();
        // SAFETY: x86_64 has SSE2. The bucket is 64 bytes, aligned to 64, and its first 32 bytes are read: the tags and
        // some bytes after them, which the caller's mask removes.
        unsafe {
            let wanted = _mm_set1_epi16(tag as i16);
            let low = _mm_cmpeq_epi16(_mm_load_si128(line), wanted);
            let high = _mm_cmpeq_epi16(_mm_load_si128(line.add(1)), wanted);
            _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[inline]
    fn compare(&self, tag: u16) -> u32 {
        self.compare_each(tag)
    }

    /// The same comparison slot by slot, for machines without SSE2.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn compare_each(&self, tag: u16) -> u32 {
        self.tags.iter().rev().fold(0, |bits, each| bits << 1 | u32::from(*each == tag))
    }

    /// An empty slot, if any.
    #[inline]
    pub(super) fn empty_slot(&self) -> Option<usize> {
        self.matches(0).next()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.matches(0).0 == ALL
    }

    /// A used slot, if any.
    #[inline]
    pub(super) fn used_slot(&self) -> Option<usize> {
        Matches(!self.matches(0).0 & ALL).next()
    }

    #[inline]
    pub(super) fn entry(&self, slot: usize) -> u32 {
        self.entries[slot]
    }

    #[inline]
    pub(super) fn set(&mut self, slot: usize, tag: u16, entry: u32) {
        self.tags[slot] = tag;
        self.entries[slot] = entry;
    }

    /// Empties a slot and returns its content.
    #[inline]
    pub(super) fn take(&mut self, slot: usize) -> (u16, u32) {
        (std::mem::take(&mut self.tags[slot]), std::mem::take(&mut self.entries[slot]))
    }
}

/// Iterates over the slots in a bit mask, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matches(u32);

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn vector_and_scalar_comparison_agree(
            tags in any::<[bool; SLOTS]>(), tag in 1..=u16::MAX, other: u16, rest: u32
        ) {
            let tags = tags.map(|same| if same { tag } else { other });
            let bucket = Bucket { tags, overflow: rest, entries: [rest; SLOTS] };
            for wanted in [tag, other, 0] {
                prop_assert_eq!(bucket.matches(wanted).0, bucket.compare_each(wanted));
            }
        }
    }

    #[test]
    fn fills_and_empties() {
        let mut bucket = Bucket::EMPTY;
        assert!(bucket.is_empty());
        assert_eq!(bucket.used_slot(), None);
        for entry in 1..=SLOTS as u32 {
            let slot = bucket.empty_slot().unwrap();
            bucket.set(slot, 7, entry);
        }
        assert_eq!(bucket.empty_slot(), None);
        assert_eq!(bucket.matches(7).map(|slot| bucket.entry(slot)).sum::<u32>(), 55);
        assert_eq!(bucket.take(3), (7, 4));
        assert_eq!(bucket.empty_slot(), Some(3));
        assert!(!bucket.is_empty());
    }
}
