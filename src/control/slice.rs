//! The bound of what the control thread does in one turn.

use crate::limits::{COMMANDS_AT_ONCE, SLICE};
use std::time;

/// Work that may be done in one turn of the loop. It is bounded by number, and by time because the cost of a command grows
/// with the service that it touches.
pub(super) struct Slice {
    left: usize,
    until: time::Instant,
}

impl Slice {
    /// A slice that begins now.
    pub(super) fn new() -> Self {
        Slice { left: COMMANDS_AT_ONCE, until: time::Instant::now() + SLICE }
    }

    /// Takes one command of the slice. False if the slice is used up; the first call is always true, so that work goes on.
    pub(super) fn take(&mut self) -> bool {
        let is_first = self.left == COMMANDS_AT_ONCE;
        let has_room = self.left > 0 && (is_first || time::Instant::now() < self.until);
        self.left = self.left.saturating_sub(1);
        has_room
    }
}
