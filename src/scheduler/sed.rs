//! sed: the shortest expected delay, (ActiveConn + 1) / weight.

use super::candidate::{Candidate, Load};
use super::cursor::Cursor;
use super::least::{expected_delay, least_by_weight, order};

#[inline]
pub(super) fn pick(candidates: &[Candidate], cursor: &Cursor, load: &impl Load) -> Option<usize> {
    let order = order(cursor, candidates.len());
    least_by_weight(candidates, order, load, |index| expected_delay(load, index))
}
