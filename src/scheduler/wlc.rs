//! wlc: weighted least connection. Picks the destination with the least load per weight. The default of ipvsadm.

use super::candidate::{Candidate, Load};
use super::cursor::Cursor;
use super::least::{least_by_weight, order, overhead};

#[inline]
pub(super) fn pick(candidates: &[Candidate], cursor: &Cursor, load: &impl Load) -> Option<usize> {
    let order = order(cursor, candidates.len());
    least_by_weight(candidates, order, load, |index| overhead(load, index))
}
