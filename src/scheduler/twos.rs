//! twos: power of two choices. Draws two destinations at random by weight and picks the less loaded one.

use super::candidate::{Candidate, Load, eligible};
use super::cursor::Cursor;
use super::least::{heavier, overhead};

#[inline]
pub(super) fn pick(
    candidates: &[Candidate],
    cursor: &mut Cursor,
    load: &impl Load,
) -> Option<usize> {
    let taking_part = || (0..candidates.len()).filter(|&index| eligible(candidates, load, index));
    let total: u64 = taking_part().map(|index| u64::from(candidates[index].weight)).sum();
    // The kernel draws from 0 to the total, both included, so the first destination in the list gets one extra share.
    let draws = [cursor.random_below(total + 1), cursor.random_below(total + 1)];
    let mut choices = [None; 2];
    let mut passed = 0;
    for index in taking_part() {
        passed += u64::from(candidates[index].weight);
        for (choice, draw) in choices.iter_mut().zip(draws) {
            if draw <= passed {
                choice.get_or_insert(index);
            }
        }
        if let [Some(first), Some(second)] = choices {
            let share = |index: usize| (overhead(load, index), candidates[index].weight);
            return Some(if heavier(share(first), share(second)) { second } else { first });
        }
    }
    // Reached only if a destination became overloaded between the two walks.
    choices[0].or(choices[1])
}
