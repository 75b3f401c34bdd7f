//! lc: least connection. Picks the least loaded destination. A weight of 0 excludes a destination; other weights are
//! ignored.

use super::candidate::{Candidate, Load, eligible};
use super::cursor::Cursor;
use super::least::{order, overhead};

#[inline]
pub(super) fn pick(candidates: &[Candidate], cursor: &Cursor, load: &impl Load) -> Option<usize> {
    // `min_by_key` returns the first of several minima: the earlier in the list.
    order(cursor, candidates.len())
        .filter(|&index| eligible(candidates, load, index))
        .min_by_key(|&index| overhead(load, index))
}
