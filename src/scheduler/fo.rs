//! fo: weighted failover. The destination with the greatest weight gets every connection while it is available.

use super::candidate::{Candidate, Load, eligible};

#[inline]
pub(super) fn pick(candidates: &[Candidate], load: &impl Load) -> Option<usize> {
    heaviest(candidates, |index| eligible(candidates, load, index))
}

/// The greatest weight among the candidates that `takes_part`; the earlier one wins a tie.
#[inline]
pub(super) fn heaviest(
    candidates: &[Candidate],
    takes_part: impl Fn(usize) -> bool,
) -> Option<usize> {
    // From the end, because `max_by_key` returns the last of several maxima.
    (0..candidates.len())
        .rev()
        .filter(|&index| takes_part(index))
        .max_by_key(|&index| candidates[index].weight)
}
