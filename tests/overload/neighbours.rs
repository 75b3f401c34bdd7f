//! Neighbours found by ARP stay known during a flood of the control thread.

use crate::testbed::{ROUTER_MAC, Testbed, VIP, datagram};
use director::reason::DropReason;
use director::testing::frame;
use director::time::Duration;
use std::net::Ipv4Addr;

/// Simulated time of one poll, and a number of polls longer than a neighbour is used without confirmation.
const POLL: Duration = Duration::from_millis(5);
const POLLS: u32 = 9000;

/// Frames from behind the router that are punted.
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

/// As [`from_afar`], and ARP requests for the VIP from many hosts on the link, like a scan.
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

/// Share of an established flow's packets that were forwarded, and refused punts, with one control iteration in this
/// many polls.
fn kept(polls_per_turn: u32, flood: &mut dyn FnMut(u32) -> Vec<u8>) -> (f64, u64) {
    let mut testbed = Testbed::with_dynamic_neighbours();
    testbed.polls_per_turn = polls_per_turn;
    testbed.poll_time = POLL;
    let kept = testbed.flood(POLLS, flood);
    let refused =
        testbed.dropped(DropReason::PuntRateLimited) + testbed.dropped(DropReason::PuntRingFull);
    (kept, refused)
}

#[test]
fn a_flood_from_afar_does_not_push_out_the_neighbours() {
    for polls_per_turn in [8, 32] {
        let (kept, refused) = kept(polls_per_turn, &mut from_afar);
        assert!(refused > 10_000, "only {refused} punts refused");
        assert!(kept > 0.9999, "{kept} with a turn in {polls_per_turn} polls");
    }
}

#[test]
fn a_flood_on_the_link_does_not_push_out_the_neighbours() {
    for polls_per_turn in [16, 32] {
        let (kept, refused) = kept(polls_per_turn, &mut on_the_link);
        assert!(refused > 10_000, "only {refused} punts refused");
        assert!(kept > 0.9999, "{kept} with a turn in {polls_per_turn} polls");
    }
}
