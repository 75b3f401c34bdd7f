//! Sweeps in parts, with commands in between, come to the same as sweeps in one piece.

use super::*;

const MANY: Capacity = Capacity { services: 4, destinations: 1024 };
const SERVERS: u16 = 600;

fn numbered(number: u16) -> DestinationSpec {
    let [high, low] = number.to_be_bytes();
    server(&format!("10.9.{high}.{low}"))
}

/// A director that has just got other routes, a neighbour, a path MTU and a VIP, which concern [`SERVERS`] destinations.
fn disturbed() -> Fixture {
    let mut fixture = Fixture::with_capacity(MANY);
    fixture.ok(Command::AddService(service(80)));
    (1..=SERVERS).for_each(|number| fixture.ok(add(key(80), numbered(number))));
    let desired = &mut fixture.desired;
    desired.set_routes(Arc::new(Routes::build([
        ((ip("10.0.0.0"), 24), InterfaceId(0), None, 0),
        ((ip("10.9.0.0"), 16), InterfaceId(0), Some(ip("10.0.0.254")), 1300),
    ])));
    desired.neighbour_changed(InterfaceId(0), ip("10.0.0.254"), Some([2, 9, 9, 9, 9, 9]));
    desired.path_mtu_learned(ip("10.9.0.7"), 1000, Instant::START);
    desired.set_vips(BTreeSet::from([ip("10.9.0.8")]));
    desired.set_vip_networks(vec!["10.9.1.0/24".parse().unwrap()]);
    fixture
}

/// Edits, deletes and adds destinations at both ends of the list.
fn commands() -> Vec<Command> {
    let edited = |number| DestinationSpec { weight: 7, ..numbered(number) };
    (1..=16)
        .flat_map(|round| {
            [
                edit(key(80), edited(round * 2)),
                edit(key(80), edited(SERVERS - round * 2)),
                delete(key(80), &numbered(round * 2 - 1)),
                add(key(80), numbered(SERVERS + round)),
            ]
        })
        .collect()
}

fn apply(desired: &mut Desired, command: &Command) {
    desired.apply(command, Origin::Operator, Instant::START).unwrap();
}

/// Every destination as workers have it.
fn rows(desired: &Desired) -> Vec<String> {
    let row = |slot| format!("{:?}", desired.next.destinations.get(slot));
    (0..MANY.destinations).map(row).collect()
}

#[test]
fn sweeps_in_parts_equal_sweeps_in_one_piece() {
    let mut whole = disturbed();
    whole.desired.sweep(|| true);
    commands().iter().for_each(|command| apply(&mut whole.desired, command));
    whole.desired.sweep(|| true);

    let mut parts = disturbed();
    let mut unfinished = 0;
    for command in &commands() {
        let mut budget = 1;
        parts.desired.sweep(|| std::mem::take(&mut budget) == 1);
        unfinished += usize::from(!parts.desired.is_swept());
        apply(&mut parts.desired, command);
    }
    assert!(unfinished > 10, "{unfinished} commands came in between");
    parts.desired.sweep(|| true);
    assert_eq!(rows(&parts.desired), rows(&whole.desired));
    assert_eq!(parts.wanted(), whole.wanted());
}

#[test]
fn a_change_is_not_over_before_its_sweep() {
    let mut fixture = disturbed();
    let generation = fixture.desired.generation();
    assert!(!fixture.desired.is_swept());
    fixture.desired.sweep(|| false);
    assert_eq!(fixture.desired.generation(), generation, "without a budget nothing is done");
    let snapshot = fixture.desired.snapshot();
    assert!(fixture.desired.is_swept(), "a snapshot is complete");
    let slots = fixture.slots(&key(80));
    let rows = slots.iter().map(|id| snapshot.destinations.get(id.index()).unwrap());
    // All but 10.9.1.0/24, which is the director's own, and the one whose path has a smaller MTU.
    assert_eq!(rows.filter(|row| row.mtu == 1300).count(), usize::from(SERVERS) - 256 - 1);
}
