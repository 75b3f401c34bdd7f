//! SYN floods that fill the connection table.

use crate::testbed::{CONNECTIONS, ESTABLISHED, Testbed, established, syn};
use director::api::{Reply, Request};
use director::model::ConnectionRow;
use director::packet::tcp;
use director::query::{Connections, NoArgs, Status, request};
use director::reason::DropReason;
use director::time::Duration;

/// Enough to fill the table five times.
const BURSTS: u32 = 800;

#[test]
fn established_flows_keep_every_packet_while_the_table_is_full() {
    let mut testbed = Testbed::new("");
    let kept = testbed.flood(BURSTS, &mut syn);
    assert!(kept > 0.999, "{kept}");
    assert_eq!(testbed.connections(), CONNECTIONS as u64);
    let refused = testbed.dropped(DropReason::ConnectionTableFull);
    let (syns, room) = (u64::from(BURSTS) * 28, CONNECTIONS as u64 - u64::from(ESTABLISHED));
    assert_eq!(refused, syns - room, "every refused SYN is counted");
    assert_eq!(testbed.shared.counters[0].entries_dropped.get(), 0, "drop_entry is off");
    testbed.run(4);
    assert_eq!(testbed.pool.held(), 0);
}

#[test]
fn drop_entry_makes_room_and_keeps_established_connections() {
    // (settings, drop_entry is active)
    for (sysctls, works) in
        [("drop_entry = 0", false), ("drop_entry = 1", true), ("drop_entry = 3", true)]
    {
        let mut testbed = Testbed::new(sysctls);
        testbed.flood(BURSTS, &mut syn);
        for _ in 0..20 {
            testbed.now = testbed.now + Duration::from_secs(1);
            let kept = testbed.flood(5, &mut syn);
            assert!(kept > 0.999, "{sysctls}: {kept}");
        }
        let dropped = testbed.shared.counters[0].entries_dropped.get();
        assert_eq!(dropped > 100, works, "{sysctls}: {dropped}");
        // Every established flow is still in the table: an ACK does not create a connection.
        (0..ESTABLISHED).for_each(|client| testbed.arrive(&established(client, tcp::ACK)));
        testbed.drain();
        assert_eq!(testbed.take_sent_of_established(), ESTABLISHED, "{sysctls}");
        // After the flood a new client finds room within seconds if drop_entry is active.
        for _ in 0..8 {
            testbed.now = testbed.now + Duration::from_secs(1);
            testbed.run(64);
        }
        testbed.arrive(&syn(1_000_000));
        testbed.drain();
        assert_eq!(testbed.take_sent_of_flood() == 1, works, "{sysctls}");
    }
}

#[test]
fn control_answers_queries_and_edits_during_the_flood() {
    let mut testbed = Testbed::new("drop_entry = 1\nsecure_tcp = 1");
    testbed.flood(BURSTS, &mut syn);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let (pieces, wait) = testbed.ask(request::<Status>(&NoArgs {}), &mut syn);
        assert!(matches!(pieces[..], [Reply::Rows(_)]));
        waits.push(wait);
    }
    let timeouts = director::model::Timeouts { udp: 77, ..Default::default() };
    let edit = Request::Apply(vec![director::api::Command::SetTimeouts(timeouts)]);
    let (pieces, wait) = testbed.ask(edit, &mut syn);
    assert_eq!(pieces, [Reply::Applied(vec![Ok(())])]);
    waits.push(wait);
    let (pieces, _) = testbed.ask(request::<Connections>(&NoArgs {}), &mut syn);
    let rows: usize = pieces
        .iter()
        .map(|piece| {
            if let Reply::Rows(rows) = piece {
                rows.read::<ConnectionRow>().unwrap().len()
            } else {
                0
            }
        })
        .sum();
    assert!(rows >= ESTABLISHED as usize, "{rows}");
    waits.sort_unstable();
    let usual = waits[waits.len() / 2];
    assert!(usual < std::time::Duration::from_millis(100), "{usual:?}");
}
