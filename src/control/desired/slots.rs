//! Allocates numbers from a fixed range.

#[derive(Debug)]
pub(super) struct Slots {
    /// Freed numbers, reused first.
    free: Vec<u32>,
    /// Numbers from here on were never used.
    next: u32,
    capacity: u32,
}

impl Slots {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
        Slots { free: Vec::new(), next: 0, capacity }
    }

    /// Allocates a free number; `None` if all are in use.
    pub(super) fn take(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = self.next;
        (slot < self.capacity).then(|| {
            self.next += 1;
            slot
        })
    }

    pub(super) fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_after_they_are_freed() {
        let mut slots = Slots::new(2);
        assert_eq!([slots.take(), slots.take(), slots.take()], [Some(0), Some(1), None]);
        slots.give_back(0);
        assert_eq!([slots.take(), slots.take()], [Some(0), None]);
    }
}
