//! dh: destination hashing. The address that the client asks for selects the server, so that one cache sees all requests
//! for one site.

use super::candidate::{Candidate, Flow, Load, eligible};
use super::hash::{folded, golden_ratio};

const BITS: u32 = 8;

/// The kernel assigns its 2^8 buckets to the list in turn and ignores weights, so the bucket number determines the
/// destination. There is no fallback.
#[inline]
pub(super) fn pick(candidates: &[Candidate], load: &impl Load, flow: &Flow) -> Option<usize> {
    let bucket = golden_ratio(folded(flow.destination), BITS) as usize;
    let index = bucket.checked_rem(candidates.len())?;
    eligible(candidates, load, index).then_some(index)
}
