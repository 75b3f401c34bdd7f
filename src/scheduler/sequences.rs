//! Sequences of picks recorded from a Linux director, one table per scheduler.

use super::fixture::{Farm, Server};
use crate::model::{SchedulerFlags, SchedulerKind};
use crate::time::{Duration, Instant};
use std::net::Ipv4Addr;

/// Fresh services (destinations in the order they were added) and the picks of as many TCP SYNs.
const FRESH: &[(&str, &str, &str)] = &[
    ("rr", "A1 B1 C1", "CBACBACBA"),
    ("rr", "A1 B0 C1", "CACACA"),
    ("wrr", "A4 B3 C2", "CBAABACBACBAABACBA"),
    ("wrr", "A2 B3 C4", "CBACCBCBACBACCBCBA"),
    ("wrr", "A3 B1", "BAAABAAA"),
    ("wrr", "A5 B1 C1", "CBAAAAACBAAAA"),
    ("wrr", "A6 B4 C2", "CBAABACBAABA"),
    ("wrr", "A3 B0 C2", "CAACACAACA"),
    ("wrr", "A100 B100", "BABABA"),
    ("wrr", "A0 B0", "!!!"),
    ("lc", "A1 B1 C1", "CBACBACBACBA"),
    ("lc", "A1 B10 C0", "BABABA"),
    ("wlc", "A3 B2 C1", "CBAABACBAABA"),
    ("wlc", "A1 B2 C3", "CBACBCCBACBC"),
    ("sed", "A3 B2 C1", "ABACBAABACBA"),
    ("sed", "A1 B2 C3", "CBCCBACBCCBA"),
    ("nq", "A3 B2 C1", "CBAABAABACBA"),
    ("nq", "A1 B2 C3", "CBACCBCBCCBA"),
    ("fo", "A1 B5 C5", "CCCC"),
    ("ovf", "A3 B2 C1", "AAAABBBCC!!"),
    ("ovf", "A2 B2", "BBBAAA!"),
    ("lblc", "A2 B2 C2", "CCCBBBAAAAAAAA"),
    ("lblcr", "A2 B2 C2", "CCCBBBAAAABCAB"),
    ("none", "A1 B1", "!!"),
];

#[test]
fn fresh_services() {
    for &(kind, servers, picks) in FRESH {
        let mut farm = Farm::new(kind.parse().unwrap(), servers);
        assert_eq!(farm.picks(picks.len()), picks, "{kind} {servers}");
    }
}

#[test]
fn udp_connections_are_all_inactive() {
    for (kind, servers, picks) in [
        ("wlc", "A3 B2 C1", "CBAABACBAABA"),
        ("sed", "A3 B2 C1", "AAAAAA"),
        ("nq", "A3 B2", "BBBB"),
    ] {
        let mut farm = Farm::new(kind.parse().unwrap(), servers);
        farm.tcp = false;
        assert_eq!(farm.picks(picks.len()), picks, "{kind} {servers}");
    }
}

#[test]
fn rr_goes_on_after_a_removal() {
    let mut farm = Farm::new(SchedulerKind::Rr, "A1 B1 C1");
    assert_eq!(farm.picks(1), "C");
    farm.remove('C');
    assert_eq!(farm.picks(4), "BABA");
    farm.add("C1");
    assert_eq!(farm.picks(6), "CBACBA");
}

#[test]
fn rr_leaves_out_the_overloaded() {
    let mut farm = Farm::new(SchedulerKind::Rr, "A1 B1");
    farm.server('A').upper_threshold = 2;
    assert_eq!(farm.picks(10), "BABABBBBBB");
}

#[test]
fn wrr_starts_its_cycle_anew_when_it_is_set() {
    let mut farm = Farm::new(SchedulerKind::Rr, "A4 B3 C2");
    farm.picks(2);
    farm.scheduler = farm.scheduler.with_kind(SchedulerKind::Wrr, SchedulerFlags::empty());
    assert_eq!(farm.picks(18), "ABACBACBAABACBACBA");
}

#[test]
fn wrr_keeps_its_pass_over_an_edit() {
    let mut farm = Farm::new(SchedulerKind::Wrr, "A4 B3 C2");
    assert_eq!(farm.picks(2), "CB");
    farm.edit("B1");
    assert_eq!(farm.picks(14), "CBAAACACBAAACA");
}

#[test]
fn an_edit_of_the_service_does_not_reset_its_scheduler() {
    let mut farm = Farm::new(SchedulerKind::Rr, "A1 B1 C1");
    assert_eq!(farm.picks(1), "C");
    farm.scheduler = farm.scheduler.with_kind(SchedulerKind::Rr, SchedulerFlags::FLAG_1);
    assert_eq!(farm.picks(3), "BAC");
    farm.scheduler = farm.scheduler.with_flags(SchedulerFlags::empty());
    assert_eq!(farm.picks(3), "BAC");
}

#[test]
fn wlc_counts_an_active_connection_as_256() {
    for (inactive_of_b, picked) in [(100, 'A'), (80, 'B')] {
        let mut farm = Farm::new(SchedulerKind::Wlc, "C1 B2 A3");
        let server = |active, inactive| Server { active, inactive, upper_threshold: 0 };
        *farm.server('A') = server(2, 5);
        *farm.server('B') = server(1, inactive_of_b);
        *farm.server('C') = server(0, 300);
        assert_eq!(farm.pick(), picked, "B has {inactive_of_b} inactive");
    }
}

