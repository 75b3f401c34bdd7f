//! nq: never queue. Picks an idle destination if there is one, else picks as sed.

use super::candidate::{Candidate, Load, eligible};
use super::cursor::Cursor;
use super::least::order;
use super::sed;

#[inline]
pub(super) fn pick(candidates: &[Candidate], cursor: &Cursor, load: &impl Load) -> Option<usize> {
    order(cursor, candidates.len())
        .find(|&index| eligible(candidates, load, index) && load.active(index) == 0)
        .or_else(|| sed::pick(candidates, cursor, load))
}
