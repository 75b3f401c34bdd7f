//! Finds the least loaded destination. Shared by lc, wlc, sed and nq.

use super::candidate::{Candidate, Load, eligible};
use super::cursor::Cursor;

/// Load as IPVS measures it: one active connection weighs as much as 256 inactive ones.
#[inline]
pub(super) fn overhead(load: &impl Load, index: usize) -> u64 {
    (u64::from(load.active(index)) << 8) + u64::from(load.inactive(index))
}

/// Expected delay if one more connection is added. Inactive connections cost nothing.
#[inline]
pub(super) fn expected_delay(load: &impl Load, index: usize) -> u64 {
    u64::from(load.active(index)) + 1
}

/// Whether `left` carries more load per weight than `right`; both are (load, weight).
#[inline]
pub(super) fn heavier(left: (u64, u32), right: (u64, u32)) -> bool {
    // Widened, so that no load and no weight can overflow.
    u128::from(left.0) * u128::from(right.1) > u128::from(right.0) * u128::from(left.1)
}

/// The indices of a list of `length` in the order in which this worker looks at them: list order,
/// rotated for all but worker 0 so that ties do not go to the same destination everywhere.
#[inline]
pub(super) fn order(cursor: &Cursor, length: usize) -> impl Iterator<Item = usize> + use<> {
    let start = cursor.offset(length as u32) as usize;
    (start..length).chain(0..start)
}

/// The eligible candidate with the least `cost` per weight; the earlier one in `order` wins a tie.
#[inline]
pub(super) fn least_by_weight(
    candidates: &[Candidate],
    order: impl Iterator<Item = usize>,
    load: &impl Load,
    cost: impl Fn(usize) -> u64,
) -> Option<usize> {
    let mut least: Option<(usize, (u64, u32))> = None;
    for index in order.filter(|&index| eligible(candidates, load, index)) {
        let share = (cost(index), candidates[index].weight);
        if least.is_none_or(|(_, lightest)| heavier(lightest, share)) {
            least = Some((index, share));
        }
    }
    least.map(|(index, _)| index)
}
