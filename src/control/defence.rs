//! The defence against floods: activates `drop_entry`, `drop_packet` and `secure_tcp`. IPVS uses free memory pages; the
//! director's tables have a fixed size, so it uses their free entries.
//!
//! A flood fills one table: that of one family and worker, or the persistence templates. So the fullest table decides.
//! `amemthresh` is compared with the free entries that all connection tables together would have if each were as full
//! as that one.

use crate::model::Sysctls;

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub free: u64,
    pub capacity: u64,
}

impl Room {
    /// A table with `capacity` entries; `used` of them are in use.
    pub fn new(capacity: usize, used: u64) -> Self {
        let capacity = capacity as u64;
        Room { free: capacity.saturating_sub(used), capacity }
    }

    /// Free entries of connection tables with `all` entries together, if each were as full as this table.
    pub fn weighted(self, all: u64) -> u64 {
        let free = u128::from(all) * u128::from(self.free) / u128::from(self.capacity.max(1));
        free as u64
    }

    /// True if the table is too full for `amemthresh`.
    pub fn is_short(self, all: u64, sysctls: &Sysctls) -> bool {
        self.weighted(all) < threshold(sysctls)
    }
}

fn threshold(sysctls: &Sysctls) -> u64 {
    u64::try_from(sysctls.amemthresh).unwrap_or(0)
}

/// True if entries are dropped from every table, however full.
pub fn drops_everywhere(sysctls: &Sysctls) -> bool {
    sysctls.drop_entry == ALWAYS
}

/// The settings for workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    pub secure_tcp: bool,
    /// Every n-th packet that would be scheduled is dropped; 0: none.
    pub drop_packet_rate: u32,
    pub drop_entry: bool,
}

/// Modes of the three settings.
const AUTOMATIC_OFF: i32 = 1;
const AUTOMATIC_ON: i32 = 2;
const ALWAYS: i32 = 3;

/// Evaluates the defence: every second, and after a setting was written. `free` is the lowest [`Room::weighted`] of all
/// tables. Automatic modes change between 1 (inactive) and 2 (active).
pub fn defend(sysctls: &mut Sysctls, free: u64) -> Measures {
    let threshold = threshold(sysctls);
    let is_low = free < threshold;
    let secure_tcp = is_on(&mut sysctls.secure_tcp, is_low);
    let drop_entry = is_on(&mut sysctls.drop_entry, is_low);
    let drop_packet_rate = match (is_on(&mut sysctls.drop_packet, is_low), sysctls.drop_packet) {
        (false, _) => 0,
        // A rate of 0 is off; a negative one ends the kernel's countdown at once, every time.
        (true, ALWAYS) => u32::try_from(sysctls.am_droprate).unwrap_or(1),
        (true, _) => u32::try_from(threshold / (threshold - free)).unwrap_or(u32::MAX),
    };
    Measures { secure_tcp, drop_packet_rate, drop_entry }
}

fn is_on(mode: &mut i32, is_low: bool) -> bool {
    match *mode {
        AUTOMATIC_OFF | AUTOMATIC_ON => {
            *mode = if is_low { AUTOMATIC_ON } else { AUTOMATIC_OFF };
            is_low
        }
        mode => mode == ALWAYS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_follow_the_table() {
        // (mode, memory is low, active, mode afterwards)
        let table = [
            (0, true, false, 0),
            (0, false, false, 0),
            (1, true, true, 2),
            (1, false, false, 1),
            (2, true, true, 2),
            (2, false, false, 1),
            (3, true, true, 3),
            (3, false, true, 3),
        ];
        for (mode, is_low, on, after) in table {
            let mut sysctls = Sysctls {
                drop_entry: mode,
                drop_packet: mode,
                secure_tcp: mode,
                ..Sysctls::default()
            };
            let measures = defend(&mut sysctls, if is_low { 1023 } else { 1024 });
            let found = (measures.secure_tcp, measures.drop_entry, measures.drop_packet_rate > 0);
            assert_eq!(found, (on, on, on), "mode {mode}, low {is_low}");
            let modes = (sysctls.secure_tcp, sysctls.drop_entry, sysctls.drop_packet);
            assert_eq!(modes, (after, after, after), "mode {mode}, low {is_low}");
        }
    }

    /// A full table counts, whatever the number of empty ones; equally full tables count together.
    #[test]
    fn the_fullest_table_decides() {
        let sysctls = Sysctls { amemthresh: 1024, ..Sysctls::default() };
        // (free, capacity, entries of all tables, weighted, too full)
        let table = [
            (0, 4096, 8192, 0, true),
            (4096, 4096, 8192, 8192, false),
            (511, 4096, 8192, 1022, true),
            (512, 4096, 8192, 1024, false),
            (1 << 18, 1 << 18, 5 << 18, 5 << 18, false),
            (10, 16, 64, 40, true),
            (100, 1 << 20, 5 << 18, 125, true),
        ];
        for (free, capacity, all, weighted, is_short) in table {
            let room = Room { free, capacity };
            assert_eq!(room.weighted(all), weighted, "{room:?}");
            assert_eq!(room.is_short(all, &sysctls), is_short, "{room:?}");
        }
        assert_eq!(Room::new(10, 12), Room { free: 0, capacity: 10 });
    }

    #[test]
    fn rates_of_drop_packet() {
        // (mode, amemthresh, am_droprate, free, rate)
        let table = [
            (1, 1024, 10, 0, 1),
            (1, 1024, 10, 512, 2),
            (2, 1024, 10, 1023, 1024),
            (2, 1024, 10, 700, 3),
            (1, -5, 10, 0, 0),
            (3, 1024, 10, 0, 10),
            (3, 1024, 3, 1 << 40, 3),
            (3, 1024, 0, 0, 0),
            (3, 1024, -7, 0, 1),
        ];
        for (drop_packet, amemthresh, am_droprate, free, rate) in table {
            let mut sysctls =
                Sysctls { drop_packet, amemthresh, am_droprate, ..Sysctls::default() };
            let found = defend(&mut sysctls, free).drop_packet_rate;
            assert_eq!(found, rate, "mode {drop_packet}, {amemthresh}, {am_droprate}, {free}");
        }
    }
}
