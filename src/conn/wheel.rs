//! The timer wheel: lists of entries by the tick at which each is visited next.
//!
//! The lists link the entries themselves by number in both directions, so an entry is added and removed in constant
//! time, and the wheel stores only list heads. A visit is not necessarily the end: an entry with a later packet, or a
//! deadline more than one turn ahead, is filed again.

use super::connection::{Connection, Links};

/// Milliseconds per tick, as a shift: 64 ms, about a sixteenth of a second.
const TICK_SHIFT: u32 = 6;

const TICK_MS: u64 = 1 << TICK_SHIFT;

/// Slots of one turn: 262 seconds.
const SLOTS: u32 = 4096;

/// Ticks are counted modulo 2^26, so that they wrap together with milliseconds.
const TICKS: u32 = 1 << (32 - TICK_SHIFT);

pub(super) struct Wheel {
    /// First entry of each slot; zero for none.
    heads: Box<[u32; SLOTS as usize]>,
    /// The tick that is visited next.
    position: u32,
    started: bool,
}

fn tick(now_ms: u32) -> u32 {
    now_ms >> TICK_SHIFT
}

impl Wheel {
    pub(super) fn new() -> Wheel {
        let heads = vec![0; SLOTS as usize].into_boxed_slice();
        #[expect(clippy::expect_used, reason = "the box has SLOTS elements")]
        let heads = heads.try_into().expect("as many as were made");
        Wheel { heads, position: 0, started: false }
    }

    /// Ticks from the position to `now_ms`; negative if the position is in the future.
    #[inline]
    fn behind(&self, now_ms: u32) -> i32 {
        let ticks = tick(now_ms).wrapping_sub(self.position) << TICK_SHIFT;
        ticks as i32 >> TICK_SHIFT
    }

    /// True if the slot at the position is due.
    #[inline]
    pub(super) fn is_due(&self, now_ms: u32) -> bool {
        self.started && self.behind(now_ms) >= 0
    }

    /// First entry of the slot at the position.
    #[inline]
    pub(super) fn head(&self) -> u32 {
        self.heads[(self.position % SLOTS) as usize]
    }

    /// Moves from the slot at the position, which is empty, to the next one. If the clock jumped by more than a turn,
    /// whole turns are skipped, because one turn visits every entry.
    #[inline]
    pub(super) fn step(&mut self, now_ms: u32) {
        let behind = self.behind(now_ms).max(0) as u32;
        let skipped = behind.saturating_sub(SLOTS) / SLOTS * SLOTS;
        self.position = (self.position + skipped + 1) % TICKS;
    }

    /// Number of slots from the position to a deadline in `remaining_ms`: never before the deadline, unless that is
    /// more than a turn ahead.
    #[inline]
    fn distance(&self, now_ms: u32, remaining_ms: u64) -> u32 {
        let ticks = (u64::from(now_ms) % TICK_MS + remaining_ms).div_ceil(TICK_MS);
        (i64::from(self.behind(now_ms)) + ticks as i64).clamp(1, i64::from(SLOTS) - 1) as u32
    }

    /// Files entry `number` for a visit in `remaining_ms`.
    #[inline]
    pub(super) fn file<A>(
        &mut self,
        entries: &mut [Connection<A>],
        number: u32,
        now_ms: u32,
        remaining_ms: u64,
    ) {
        if !self.started {
            self.position = tick(now_ms);
            self.started = true;
        }
        let slot = (self.position + self.distance(now_ms, remaining_ms)) % SLOTS;
        let next = std::mem::replace(&mut self.heads[slot as usize], number);
        if next != 0 {
            entries[next as usize].links.previous = number;
        }
        let entry = &mut entries[number as usize];
        entry.filed = slot as u16 + 1;
        entry.links = Links { previous: 0, next };
    }

    /// Removes entry `number` from its slot.
    #[inline]
    pub(super) fn unfile<A>(&mut self, entries: &mut [Connection<A>], number: u32) {
        let entry = &mut entries[number as usize];
        let filed = std::mem::take(&mut entry.filed);
        let Links { previous, next } = entry.links;
        match previous {
            0 => self.heads[usize::from(filed) - 1] = next,
            previous => entries[previous as usize].links.next = next,
        }
        if next != 0 {
            entries[next as usize].links.previous = previous;
        }
    }

    /// True if the slot `filed` is visited later than `remaining_ms` from now.
    #[inline]
    pub(super) fn is_late(&self, filed: u16, now_ms: u32, remaining_ms: u64) -> bool {
        let at = (u32::from(filed) - 1).wrapping_sub(self.position) % SLOTS;
        at > self.distance(now_ms, remaining_ms)
    }
}
