//! dh: by the address the client asks for, so that one cache sees all requests for one site.

use super::candidate::{Candidate, Flow, Load, eligible};
use super::hash::{folded, golden_ratio};

const BITS: u32 = 8;

/// The kernel keeps 2^8 buckets and deals them out to the list in turn, whatever the weights, so
/// the bucket's number says which destination it has. There is no second choice.
#[inline]
pub(super) fn pick(candidates: &[Candidate], load: &impl Load, flow: &Flow) -> Option<usize> {
    let bucket = golden_ratio(folded(flow.destination), BITS) as usize;
    let index = bucket.checked_rem(candidates.len())?;
    eligible(candidates, load, index).then_some(index)
}
