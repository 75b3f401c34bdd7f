//! Effects of commands on lists and schedulers.

use super::*;
use crate::model::{MssClamp, ServiceRow};
use crate::query::ServiceListing;

impl Fixture {
    fn listing(&self) -> Vec<ServiceRow> {
        let services = self.desired.services_before(None);
        services.map(|(_, id, spec)| self.desired.service_row(id, spec)).collect()
    }

    fn servers(&self, key: &ServiceKey) -> Vec<(IpAddr, u32)> {
        let scheduler = &self.desired.next.services.get(key).unwrap().scheduler;
        let shown: Vec<_> =
            scheduler.candidates().iter().map(|one| (one.address, one.weight)).collect();
        let listed = self.listing().into_iter().find(|row| row.spec.key == *key).unwrap();
        let rows: Vec<_> =
            listed.destinations.iter().map(|row| (row.spec.at.address, row.spec.weight)).collect();
        assert_eq!(shown, rows, "schedulers and listings see the same order");
        shown
    }
}

#[test]
fn the_newest_is_first_and_an_edit_stays_in_place() {
    let mut fixture = Fixture::with_service();
    fixture.ok(Command::AddService(service(81)));
    fixture.ok(Command::AddService(service(82)));
    fixture.ok(Command::EditService(ServiceSpec { one_packet: true, ..service(80) }));
    let ports: Vec<_> = fixture.listing().iter().map(|row| row.spec.key.port()).collect();
    assert_eq!(ports, [82, 81, 80]);
    for last in 1..=3 {
        fixture.ok(add(key(80), server(&format!("10.1.0.{}", 10 + last))));
    }
    fixture.ok(edit(key(80), DestinationSpec { weight: 5, ..server("10.1.0.11") }));
    let named = |last| ip(&format!("10.1.0.{last}"));
    assert_eq!(fixture.servers(&key(80)), [(named(13), 1), (named(12), 1), (named(11), 5)]);
    fixture.ok(delete(key(80), &server("10.1.0.12")));
    fixture.ok(add(key(80), server("10.1.0.12")));
    assert_eq!(fixture.servers(&key(80)), [(named(12), 1), (named(13), 1), (named(11), 5)]);
}

#[test]
fn editing_a_service_changes_everything_but_its_key_and_its_destinations() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let mask = PersistenceMask::full(Family::Ipv4);
    let edited = ServiceSpec {
        scheduler: SchedulerKind::Sh,
        scheduler_flags: SchedulerFlags::FLAG_2,
        one_packet: true,
        persistence: Some(Persistence { timeout_s: 50, mask }),
        persistence_engine: Some("sip".to_owned()),
        ..service(80)
    };
    fixture.ok(Command::EditService(edited.clone()));
    let snapshot = fixture.desired.snapshot();
    let service = snapshot.services.get(&key(80)).unwrap();
    assert_eq!(service.scheduler.kind(), SchedulerKind::Sh);
    assert_eq!(service.scheduler.flags(), SchedulerFlags::FLAG_2);
    assert!(service.one_packet && service.by_call_id && service.persistence.is_some());
    assert_eq!(service.scheduler.candidates().len(), 1);
    assert_eq!(fixture.listing()[0].spec, edited);
}

#[test]
fn listings_come_in_pieces_that_survive_changes() {
    let capacity = Capacity { services: 600, destinations: 10 };
    let mut desired = Desired::new(capacity, Topology::default(), DestinationTotals::default());
    for port in 1..=600 {
        desired
            .apply(&Command::AddService(service(port)), Origin::Operator, Instant::START)
            .unwrap();
    }
    let mut listing = ServiceListing::default();
    let mut ports = Vec::new();
    loop {
        let services = desired.services_before(listing.last);
        let rows = listing
            .piece(services.map(|(number, id, spec)| (number, desired.service_row(id, spec))));
        if rows.is_empty() {
            break;
        }
        assert!(rows.len() <= crate::limits::REPLY_ROWS);
        ports.extend(rows.iter().map(|row| row.spec.key.port()));
        // The last row returned and the next one are removed meanwhile.
        for port in [ports[ports.len() - 1], ports[ports.len() - 1].saturating_sub(1)] {
            let _ =
                desired.apply(&Command::DeleteService(key(port)), Origin::Operator, Instant::START);
        }
    }
    let expected: Vec<u16> = (1..=600).rev().filter(|port| ![344, 87].contains(port)).collect();
    assert_eq!(ports, expected);
}

#[test]
fn the_defence_reaches_the_settings() {
    let mut fixture = Fixture::new();
    let mut sysctls = *fixture.desired.sysctls();
    sysctls.set("drop_packet", "1").unwrap();
    sysctls.set("secure_tcp", "3").unwrap();
    fixture.desired.set_sysctls(sysctls);
    fixture.desired.defend(512);
    let settings = fixture.desired.snapshot().settings;
    assert_eq!((settings.drop_packet_rate, settings.secure_tcp), (2, true));
    assert_eq!(fixture.desired.sysctls().get("drop_packet").unwrap(), "2");
    let before = fixture.desired.generation();
    fixture.desired.defend(512);
    assert_eq!(fixture.desired.generation(), before);
    fixture.desired.defend(5000);
    assert_eq!(fixture.desired.snapshot().settings.drop_packet_rate, 0);
    assert_eq!(fixture.desired.sysctls().get("drop_packet").unwrap(), "1");
}

#[test]
fn the_mss_clamp_reaches_the_workers() {
    let mut fixture = Fixture::with_service();
    assert_eq!(fixture.desired.snapshot().settings.mss_clamp, MssClamp::Off);
    for clamp in [MssClamp::PathMtu, MssClamp::Bytes(1400), MssClamp::Off] {
        let before = fixture.desired.generation();
        fixture.desired.set_mss_clamp(clamp);
        assert_eq!(fixture.desired.snapshot().settings.mss_clamp, clamp);
        let after = fixture.desired.generation();
        assert_ne!(after, before, "the snapshot must be published");
        fixture.desired.set_mss_clamp(clamp);
        assert_eq!(fixture.desired.generation(), after, "nothing new");
    }
}
