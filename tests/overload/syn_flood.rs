//! SYNs from everywhere, until the connection table is full and long after.

use crate::testbed::{CONNECTIONS, ESTABLISHED, Rig, friend, syn};
use director::api::{Reply, Request};
use director::model::ConnectionRow;
use director::packet::tcp;
use director::query::{Connections, NoArgs, Status, request};
use director::reason::DropReason;
use director::time::Duration;

/// Enough for the table five times over.
const BURSTS: u32 = 800;

#[test]
fn established_flows_keep_every_packet_while_the_table_is_full() {
    let mut rig = Rig::new("");
    let kept = rig.trouble(BURSTS, &mut syn);
    assert!(kept > 0.999, "{kept}");
    assert_eq!(rig.connections(), CONNECTIONS as u64);
    let refused = rig.dropped(DropReason::ConnectionTableFull);
    let (syns, room) = (u64::from(BURSTS) * 28, CONNECTIONS as u64 - u64::from(ESTABLISHED));
    assert_eq!(refused, syns - room, "all that found no room are counted");
    assert_eq!(rig.shared.counters[0].entries_dropped.get(), 0, "nobody told it to");
    rig.run(4);
    assert_eq!(rig.pool.held(), 0);
}

#[test]
fn drop_entry_makes_room_and_spares_the_established() {
    // (settings, the defence is at work)
    for (sysctls, works) in
        [("drop_entry = 0", false), ("drop_entry = 1", true), ("drop_entry = 3", true)]
    {
        let mut rig = Rig::new(sysctls);
        rig.trouble(BURSTS, &mut syn);
        for _ in 0..20 {
            rig.now = rig.now + Duration::from_secs(1);
            let kept = rig.trouble(5, &mut syn);
            assert!(kept > 0.999, "{sysctls}: {kept}");
        }
        let dropped = rig.shared.counters[0].entries_dropped.get();
        assert_eq!(dropped > 100, works, "{sysctls}: {dropped}");
        // Every established flow is still there: an ACK does not make one.
        (0..ESTABLISHED).for_each(|client| rig.arrive(&friend(client, tcp::ACK)));
        rig.drain();
        assert_eq!(rig.take_sent_of_friends(), ESTABLISHED, "{sysctls}");
        // The flood is over: a new client finds room within some seconds if the defence is at work.
        for _ in 0..8 {
            rig.now = rig.now + Duration::from_secs(1);
            rig.run(64);
        }
        rig.arrive(&syn(1_000_000));
        rig.drain();
        assert_eq!(rig.take_sent_of_strangers() == 1, works, "{sysctls}");
    }
}

#[test]
fn control_answers_and_edits_arrive_during_the_flood() {
    let mut rig = Rig::new("drop_entry = 1\nsecure_tcp = 1");
    rig.trouble(BURSTS, &mut syn);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let (pieces, wait) = rig.ask(request::<Status>(&NoArgs {}), &mut syn);
        assert!(matches!(pieces[..], [Reply::Rows(_)]));
        waits.push(wait);
    }
    let timeouts = director::model::Timeouts { udp: 77, ..Default::default() };
    let edit = Request::Apply(vec![director::api::Command::SetTimeouts(timeouts)]);
    let (pieces, wait) = rig.ask(edit, &mut syn);
    assert_eq!(pieces, [Reply::Applied(vec![Ok(())])]);
    waits.push(wait);
    let (pieces, _) = rig.ask(request::<Connections>(&NoArgs {}), &mut syn);
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
