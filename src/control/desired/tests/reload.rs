//! What a second reading of the file does to a table that commands have changed meanwhile.

use super::*;
use crate::config::{Config, ServicesUpdate};
use crate::model::{Overlay, OverlayKind, OverlayTarget, Sysctls, Timeouts};

const FILE: &str = r#"
[[port]]
name = "wan0"
device = "0000:01:00.0"
addresses = ["10.0.0.1/24"]
[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
scheduler = "rr"
[[service.destination]]
address = "10.1.0.11"
method = "masq"
weight = 5
[[service.destination]]
address = "10.1.0.12"
method = "masq"
[[service]]
protocol = "tcp"
address = "10.0.0.100:81"
"#;

fn parse(text: &str) -> Config {
    Config::parse(text, "f").unwrap_or_else(|faults| panic!("{faults}"))
}

/// The director after its start with the file.
fn started(file: &str) -> Fixture {
    let mut fixture = Fixture::new();
    for command in parse(file).commands() {
        fixture.desired.apply(&command, Origin::File, Instant::START).unwrap();
    }
    fixture
}

fn reload(fixture: &mut Fixture, old: &str, new: &str) {
    let Some(update) = parse(old).changes(&parse(new)).unwrap().services else { return };
    let ServicesUpdate { deletions, changes } = update;
    for command in deletions {
        let _ = fixture.desired.apply(&command, Origin::File, Instant::START);
    }
    for change in changes {
        for command in fixture.desired.follow(&change) {
            fixture.desired.apply(&command, Origin::File, Instant::START).unwrap();
        }
    }
}

fn drift(fixture: &Fixture, file: &str) -> Vec<String> {
    let config = parse(file);
    let mut lines: Vec<_> =
        config.services.iter().flat_map(|service| fixture.desired.drift(service)).collect();
    let named: Vec<_> = config.services.iter().map(|service| service.spec.key).collect();
    let running = fixture.desired.services_before(None).map(|(_, _, spec)| spec.key);
    lines.extend(running.filter(|key| !named.contains(key)).map(|key| key.to_string()));
    lines
}

fn running(fixture: &Fixture, service: u16, address: &str) -> Option<DestinationSpec> {
    let (id, _) = fixture.desired.service(&key(service))?;
    let mut destinations = fixture.desired.destinations(id);
    destinations.find(|(_, spec)| spec.at.address == ip(address)).map(|(_, spec)| *spec)
}

#[test]
fn a_service_made_by_hand_becomes_as_the_file_says_once_it_names_it() {
    let mut fixture = Fixture::new();
    let by_hand = ServiceSpec {
        scheduler: SchedulerKind::Sh,
        persistence: Some(Persistence { timeout_s: 77, mask: PersistenceMask::full(Family::Ipv4) }),
        ..service(80)
    };
    fixture.ok(Command::AddService(by_hand));
    fixture.ok(add(key(80), server("10.1.0.13")));
    let without = &FILE[..FILE.find("[[service]]").unwrap()];
    assert_eq!(drift(&fixture, without), ["TCP 10.0.0.100:80"]);
    reload(&mut fixture, without, FILE);
    let (_, spec) = fixture.desired.service(&key(80)).unwrap();
    assert_eq!((spec.scheduler, spec.persistence), (SchedulerKind::Rr, None));
    assert_eq!(running(&fixture, 80, "10.1.0.11").unwrap().weight, 5);
    assert!(running(&fixture, 80, "10.1.0.13").is_some(), "no file has ever named it");
    assert_eq!(
        drift(&fixture, FILE),
        ["10.1.0.13:80 of TCP 10.0.0.100:80: the running table has it, the file does not"]
    );
}

#[test]
fn a_destination_deleted_by_hand_comes_back_when_the_file_changes_it() {
    let mut fixture = started(FILE);
    fixture.ok(delete(key(80), &server("10.1.0.11")));
    fixture.ok(delete(key(80), &server("10.1.0.12")));
    reload(&mut fixture, FILE, &FILE.replace("weight = 5", "weight = 6"));
    assert_eq!(running(&fixture, 80, "10.1.0.11").unwrap().weight, 6);
    assert_eq!(running(&fixture, 80, "10.1.0.12"), None, "the file says nothing new of it");
}

#[test]
fn a_service_that_was_flushed_comes_back_whole_when_the_file_changes_it() {
    let mut fixture = started(FILE);
    fixture.ok(Command::Flush);
    let new = FILE.replace("weight = 5", "weight = 6");
    reload(&mut fixture, FILE, &new);
    assert_eq!(running(&fixture, 80, "10.1.0.11").unwrap().weight, 6);
    assert!(running(&fixture, 80, "10.1.0.12").is_some());
    assert_eq!(
        drift(&fixture, &new),
        ["TCP 10.0.0.100:81: the file has this service, the running table does not"]
    );
}

#[test]
fn a_quiesced_destination_stays_quiesced_when_the_file_changes_another_key() {
    let mut fixture = started(FILE);
    let at = DestinationSpec { weight: 5, ..server("10.1.0.11") };
    fixture.ok(edit(key(80), DestinationSpec { weight: 0, ..at }));
    let new = FILE.replace("weight = 5", "weight = 5\nupper_threshold = 9");
    reload(&mut fixture, FILE, &new);
    let spec = running(&fixture, 80, "10.1.0.11").unwrap();
    assert_eq!((spec.weight, spec.upper_threshold), (0, 9));
    assert_eq!(
        drift(&fixture, &new),
        ["10.1.0.11:80 of TCP 10.0.0.100:80: weight is 0, the file says 5"]
    );
    reload(&mut fixture, &new, &new.replace("weight = 5", "weight = 6"));
    assert_eq!(running(&fixture, 80, "10.1.0.11").unwrap().weight, 6, "now the file changed it");
}

#[test]
fn overlays_survive_a_reload_that_changes_the_weight() {
    let mut fixture = started(FILE);
    let target = |address| OverlayTarget { address: ip(address), port: None, service: None };
    let (drained, down) = (target("10.1.0.11"), target("10.1.0.12"));
    fixture.ok(Command::SetOverlay { target: drained, overlay: Overlay::Drain });
    let dead = Command::SetOverlay { target: down, overlay: Overlay::Down };
    fixture.desired.apply(&dead, Origin::Health, Instant::START).unwrap();
    let new = FILE.replace("weight = 5", "weight = 6").replace("12\"", "12\"\nweight = 7");
    reload(&mut fixture, FILE, &new);
    for (address, weight, available) in [("10.1.0.11", 6, true), ("10.1.0.12", 7, false)] {
        assert_eq!(running(&fixture, 80, address).unwrap().weight, weight);
        let slots = fixture.slots(&key(80));
        let row = slots.iter().map(|id| fixture.row(*id)).find(|row| row.address == ip(address));
        let row = row.unwrap();
        assert_eq!((row.weight, row.available), (0, available));
    }
    assert_eq!(drift(&fixture, &new), Vec::<String>::new());
    fixture.ok(Command::ClearOverlay { target: drained, kind: OverlayKind::Drain });
    fixture.ok(Command::ClearOverlay { target: down, kind: OverlayKind::Down });
    let (slots, snapshot) = (fixture.slots(&key(80)), fixture.desired.snapshot());
    let scheduler = &snapshot.services.get(&key(80)).unwrap().scheduler;
    let candidates: Vec<_> =
        scheduler.candidates().iter().map(|one| (one.id, one.weight)).collect();
    assert_eq!(candidates, [(slots[0], 7), (slots[1], 6)]);
}

#[test]
fn timeouts_and_settings_that_differ_from_the_file_are_drift() {
    let mut fixture = Fixture::new();
    fixture.ok(Command::SetTimeouts(Timeouts { tcp: 600, tcp_fin: 0, udp: 0 }));
    let running = Sysctls { sync_period: 9, drop_entry: 2, ..Sysctls::default() };
    fixture.desired.set_sysctls(running);
    let drift = |timeouts, sysctls| fixture.desired.drift_of_settings(&timeouts, &sysctls);
    assert!(drift(Timeouts::default(), Sysctls::default()).is_empty(), "the file is silent");
    // The defence changes drop_entry between 1 and 2.
    let file = Sysctls { drop_entry: 1, sloppy_tcp: 1, ..Sysctls::default() };
    assert_eq!(
        drift(Timeouts { tcp: 800, ..Timeouts::default() }, file),
        [
            "timeouts: tcp is 600 s, the file says 800 s",
            "sysctl: sloppy_tcp is 0, the file says 1",
            "sysctl: sync_threshold is 3 9, the file says 3 50",
        ]
    );
    assert!(drift(fixture.desired.timeouts(), Sysctls { drop_entry: 1, ..running }).is_empty());
}
