//! A flood for the control thread: ARP requests, packets to unresolved neighbours, packets to unserved ports.

use crate::testbed::{Testbed, VIP, datagram};
use director::api::Reply;
use director::limits::{BURST, INJECT_RING, NEIGHBOUR_QUEUES, NEIGHBOURS_MAX, PUNT_RINGS};
use director::query::{NeighbourRow, Neighbours, NoArgs, Status, request};
use director::reason::DropReason;
use std::net::Ipv4Addr;

/// Enough to fill every ring and table many times.
const BURSTS: u32 = 1500;

/// One of three kinds of frames that workers punt.
fn punted(number: u32) -> Vec<u8> {
    let host = Ipv4Addr::from_bits(Ipv4Addr::new(10, 129, 0, 0).to_bits() + number);
    match number % 3 {
        0 => arp_request(number, host),
        1 => datagram(number, host, 9, 10),
        _ => datagram(number, VIP.parse().unwrap(), 9, 10),
    }
}

/// An ARP request for the VIP, each from another host of a large network.
fn arp_request(number: u32, sender: Ipv4Addr) -> Vec<u8> {
    let mac = [&[2, 1][..], &number.to_be_bytes()].concat();
    let mut frame = [&[0xff; 6][..], &mac].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(VIP.parse::<Ipv4Addr>().unwrap().octets());
    frame
}

#[test]
fn a_flood_for_control_is_bounded_and_leaves_established_flows_alone() {
    let mut testbed = Testbed::new("");
    testbed.polls_per_turn = 16;
    let kept = testbed.flood(BURSTS, &mut punted);
    assert!(kept > 0.999, "{kept}");
    assert!(testbed.dropped(DropReason::PuntRingFull) > 0, "control did not keep up");
    let bound = PUNT_RINGS + INJECT_RING + NEIGHBOUR_QUEUES + 4 * BURST;
    assert!(testbed.pool.max_held() <= bound, "{} frames held at once", testbed.pool.max_held());
    let (pieces, _) = testbed.ask(request::<Neighbours>(&NoArgs {}), &mut punted);
    let Reply::Rows(rows) = &pieces[0] else { panic!("{pieces:?}") };
    let rows: Vec<NeighbourRow> = rows.read().unwrap();
    assert!(rows.len() <= NEIGHBOURS_MAX, "{} neighbours", rows.len());
    let queued: u64 = rows.iter().map(|row| row.queued).sum();
    assert!(queued <= NEIGHBOUR_QUEUES as u64);
}

#[test]
fn control_answers_queries_during_the_flood() {
    let mut testbed = Testbed::new("");
    testbed.polls_per_turn = 4;
    testbed.flood(BURSTS, &mut punted);
    let mut waits: Vec<_> = (0..20)
        .map(|_| {
            let (pieces, wait) = testbed.ask(request::<Status>(&NoArgs {}), &mut punted);
            assert!(matches!(pieces[..], [Reply::Rows(_)]));
            wait
        })
        .collect();
    waits.sort_unstable();
    let usual = waits[waits.len() / 2];
    assert!(usual < std::time::Duration::from_millis(100), "{usual:?}");
}

#[test]
fn all_buffers_are_freed_after_the_flood() {
    let mut testbed = Testbed::new("");
    testbed.flood(BURSTS, &mut punted);
    // Longer than neighbours are solicited without an answer.
    for _ in 0..200 {
        testbed.now = testbed.now + director::time::Duration::from_millis(100);
        testbed.run(32);
    }
    assert_eq!(testbed.pool.held(), 0);
}
