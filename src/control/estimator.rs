//! Totals and smoothed rates of destinations, services and the director.
//!
//! Workers count by destination slot and never start again from zero. What a slot has counted since the last look
//! is added here to its destination, its service and the total, so the sums of a service outlive its
//! destinations. Every two seconds the sums become the snapshot that listings show, as in IPVS.

use crate::model::{Counters, DestinationId, Rates, ServiceId};
use crate::time::{Duration, Instant};

/// Time between two snapshots.
pub const PERIOD: Duration = Duration::from_secs(2);

/// What listings show of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub counters: Counters,
    pub rates: Rates,
}

/// Smoothed rates in fixed point: what the counters gained, as a moving average with weight 1/4.
#[derive(Clone, Copy, Debug, Default)]
struct Smoothed {
    scaled: Counters,
}

impl Smoothed {
    /// `gained` in one period. Numbers are kept in 1/1024, bytes in 1/32, per second.
    fn feed(&mut self, gained: Counters) {
        let toward = |old: u64, sample: u64| {
            let difference = sample.wrapping_sub(old) as i64;
            old.wrapping_add_signed(difference >> 2)
        };
        let (old, number, bytes) = (self.scaled, 512, 16);
        self.scaled = Counters {
            connections: toward(old.connections, gained.connections.wrapping_mul(number)),
            in_packets: toward(old.in_packets, gained.in_packets.wrapping_mul(number)),
            out_packets: toward(old.out_packets, gained.out_packets.wrapping_mul(number)),
            in_bytes: toward(old.in_bytes, gained.in_bytes.wrapping_mul(bytes)),
            out_bytes: toward(old.out_bytes, gained.out_bytes.wrapping_mul(bytes)),
        };
    }

    fn rates(&self) -> Rates {
        let number = |scaled: u64| scaled.wrapping_add(511) >> 10;
        let bytes = |scaled: u64| scaled.wrapping_add(15) >> 5;
        Rates {
            connections: number(self.scaled.connections),
            in_packets: number(self.scaled.in_packets),
            out_packets: number(self.scaled.out_packets),
            in_bytes: bytes(self.scaled.in_bytes),
            out_bytes: bytes(self.scaled.out_bytes),
        }
    }
}

/// Whatever has statistics.
#[derive(Clone, Copy, Debug, Default)]
struct Subject {
    live: Counters,
    snapshot: Counters,
    /// The snapshot when it was last zeroed: what is shown counts from there.
    base: Counters,
    smoothed: Smoothed,
}

impl Subject {
    fn gain(&mut self, gained: Counters) {
        self.live = self.live.zip_with(gained, u64::wrapping_add);
    }

    fn estimate(&mut self) {
        self.smoothed.feed(self.live.zip_with(self.snapshot, u64::wrapping_sub));
        self.snapshot = self.live;
    }

    fn zero(&mut self) {
        self.base = self.snapshot;
        self.smoothed = Smoothed::default();
    }

    fn shown(&self) -> Statistics {
        let counters = self.snapshot.zip_with(self.base, u64::wrapping_sub);
        Statistics { counters, rates: self.smoothed.rates() }
    }
}

/// A destination slot: what of the workers' counters is accounted for.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    seen: Counters,
    subject: Subject,
}

/// The counters and rates of destinations, services and their total.
#[derive(Debug, Default)]
pub struct Estimator {
    destinations: Vec<Slot>,
    services: Vec<Subject>,
    total: Subject,
    next: Option<Instant>,
}

impl Estimator {
    /// A new service in the slot. The first one of all starts the clock.
    pub fn start_service(&mut self, id: ServiceId, now: Instant) {
        if self.services.len() <= id.index() {
            self.services.resize(id.index() + 1, Subject::default());
        }
        self.services[id.index()] = Subject::default();
        self.next.get_or_insert(now + PERIOD);
    }

    /// A new destination in a slot whose workers' counters stand at `counted`.
    pub fn start_destination(&mut self, id: DestinationId, counted: Counters) {
        if self.destinations.len() <= id.index() {
            self.destinations.resize(id.index() + 1, Slot::default());
        }
        self.destinations[id.index()] = Slot { seen: counted, subject: Subject::default() };
    }

    /// Takes in what the workers have `counted` for a destination; `service` as long as it is still the one that
    /// the destination served.
    pub fn collect(&mut self, id: DestinationId, service: Option<ServiceId>, counted: Counters) {
        let Some(slot) = self.destinations.get_mut(id.index()) else { return };
        let gained = counted.zip_with(slot.seen, u64::wrapping_sub);
        slot.seen = counted;
        slot.subject.gain(gained);
        if let Some(service) = service.and_then(|id| self.services.get_mut(id.index())) {
            service.gain(gained);
        }
        self.total.gain(gained);
    }

