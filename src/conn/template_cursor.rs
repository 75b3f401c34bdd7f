//! Where a sweep or a listing of the persistence templates is.

/// Position of a sweep or a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepCursor {
    pub(super) shard: usize,
    pub(super) slot: usize,
}

impl SweepCursor {
    /// Continues at `slot`, or in the next one of all `shards` at the end of this one; true in that case.
    pub(super) fn advance(&mut self, slot: usize, end: usize, shards: usize) -> bool {
        if slot < end {
            self.slot = slot;
            return false;
        }
        *self = SweepCursor { shard: (self.shard + 1) % shards, slot: 0 };
        true
    }
}