/// Picks of one SYN each to 10.9.0.1, 10.9.0.2...
fn by_destination(kind: SchedulerKind, servers: &str, count: u8) -> String {
    let mut farm = Farm::new(kind, servers);
    let mut pick = |last| {
        farm.flow.destination = Ipv4Addr::new(10, 9, 0, last).into();
        farm.pick()
    };
    (1..=count).map(&mut pick).collect()
}

#[test]
fn destination_addresses_spread() {
    assert_eq!(by_destination(SchedulerKind::Dh, "A1 B1 C1", 10), "ACBABCCABA");
    assert_eq!(by_destination(SchedulerKind::Lblc, "A2 B2 C2", 6), "CBACBA");
}

/// Picks of one SYN each of 10.0.0.2, 10.0.0.3...
fn by_client(farm: &mut Farm, clients: std::ops::Range<u8>) -> String {
    let mut pick = |last| {
        farm.flow.source = Ipv4Addr::new(10, 0, 0, last).into();
        farm.pick()
    };
    clients.map(&mut pick).collect()
}

#[test]
fn sh_keeps_clients_apart() {
    let mut farm = Farm::new(SchedulerKind::Sh, "A3 B2 C1");
    assert_eq!(by_client(&mut farm, 2..14), "ABACACBCBABA");
}

#[test]
fn mh_moves_no_other_client_when_a_destination_is_quiesced() {
    let mut farm = Farm::new(SchedulerKind::Mh, "A1 B1 C1");
    assert_eq!(by_client(&mut farm, 2..8), "ABCCCB");
    farm.edit("C0");
    assert_eq!(by_client(&mut farm, 2..8), "AB!!!B");
    // The same if mh is set only later: the destination keeps its last weight.
    farm.scheduler = farm.scheduler.with_kind(SchedulerKind::Rr, SchedulerFlags::empty());
    farm.scheduler = farm.scheduler.with_kind(SchedulerKind::Mh, SchedulerFlags::empty());
    assert_eq!(by_client(&mut farm, 2..8), "AB!!!B");
    farm.scheduler = farm.scheduler.with_flags(SchedulerFlags::FLAG_1);
    let moved = by_client(&mut farm, 2..8);
    assert!(moved.starts_with("AB") && moved.ends_with('B') && !moved.contains(['C', '!']));
    // A destination that comes back with weight 0 never had one.
    farm.remove('C');
    farm.add("C0");
    assert!(!by_client(&mut farm, 2..250).contains(['C', '!']));
}

#[test]
fn lblc_follows_a_server_that_comes_back() {
    let mut farm = Farm::new(SchedulerKind::Lblc, "A9 B9");
    assert_eq!(farm.pick(), 'B');
    farm.remove('B');
    farm.add("B9");
    *farm.server('B') = Server { active: 8, inactive: 0, upper_threshold: 0 };
    assert_eq!(farm.pick(), 'B');
    farm.edit("B0");
    assert_eq!(farm.picks(2), "AA");
}

#[test]
fn lblc_uses_a_known_server_though_it_is_overloaded() {
    let mut farm = Farm::new(SchedulerKind::Lblc, "A9 B9");
    farm.server('B').upper_threshold = 1;
    assert_eq!(farm.picks(3), "BBB");
    farm.flow.destination = Ipv4Addr::new(10, 9, 0, 1).into();
    assert_eq!(farm.picks(3), "AAA");
}

#[test]
fn lblc_leaves_a_busy_server_only_for_one_under_half_its_weight() {
    for (active_of_a, picked) in [(1, 'B'), (0, 'A')] {
        let mut farm = Farm::new(SchedulerKind::Lblc, "A2 B2");
        assert_eq!(farm.pick(), 'B');
        farm.server('B').active = 3;
        farm.server('A').active = active_of_a;
        assert_eq!(farm.pick(), picked, "A has {active_of_a} active");
    }
}

#[test]
fn lblc_forgets_unused_addresses() {
    let mut farm = Farm::new(SchedulerKind::Lblc, "A9 B9");
    assert_eq!(farm.pick(), 'B');
    for minute in 0..=60 {
        farm.scheduler.collect(Instant::from_secs(1 + minute * 60), 600);
    }
    assert_eq!(farm.pick(), 'A');
}

#[test]
fn lblcr_takes_the_busiest_server_out_of_an_old_set() {
    let mut farm = Farm::new(SchedulerKind::Lblcr, "A2 B2 C2");
    assert_eq!(farm.picks(9), "CCCBBBAAA");
    *farm.server('A') = Server { active: 1, ..Server::default() };
    *farm.server('B') = Server { active: 0, ..Server::default() };
    farm.scheduler.collect(farm.now, 60);
    farm.now = farm.now + Duration::from_secs(61);
    // C (3 active) leaves the set; without it two less loaded ones remain.
    assert_eq!(farm.pick(), 'B');
    *farm.server('C') = Server::default();
    *farm.server('A') = Server { active: 1, ..Server::default() };
    *farm.server('B') = Server { active: 2, ..Server::default() };
    assert_eq!(farm.pick(), 'A');
}

#[test]
fn twos_prefers_the_less_loaded_of_two() {
    let mut farm = Farm::new(SchedulerKind::Twos, "A1 B1");
    farm.server('A').active = 1_000_000;
    let picks = farm.picks(4_000);
    // Each draw is 0, 1 (B) or 2 (A); A is taken only when both are 2.
    let share = picks.matches('A').count();
    assert!((380..510).contains(&share), "{share} of 4000");
}
