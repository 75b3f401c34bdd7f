//! More for the control thread than it can take: ARP from everybody, packets to neighbours nobody knows, ports that nothing
//! serves.

use crate::testbed::{Rig, VIP, datagram};
use director::api::Reply;
use director::limits::{BURST, INJECT_RING, NEIGHBOUR_QUEUES, NEIGHBOURS_MAX, PUNT_RINGS};
use director::query::{NeighbourRow, Neighbours, NoArgs, Status, request};
use director::reason::DropReason;
use std::net::Ipv4Addr;

/// Enough for every ring and table many times over.
const BURSTS: u32 = 1500;

/// A bit of everything that workers hand on.
fn nuisance(number: u32) -> Vec<u8> {
    let somebody = Ipv4Addr::from_bits(Ipv4Addr::new(10, 129, 0, 0).to_bits() + number);
    match number % 3 {
        0 => hearsay(number, somebody),
        1 => datagram(number, somebody, 9, 10),
        _ => datagram(number, VIP.parse().unwrap(), 9, 10),
    }
}

/// An ARP request for the VIP, each from another host of a large network.
fn hearsay(number: u32, sender: Ipv4Addr) -> Vec<u8> {
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
fn a_flood_for_control_is_bounded_counted_and_nobody_elses_business() {
    let mut rig = Rig::new("");
    rig.polls_per_turn = 16;
    let kept = rig.trouble(BURSTS, &mut nuisance);
    assert!(kept > 0.999, "{kept}");
    assert!(rig.dropped(DropReason::PuntRingFull) > 0, "control did not keep up");
    let bound = PUNT_RINGS + INJECT_RING + NEIGHBOUR_QUEUES + 4 * BURST;
    assert!(rig.pool.most() <= bound, "{} frames held at once", rig.pool.most());
    let (pieces, _) = rig.ask(request::<Neighbours>(&NoArgs {}), &mut nuisance);
    let Reply::Rows(rows) = &pieces[0] else { panic!("{pieces:?}") };
    let rows: Vec<NeighbourRow> = rows.read().unwrap();
    assert!(rows.len() <= NEIGHBOURS_MAX, "{} neighbours", rows.len());
    let queued: u64 = rows.iter().map(|row| row.queued).sum();
    assert!(queued <= NEIGHBOUR_QUEUES as u64);
}

#[test]
fn control_answers_while_it_is_flooded() {
    let mut rig = Rig::new("");
    rig.polls_per_turn = 4;
    rig.trouble(BURSTS, &mut nuisance);
    let mut waits: Vec<_> = (0..20)
        .map(|_| {
            let (pieces, wait) = rig.ask(request::<Status>(&NoArgs {}), &mut nuisance);
            assert!(matches!(pieces[..], [Reply::Rows(_)]));
            wait
        })
        .collect();
    waits.sort_unstable();
    let usual = waits[waits.len() / 2];
    assert!(usual < std::time::Duration::from_millis(100), "{usual:?}");
}

#[test]
fn everything_is_given_back_when_it_is_over() {
    let mut rig = Rig::new("");
    rig.trouble(BURSTS, &mut nuisance);
    // Longer than anybody is asked for in vain.
    for _ in 0..200 {
        rig.now = rig.now + director::time::Duration::from_millis(100);
        rig.run(32);
    }
    assert_eq!(rig.pool.held(), 0);
}
