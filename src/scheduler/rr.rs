//! rr: round robin. Picks the destinations one after the other and ignores weights above 0.

use super::candidate::{Candidate, Load, eligible};
use super::cursor::Cursor;
use super::history::History;

/// How an edit of the list moves the positions in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Motion {
    Inserted(u32),
    Removed(u32),
}

#[derive(Clone, Debug)]
pub(super) struct RoundRobin {
    history: History<Motion>,
}

impl RoundRobin {
    pub(super) fn new() -> Self {
        RoundRobin { history: History::new() }
    }

    pub(super) fn moved(&self, motion: Motion) -> Self {
        RoundRobin { history: self.history.then(motion) }
    }

    #[inline]
    pub(super) fn pick(
        &self,
        candidates: &[Candidate],
        cursor: &mut Cursor,
        load: &impl Load,
    ) -> Option<usize> {
        if cursor.version != self.history.version() {
            self.catch_up(cursor, candidates.len() as u32);
        }
        // From behind the last pick, around the end of the list, to the last pick itself.
        let place = (cursor.position as usize).min(candidates.len());
        let index = (place..candidates.len())
            .chain(0..place)
            .find(|&index| eligible(candidates, load, index))?;
        cursor.position = index as u32 + 1;
        Some(index)
    }

    #[cold]
    fn catch_up(&self, cursor: &mut Cursor, length: u32) {
        cursor.position = match self.history.since(cursor.version) {
            Some(missed) => missed.fold(cursor.position, Self::carry),
            None => cursor.offset(length),
        };
        cursor.version = self.history.version();
    }

    /// The position after an edit. It stays behind the same destination; if that one was removed, behind the one before
    /// it.
    fn carry(position: u32, motion: Motion) -> u32 {
        match motion {
            Motion::Inserted(index) if position > index => position + 1,
            Motion::Removed(index) if position > index => position - 1,
            Motion::Inserted(_) | Motion::Removed(_) => position,
        }
    }
}