    /// True once every two seconds, when [`Self::collect`] and then the `estimate` functions are due.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let Some(next) = self.next else { return false };
        if now < next {
            return false;
        }
        // A clock that stood still for long does not have its runs made up for.
        let on_time = now < next + PERIOD;
        self.next = Some(if on_time { next } else { now } + PERIOD);
        true
    }

    /// When the next snapshot is due; `None`: the clock has not started.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    pub fn estimate_destination(&mut self, id: DestinationId) {
        if let Some(slot) = self.destinations.get_mut(id.index()) {
            slot.subject.estimate();
        }
    }

    pub fn estimate_service(&mut self, id: ServiceId) {
        if let Some(service) = self.services.get_mut(id.index()) {
            service.estimate();
        }
    }

    pub fn estimate_total(&mut self) {
        self.total.estimate();
    }

    pub fn zero_destination(&mut self, id: DestinationId) {
        if let Some(slot) = self.destinations.get_mut(id.index()) {
            slot.subject.zero();
        }
    }

    pub fn zero_service(&mut self, id: ServiceId) {
        if let Some(service) = self.services.get_mut(id.index()) {
            service.zero();
        }
    }

    pub fn zero_total(&mut self) {
        self.total.zero();
    }

    pub fn destination(&self, id: DestinationId) -> Statistics {
        self.destinations.get(id.index()).map_or(Statistics::default(), |slot| slot.subject.shown())
    }

    pub fn service(&self, id: ServiceId) -> Statistics {
        self.services.get(id.index()).map_or(Statistics::default(), Subject::shown)
    }

    pub fn total(&self) -> Statistics {
        self.total.shown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(number: u64) -> Counters {
        Counters { connections: number, in_packets: number, out_packets: number, ..bytes(0) }
    }

    fn bytes(number: u64) -> Counters {
        Counters { in_bytes: number, out_bytes: number, ..Counters::default() }
    }

    /// Rates after each of the periods in which so much was gained.
    fn rates(gains: impl IntoIterator<Item = Counters>) -> Vec<Rates> {
        let mut subject = Subject::default();
        let after = |gained| {
            subject.gain(gained);
            subject.estimate();
            subject.shown().rates
        };
        gains.into_iter().map(after).collect()
    }

    #[test]
    fn rates_are_those_of_ipvs() {
        let steady = rates([packets(1000); 8]);
        let expected = [125, 219, 289, 342, 381, 411, 433, 450];
        assert_eq!(steady.iter().map(|rates| rates.in_packets).collect::<Vec<_>>(), expected);
        assert_eq!(steady.iter().map(|rates| rates.connections).collect::<Vec<_>>(), expected);
        assert_eq!(steady.iter().map(|rates| rates.out_packets).collect::<Vec<_>>(), expected);
        let steady = rates([bytes(100_000); 8]);
        let expected = [12500, 21875, 28906, 34180, 38135, 41101, 43326, 44994];
        assert_eq!(steady.iter().map(|rates| rates.in_bytes).collect::<Vec<_>>(), expected);
        assert_eq!(steady.iter().map(|rates| rates.out_bytes).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rates_decay_as_in_ipvs() {
        let gains = [packets(1000); 60].into_iter().chain([packets(0); 10]);
        let decay: Vec<_> = rates(gains)[60..].iter().map(|rates| rates.in_packets).collect();
        assert_eq!(decay, [375, 281, 211, 158, 119, 89, 67, 50, 38, 28]);
    }

    const ID: DestinationId = DestinationId(3);
    const SERVICE: ServiceId = ServiceId(1);

    fn run(estimator: &mut Estimator) {
        estimator.estimate_destination(ID);
        estimator.estimate_service(SERVICE);
        estimator.estimate_total();
    }

    #[test]
    fn what_is_shown_is_the_last_snapshot_and_zeroing_counts_from_it() {
        let mut estimator = Estimator::default();
        estimator.start_service(SERVICE, Instant::START);
        estimator.start_destination(ID, packets(1000));
        estimator.collect(ID, Some(SERVICE), packets(1007));
        assert_eq!(estimator.destination(ID), Statistics::default());
        run(&mut estimator);
        for shown in [estimator.destination(ID), estimator.service(SERVICE), estimator.total()] {
            assert_eq!(shown.counters, packets(7));
        }
        // Counted before the zeroing but after the snapshot: shown from the next one on.
        estimator.collect(ID, Some(SERVICE), packets(1009));
        estimator.zero_destination(ID);
        assert_eq!(estimator.destination(ID), Statistics::default());
        run(&mut estimator);
        assert_eq!(estimator.destination(ID).counters, packets(2));
        assert_eq!(estimator.service(SERVICE).counters, packets(9));
    }

    #[test]
    fn sums_outlive_destinations_and_slots_start_afresh() {
        let mut estimator = Estimator::default();
        estimator.start_service(SERVICE, Instant::START);
        estimator.start_destination(ID, packets(0));
        estimator.collect(ID, Some(SERVICE), packets(5));
        estimator.collect(ID, None, packets(6));
        estimator.start_destination(ID, packets(8));
        estimator.collect(ID, Some(SERVICE), packets(9));
        run(&mut estimator);
        assert_eq!(estimator.destination(ID).counters, packets(1));
        assert_eq!(estimator.service(SERVICE).counters, packets(6));
        assert_eq!(estimator.total().counters, packets(7));
    }

    #[test]
    fn the_clock_starts_with_the_first_service() {
        let mut estimator = Estimator::default();
        assert!(!estimator.is_due(Instant::from_secs(100)));
        estimator.start_service(SERVICE, Instant::from_secs(101));
        estimator.start_service(ServiceId(0), Instant::from_secs(102));
        let due: Vec<_> =
            (101..=108).filter(|&at| estimator.is_due(Instant::from_secs(at))).collect();
        assert_eq!(due, [103, 105, 107]);
        assert!(estimator.is_due(Instant::from_secs(500)));
        assert!(!estimator.is_due(Instant::from_secs(501)));
        assert!(estimator.is_due(Instant::from_secs(502)));
    }
}
