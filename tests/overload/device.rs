//! A device that takes nothing more, and a pool without a buffer.

use crate::testbed::{ESTABLISHED, ROUTER_MAC, Rig, VIP, datagram, friend, syn};
use director::api::{Reply, Request};
use director::packet::tcp;
use director::query::{Connections, DropRow, Drops, Neighbours, NoArgs, Status, request};
use director::reason::DropReason;
use std::net::Ipv4Addr;

#[test]
fn a_full_transmit_ring_costs_what_it_does_not_take_and_no_more() {
    let mut rig = Rig::new("");
    rig.wires[0].borrow_mut().is_stuck = true;
    (0..ESTABLISHED).for_each(|client| rig.arrive(&friend(client, tcp::ACK)));
    rig.drain();
    assert_eq!(rig.dropped(DropReason::TransmitRingFull), u64::from(ESTABLISHED));
    assert_eq!(rig.pool.held(), 0, "what was not sent is given back");
    let (pieces, _) = rig.ask(request::<Status>(&NoArgs {}), &mut syn);
    assert!(matches!(pieces[..], [Reply::Rows(_)]));
    rig.wires[0].borrow_mut().is_stuck = false;
    let kept = rig.trouble(100, &mut |_| friend(7, tcp::ACK));
    assert!(kept > 0.999, "{kept}: as if nothing had happened");
}

#[test]
fn an_empty_pool_stops_what_needs_a_buffer_and_nothing_else() {
    let mut rig = Rig::new("");
    rig.pool.set_dry(true);
    // Too long for the way there, so to be cut into pieces, which needs buffers.
    let long = |number| datagram(number, Ipv4Addr::new(10, 3, 0, 1), 9, 1000);
    let kept = rig.trouble(100, &mut long.clone());
    assert!(kept > 0.999, "{kept}");
    assert_eq!(rig.dropped(DropReason::NoBuffer), 100 * 28);
    // Who has the VIP? Nobody can say so without a buffer.
    (0..64).for_each(|host| rig.arrive(&who_has(host)));
    rig.drain();
    assert!(rig.wires[0].borrow().sent.iter().all(|frame| frame[12..14] != [8, 6]));
    let (pieces, _) = rig.ask(request::<Drops>(&NoArgs {}), &mut |_| friend(7, tcp::ACK));
    let no_buffer = pieces.iter().find_map(|piece| {
        let Reply::Rows(rows) = piece else { return None };
        let rows: Vec<DropRow> = rows.read().unwrap();
        rows.iter().find(|row| row.reason == DropReason::NoBuffer.name()).map(|row| row.packets)
    });
    assert!(no_buffer >= Some(100 * 28 + 64), "{no_buffer:?}");
    rig.pool.set_dry(false);
    rig.wires[0].borrow_mut().sent.clear();
    rig.arrive(&who_has(1));
    rig.drain();
    let answers = rig.wires[0].borrow().sent.iter().filter(|frame| frame[12..14] == [8, 6]).count();
    assert_eq!(answers, 1);
    rig.arrive(&long(1));
    rig.drain();
    assert_eq!(rig.take_sent_of_strangers(), 2, "two pieces");
    assert_eq!(rig.pool.held(), 0);
}

#[test]
fn a_wire_that_never_runs_empty_starves_nobody() {
    const BACKLOG: usize = 20_000;
    let mut rig = Rig::new("");
    for number in 0..BACKLOG as u32 {
        rig.arrive(&friend(number % ESTABLISHED, tcp::ACK));
    }
    // From here on as many arrive as the worker takes.
    let mut more = |number: u32| friend(number % ESTABLISHED, tcp::ACK);
    for request in [
        request::<Status>(&NoArgs {}),
        request::<Connections>(&NoArgs {}),
        request::<Neighbours>(&NoArgs {}),
    ] {
        let (pieces, _) = rig.ask(request, &mut more);
        assert!(!pieces.is_empty());
    }
    let timeouts = director::model::Timeouts { udp: 77, ..Default::default() };
    let edit = Request::Apply(vec![director::api::Command::SetTimeouts(timeouts)]);
    assert_eq!(rig.ask(edit, &mut more).0, [Reply::Applied(vec![Ok(())])]);
    // Frames of control, connections that are over, announcements: all in the middle of it.
    rig.now = rig.now + director::time::Duration::from_secs(1000);
    let kept = rig.trouble(2 * ESTABLISHED / 4, &mut more);
    assert!(rig.wires[0].borrow().to_receive.len() >= BACKLOG);
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
