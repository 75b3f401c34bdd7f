//! Edits of connection thresholds while there are connections.

use super::*;

/// True if workers treat the destination as overloaded.
fn is_overloaded(fixture: &Fixture, id: DestinationId) -> bool {
    let row = fixture.row(id);
    let stats = fixture.stats(0, id);
    let total = stats.active() + stats.inactive();
    stats.update_overload(total, row.upper_threshold, row.lower_threshold, row.overload_edit)
}

/// (connections, the upper threshold that they reached, upper and lower threshold after the edit, overloaded after it),
/// as observed on a Linux director.
const EDITS: &[(u32, u32, (u32, u32), bool)] = &[
    (4, 4, (5, 0), true),
    (4, 4, (6, 0), false),
    (8, 8, (10, 0), true),
    (8, 8, (11, 0), false),
    (8, 8, (9, 9), false),
    (8, 8, (9, 8), true),
    (4, 4, (0, 0), false),
    (4, 0, (2, 0), true),
    (4, 0, (4, 0), true),
    (4, 0, (5, 0), false),
    (4, 9, (4, 4), true),
    (4, 9, (5, 1), false),
];

#[test]
fn edits_apply_to_existing_connections() {
    for &(connections, reached, (upper_threshold, lower_threshold), expected) in EDITS {
        let mut fixture = Fixture::with_service();
        let one = DestinationSpec { upper_threshold: reached, ..server("10.1.0.11") };
        fixture.ok(add(key(80), one));
        let id = fixture.slots(&key(80))[0];
        (0..connections).for_each(|_| fixture.stats(0, id).conn_added(true));
        assert_eq!(is_overloaded(&fixture, id), reached != 0 && connections >= reached);
        fixture.ok(edit(key(80), DestinationSpec { upper_threshold, lower_threshold, ..one }));
        let case = format!("{connections} connections, {reached} -> {upper_threshold}");
        assert_eq!(is_overloaded(&fixture, id), expected, "{case}, lower {lower_threshold}");
        assert_eq!(is_overloaded(&fixture, id), expected, "{case}: and stays so");
    }
}

#[test]
fn thresholds_apply_to_a_restored_destination() {
    let mut fixture = Fixture::with_service();
    let one = server("10.1.0.11");
    fixture.ok(add(key(80), one));
    let id = fixture.slots(&key(80))[0];
    (0..4).for_each(|_| fixture.stats(0, id).conn_added(true));
    fixture.ok(delete(key(80), &one));
    fixture.ok(add(key(80), DestinationSpec { upper_threshold: 4, ..one }));
    assert!(is_overloaded(&fixture, id));
    fixture.ok(delete(key(80), &one));
    fixture.ok(add(key(80), DestinationSpec { upper_threshold: 6, ..one }));
    assert!(!is_overloaded(&fixture, id));
}
