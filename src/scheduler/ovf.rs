//! ovf: overflow. Picks the destination with the greatest weight until its active connections exceed its weight, then the
//! next one.

use super::candidate::{Candidate, Load, eligible};
use super::fo::heaviest;

#[inline]
pub(super) fn pick(candidates: &[Candidate], load: &impl Load) -> Option<usize> {
    heaviest(candidates, |index| {
        eligible(candidates, load, index) && load.active(index) <= candidates[index].weight
    })
}
