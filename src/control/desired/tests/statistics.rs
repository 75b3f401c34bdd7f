//! Counters of destinations, services and the director, through removals and zeroing.

use super::*;
use crate::model::Counters;

impl Fixture {
    /// Packets of 100 bytes arrive for a destination, at both workers.
    fn receive(&self, id: DestinationId, packets: usize) {
        (0..packets).for_each(|packet| self.stats(packet % 2, id).count_in(100));
    }

    fn in_packets(&self, key: &ServiceKey) -> (u64, u64) {
        let (service, _) = self.desired.service(key).unwrap();
        let destination = self.desired.destinations(service).next().unwrap().0;
        let count = |counters: Counters| {
            assert_eq!(counters.in_bytes, counters.in_packets * 100);
            counters.in_packets
        };
        let statistics = self.desired.statistics();
        let of_destination = count(statistics.destination(destination).counters);
        (of_destination, count(statistics.service(service).counters))
    }

    fn total(&self) -> u64 {
        self.desired.statistics().total().counters.in_packets
    }

    fn estimate(&mut self, second: u64) -> bool {
        self.desired.estimate(Instant::from_secs(second))
    }
}

#[test]
fn snapshots_are_taken_every_two_seconds() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let id = fixture.slots(&key(80))[0];
    fixture.receive(id, 5);
    assert!(!fixture.estimate(1));
    assert_eq!(fixture.in_packets(&key(80)), (0, 0));
    assert!(fixture.estimate(2));
    assert_eq!((fixture.in_packets(&key(80)), fixture.total()), ((5, 5), 5));
    fixture.receive(id, 1);
    let mut frozen = *fixture.desired.sysctls();
    frozen.run_estimation = 0;
    fixture.desired.set_sysctls(frozen);
    assert!(!fixture.estimate(4));
    assert_eq!(fixture.in_packets(&key(80)), (5, 5));
}

#[test]
fn services_keep_the_counts_of_removed_destinations() {
    let mut fixture = Fixture::with_service();
    let one = server("10.1.0.11");
    fixture.ok(add(key(80), one));
    let id = fixture.slots(&key(80))[0];
    fixture.receive(id, 4);
    fixture.ok(delete(key(80), &one));
    fixture.ok(add(key(80), server("10.1.0.12")));
    fixture.estimate(2);
    assert_eq!((fixture.in_packets(&key(80)), fixture.total()), ((0, 4), 4));
    fixture.ok(add(key(80), one));
    fixture.estimate(4);
    assert_eq!(fixture.in_packets(&key(80)), (4, 4), "the same service: counters revive");
    fixture.receive(id, 2);
    fixture.ok(Command::DeleteService(key(80)));
    fixture.ok(Command::AddService(service(80)));
    fixture.receive(id, 1);
    fixture.ok(add(key(80), one));
    fixture.estimate(6);
    // As in IPVS, what the slot counted since the last snapshot appears after zeroing.
    let (of_destination, of_service) = fixture.in_packets(&key(80));
    assert_eq!((of_destination, of_service, fixture.total()), (3, 1, 7));
    fixture.estimate(8);
    fixture.ok(Command::DeleteService(key(80)));
    fixture.ok(Command::AddService(service(80)));
    fixture.ok(add(key(80), one));
    fixture.estimate(10);
    assert_eq!((fixture.in_packets(&key(80)), fixture.total()), ((0, 0), 7));
}

#[test]
fn a_reused_slot_starts_at_zero() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let id = fixture.slots(&key(80))[0];
    fixture.receive(id, 4);
    fixture.ok(delete(key(80), &server("10.1.0.11")));
    fixture.pass(1..=300);
    fixture.ok(add(key(80), server("10.1.0.12")));
    assert_eq!(fixture.slots(&key(80)), [id]);
    fixture.receive(id, 1);
    fixture.estimate(302);
    assert_eq!((fixture.in_packets(&key(80)), fixture.total()), ((1, 5), 5));
}

#[test]
fn zeroing_one_service_leaves_the_others_and_the_total() {
    let mut fixture = Fixture::with_service();
    fixture.ok(Command::AddService(service(81)));
    for port in [80, 81] {
        fixture.ok(add(key(port), server("10.1.0.11")));
        fixture.receive(fixture.slots(&key(port))[0], 3);
    }
    fixture.estimate(2);
    fixture.ok(Command::Zero(Some(key(80))));
    let all = |fixture: &Fixture| {
        (fixture.in_packets(&key(80)), fixture.in_packets(&key(81)), fixture.total())
    };
    assert_eq!(all(&fixture), ((0, 0), (3, 3), 6));
    fixture.ok(Command::Zero(None));
    assert_eq!(all(&fixture), ((0, 0), (0, 0), 0));
}

#[test]
fn connection_counts_are_current() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let id = fixture.slots(&key(80))[0];
    fixture.stats(0, id).conn_added(true);
    fixture.stats(1, id).conn_added(true);
    fixture.stats(1, id).conn_added(false);
    let (service, spec) = fixture.desired.service(&key(80)).unwrap();
    let row = fixture.desired.service_row(service, spec);
    let [row] = &row.destinations[..] else { panic!("one destination") };
    assert_eq!((row.active_connections, row.inactive_connections), (2, 1));
}
