//! A full TX ring, an empty buffer pool, and an RX queue that never runs empty.

use crate::testbed::{ESTABLISHED, ROUTER_MAC, Testbed, VIP, datagram, established, syn};
use director::api::{Reply, Request};
use director::packet::tcp;
use director::query::{Connections, DropRow, Drops, Neighbours, NoArgs, Status, request};
use director::reason::DropReason;
use std::net::Ipv4Addr;

#[test]
fn a_full_transmit_ring_drops_and_recovers() {
    let mut testbed = Testbed::new("");
    testbed.wires[0].borrow_mut().is_stuck = true;
    (0..ESTABLISHED).for_each(|client| testbed.arrive(&established(client, tcp::ACK)));
    testbed.drain();
    assert_eq!(testbed.dropped(DropReason::TransmitRingFull), u64::from(ESTABLISHED));
    assert_eq!(testbed.pool.held(), 0, "dropped frames are freed");
    let (pieces, _) = testbed.ask(request::<Status>(&NoArgs {}), &mut syn);
    assert!(matches!(pieces[..], [Reply::Rows(_)]));
    testbed.wires[0].borrow_mut().is_stuck = false;
    let kept = testbed.flood(100, &mut |_| established(7, tcp::ACK));
    assert!(kept > 0.999, "{kept} of the established packets");
}

#[test]
fn an_empty_pool_stops_only_what_needs_a_buffer() {
    let mut testbed = Testbed::new("");
    testbed.pool.set_empty(true);
    // Above the MTU of its route: fragmentation needs buffers.
    let long = |number| datagram(number, Ipv4Addr::new(10, 3, 0, 1), 9, 1000);
    let kept = testbed.flood(100, &mut long.clone());
    assert!(kept > 0.999, "{kept}");
    assert_eq!(testbed.dropped(DropReason::NoBuffer), 100 * 28);
    // ARP requests for the VIP: an answer needs a buffer.
    (0..64).for_each(|host| testbed.arrive(&who_has(host)));
    testbed.drain();
    assert!(testbed.wires[0].borrow().sent.iter().all(|frame| frame[12..14] != [8, 6]));
    let (pieces, _) = testbed.ask(request::<Drops>(&NoArgs {}), &mut |_| established(7, tcp::ACK));
    let no_buffer = pieces.iter().find_map(|piece| {
        let Reply::Rows(rows) = piece else { return None };
        let rows: Vec<DropRow> = rows.read().unwrap();
        rows.iter().find(|row| row.reason == DropReason::NoBuffer.name()).map(|row| row.packets)
    });
    assert!(no_buffer >= Some(100 * 28 + 64), "{no_buffer:?}");
    testbed.pool.set_empty(false);
    testbed.wires[0].borrow_mut().sent.clear();
    testbed.arrive(&who_has(1));
    testbed.drain();
    let answers =
        testbed.wires[0].borrow().sent.iter().filter(|frame| frame[12..14] == [8, 6]).count();
    assert_eq!(answers, 1);
    testbed.arrive(&long(1));
    testbed.drain();
    assert_eq!(testbed.take_sent_of_flood(), 2, "two pieces");
    assert_eq!(testbed.pool.held(), 0);
}

#[test]
fn a_full_receive_queue_does_not_starve_other_work() {
    const BACKLOG: usize = 20_000;
    let mut testbed = Testbed::new("");
    for number in 0..BACKLOG as u32 {
        testbed.arrive(&established(number % ESTABLISHED, tcp::ACK));
    }
    // From here on as many frames arrive as the worker receives.
    let mut more = |number: u32| established(number % ESTABLISHED, tcp::ACK);
    for request in [
        request::<Status>(&NoArgs {}),
        request::<Connections>(&NoArgs {}),
        request::<Neighbours>(&NoArgs {}),
    ] {
        let (pieces, _) = testbed.ask(request, &mut more);
        assert!(!pieces.is_empty());
    }
    let timeouts = director::model::Timeouts { udp: 77, ..Default::default() };
    let edit = Request::Apply(vec![director::api::Command::SetTimeouts(timeouts)]);
    assert_eq!(testbed.ask(edit, &mut more).0, [Reply::Applied(vec![Ok(())])]);
    // Frames of control, expired connections and announcements are handled in between.
    testbed.now = testbed.now + director::time::Duration::from_secs(1000);
    let kept = testbed.flood(2 * ESTABLISHED / 4, &mut more);
    assert!(testbed.wires[0].borrow().to_receive.len() >= BACKLOG);
    assert!(kept > 0.999, "{kept}");
}

fn who_has(host: u8) -> Vec<u8> {
    let mut frame = [[0xff; 6], ROUTER_MAC].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(ROUTER_MAC);
    frame.extend([10, 0, 0, host.wrapping_add(101)]);
    frame.extend([0; 6]);
    frame.extend(VIP.parse::<Ipv4Addr>().unwrap().octets());
    frame
}
