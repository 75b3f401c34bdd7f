//! The state of the defences `drop_packet` and `drop_entry`.

use crate::snapshot::Snapshot;
use crate::time::Duration;

/// Minimum idle time after which `drop_entry` treats an entry as idle.
const IDLE: Duration = Duration::from_secs(60);

/// Entries with more packets than this are in use, however long they are idle.
const PACKETS: usize = 8;

/// State of the defences between packets.
pub(super) struct Defence {
    /// Packets until `drop_packet` drops the next one.
    until_drop: u32,
    /// State of the random number generator; never zero.
    random: u32,
    pub(super) idle_sampler: IdleSampler,
}

impl Defence {
    /// `seed`: not zero, different for each worker.
    pub(super) fn new(seed: u32) -> Self {
        Defence { until_drop: 0, random: seed, idle_sampler: IdleSampler::default() }
    }

    /// Adopts a new snapshot. Modes 1 and 2 of `drop_packet` restart the count whenever they are evaluated; mode 3
    /// continues it.
    pub(super) fn adopt_snapshot(&mut self, snapshot: &Snapshot) {
        if matches!(snapshot.settings.sysctls.drop_packet, 1 | 2) {
            self.until_drop = snapshot.settings.drop_packet_rate;
        }
    }

    /// `drop_packet`: true for every n-th packet that would be scheduled.
    pub(super) fn drops_packet(&mut self, snapshot: &Snapshot) -> bool {
        let rate = snapshot.settings.drop_packet_rate;
        if rate == 0 {
            return false;
        }
        self.until_drop = self.until_drop.saturating_sub(1);
        if self.until_drop > 0 {
            return false;
        }
        self.until_drop = rate;
        true
    }

    /// A random number by xorshift32 (Marsaglia). It must differ between workers; it need not be cryptographic.
    pub(super) fn random(&mut self) -> u32 {
        let mut next = self.random;
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        self.random = next;
        next
    }
}

/// Selects idle connections for `drop_entry`: of those with n packets the first, and then every n-th.
#[derive(Debug, Default)]
pub(crate) struct IdleSampler {
    /// By number of packets: entries until the next selected one.
    until: [u32; PACKETS + 1],
}

impl IdleSampler {
    /// True if a connection with this number of packets and idle time is selected.
    pub(crate) fn takes(&mut self, packets: u32, idle: Duration) -> bool {
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
    fn the_first_and_then_every_nth_is_selected() {
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
