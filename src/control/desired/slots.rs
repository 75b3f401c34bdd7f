//! Numbers of a fixed range, given out and taken back.

#[derive(Debug)]
pub(super) struct Slots {
    /// Given back, to be given out again first.
    free: Vec<u32>,
    /// Never given out from here on.
    next: u32,
    capacity: u32,
}

impl Slots {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
        Slots { free: Vec::new(), next: 0, capacity }
    }

    /// A slot that nobody has; `None` if all are taken.
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
    fn slots_are_given_out_once_and_again_when_back() {
        let mut slots = Slots::new(2);
        assert_eq!([slots.take(), slots.take(), slots.take()], [Some(0), Some(1), None]);
        slots.give_back(0);
        assert_eq!([slots.take(), slots.take()], [Some(0), None]);
    }
}
