//! One port, neighbours found by ARP, and more for the control thread than it takes: the neighbours stay known.

use crate::testbed::{ROUTER_MAC, Rig, VIP, datagram};
use director::reason::DropReason;
use director::testing::frame;
use director::time::Duration;
use std::net::Ipv4Addr;

/// Simulated time of one poll, and polls in longer than a neighbour is believed without an answer.
const POLL: Duration = Duration::from_millis(5);
const POLLS: u32 = 9000;

/// Everything a stranger behind the router can have handed to the control thread.
fn from_afar(number: u32) -> Vec<u8> {
    let vip: Ipv4Addr = VIP.parse().unwrap();
    let to_vip = || frame().macs([2, 0, 0, 0, 0, 1], ROUTER_MAC).ipv4("10.66.7.7", vip);
    match number % 4 {
        0 => datagram(number, vip, 9, 10),
        1 => datagram(number, Ipv4Addr::from_bits(0x0a81_0000 + number), 9, 10),
        2 => to_vip().ttl(1).tcp(number as u16, 80).build(),
        _ => to_vip().icmp(8, 0, number).payload("ping").build(),
    }
}

/// Hosts of the link itself, each of which asks for the VIP as a host does that scans.
fn on_the_link(number: u32) -> Vec<u8> {
    if number.is_multiple_of(2) {
        return from_afar(number / 2);
    }
    let mac = [&[2, 1][..], &number.to_be_bytes()].concat();
    let mut frame = [&[0xff; 6][..], &mac].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend((0x0a81_0000 + number).to_be_bytes());
    frame.extend([0; 6]);
    frame.extend(VIP.parse::<Ipv4Addr>().unwrap().octets());
    frame
}

/// The share of an established flow's packets that got through while control has one turn in so many polls.
fn kept(polls_per_turn: u32, trouble: &mut dyn FnMut(u32) -> Vec<u8>) -> (f64, u64) {
    let mut rig = Rig::with_dynamic_neighbours();
    rig.polls_per_turn = polls_per_turn;
    rig.poll_time = POLL;
    let kept = rig.trouble(POLLS, trouble);
    let refused = rig.dropped(DropReason::PuntRateLimited) + rig.dropped(DropReason::PuntRingFull);
    (kept, refused)
}

#[test]
fn a_flood_from_afar_does_not_push_out_the_neighbours() {
    for polls_per_turn in [8, 32] {
        let (kept, refused) = kept(polls_per_turn, &mut from_afar);
        assert!(refused > 10_000, "{refused}: not much of a flood");
        assert!(kept > 0.9999, "{kept} with a turn in {polls_per_turn} polls");
    }
}

#[test]
fn a_flood_on_the_link_does_not_push_out_the_neighbours() {
    for polls_per_turn in [16, 32] {
        let (kept, refused) = kept(polls_per_turn, &mut on_the_link);
        assert!(refused > 10_000, "{refused}: not much of a flood");
        assert!(kept > 0.9999, "{kept} with a turn in {polls_per_turn} polls");
    }
}
