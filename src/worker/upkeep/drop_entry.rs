//! Which idle entries the `drop_entry` defence takes.

use crate::time::Duration;

/// An entry must have been idle this long before it is called idle_sampler.
const IDLE: Duration = Duration::from_secs(60);

/// Entries with more packets than this are in use, however idle.
const PACKETS: usize = 8;

/// Counts the idle_sampler entries that the defence comes by: of those with n packets it takes the first, and then every n-th.
#[derive(Debug, Default)]
pub struct IdleSampler {
    /// By number of packets: entries until the next one that is taken.
    until: [u32; PACKETS + 1],
}

impl IdleSampler {
    /// Whether an entry after so many packets, none of them for so long, is taken.
    pub fn takes(&mut self, packets: u32, idle: Duration) -> bool {
        let number = packets as usize;
        if idle < IDLE || !(1..=PACKETS).contains(&number) {
            return false;
        }
        let until = &mut self.until[number];
        *until = until.saturating_sub(1);
        if *until > 0 {
            return false;
        }
        *until = packets;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_and_then_every_so_many_th() {
        let mut idle_sampler = IdleSampler::default();
        let taken = [0; 7].map(|_| idle_sampler.takes(3, IDLE));
        assert_eq!(taken, [true, false, false, true, false, false, true]);
        assert_eq!([0; 3].map(|_| idle_sampler.takes(1, IDLE)), [true; 3]);
        assert!(idle_sampler.takes(8, IDLE) && !idle_sampler.takes(8, IDLE));
        for (packets, idle_s) in [(0, 60), (9, 60), (1, 59)] {
            assert!(
                !idle_sampler.takes(packets, Duration::from_secs(idle_s)),
                "{packets} in {idle_s} s"
            );
        }
    }
}
