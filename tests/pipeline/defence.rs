//! Overload: what is refused, and that established clients are still served.

use crate::scene::*;
use crate::support::TestDirector;
use crate::support::director::Shape;
use director::limits::{PUNT_RING_HOST, PUNT_RING_NEIGHBOUR_GROUP};
use director::model::{Family, ForwardMethod, Protocol, SchedulerKind};
use director::packet::tcp::{ACK, SYN};
use director::reason::DropReason;
use director::worker::TableJob;

fn small(connections: usize, templates: usize) -> TestDirector {
    let mut snapshot = snapshot(Protocol::Tcp, &["10.1.0.11:80"], ForwardMethod::Route);
    if templates != 0 {
        snapshot.persist(director::model::ServiceId(0), 300);
    }
    TestDirector::shaped(
        snapshot,
        Shape { connections, templates: templates.max(1), ..Shape::default() },
    )
}

fn send(director: &mut TestDirector, client: u32, flags: u8) -> crate::support::Outcome {
    let packet = director::testing::frame().ipv4(0x4d00_0000 + client, crate::support::VIP);
    director.client(&packet.tcp(3000, 80).flags(flags).build())
}

/// `drop_packet` drops the first packet that would be scheduled, then every n-th; packets of connections never.
#[test]
fn drop_packet() {
    let mut director = small(64, 0);
    director.change(|snapshot| snapshot.settings.drop_packet_rate = 3);
    let is_dropped: Vec<bool> =
        (0..7).map(|client| !send(&mut director, client, SYN).drops.is_empty()).collect();
    assert_eq!(is_dropped, [true, false, false, true, false, false, true]);
    assert_eq!(director.dropped(DropReason::DropPacket), 3);
    for _ in 0..9 {
        send(&mut director, 1, ACK).frame();
    }
    // In automatic mode (2) the first packets pass.
    let mut director = small(64, 0);
    director.change(|snapshot| {
        snapshot.settings.sysctls.drop_packet = 2;
        snapshot.settings.drop_packet_rate = 3;
    });
    let is_dropped =
        [0, 1, 2, 3, 4, 5, 6].map(|client| !send(&mut director, client, SYN).drops.is_empty());
    assert_eq!(is_dropped, [false, false, true, false, false, true, false]);
    let mut director = small(64, 0);
    director.change(|snapshot| snapshot.settings.drop_packet_rate = 1);
    for client in 10..15 {
        assert_eq!(send(&mut director, client, SYN).drop(), DropReason::DropPacket);
    }
}

#[test]
fn a_full_table_refuses_new_connections_and_keeps_established_ones() {
    let mut director = small(32, 0);
    let mut made = 0;
    while send(&mut director, made, SYN).drops.is_empty() {
        made += 1;
        assert!(made <= 64, "the table never fills");
    }
    assert!(made >= 32, "full with {made} connections");
    assert_eq!(director.totals().connections, u64::from(made));
    for client in 0..made {
        send(&mut director, client, ACK).frame();
    }
    assert_eq!(send(&mut director, made, SYN).drop(), DropReason::ConnectionTableFull);
    // Connections time out and make room.
    director.pass_s(902);
    send(&mut director, made, SYN).frame();
    assert_eq!(director.totals().connections, 1);
}

#[test]
fn a_full_template_table_replaces_unconfirmed_templates() {
    // Keys spread at random, so a small table has room for many more templates than its size.
    const CLIENTS: u32 = 2000;
    let mut director = small(4096, 4);
    let outcomes: Vec<bool> =
        (0..CLIENTS).map(|client| send(&mut director, client, SYN).drops.is_empty()).collect();
    let made = outcomes.iter().filter(|made| **made).count();
    assert!((4..1000).contains(&made), "{made} templates");
    assert_eq!(director.dropped(DropReason::TemplateTableFull) as usize, CLIENTS as usize - made);
    // A new template replaces one of a client that did not complete its handshake.
    assert_eq!(director.load(ONLY).2 as usize, director.shared.templates.len());
    assert_eq!(director.shared.templates.len(), 4);
    send(&mut director, 0, ACK).frame();
}

/// SYNs to one persistent service fill the template table. New clients of this and of another service are still served.
#[test]
fn a_syn_flood_at_one_persistent_service_leaves_templates_for_others() {
    let mut snapshot = snapshot(Protocol::Tcp, &["10.1.0.11:80"], ForwardMethod::Route);
    let other = snapshot.service(Protocol::Tcp, "10.0.0.100:443", SchedulerKind::Rr);
    snapshot.destination(other, "10.1.0.12:443", ForwardMethod::Route);
    snapshot.persist(director::model::ServiceId(0), 300);
    snapshot.persist(other, 300);
    let shape = Shape { connections: 1 << 16, templates: 3000, ..Shape::default() };
    let mut director = TestDirector::shaped(snapshot, shape);
    let packet = |client: u32, port, flags| {
        let packet = director::testing::frame().ipv4(0x4d00_0000 + client, crate::support::VIP);
        packet.tcp(3000, port).flags(flags).build()
    };
    // Established before the flood.
    for client in 0..50 {
        director.client(&packet(client, 80, SYN)).frame();
        director.client(&packet(client, 80, ACK)).frame();
    }
    let flood =
        (1000..11_000).filter(|&client| director.client(&packet(client, 80, SYN)).drops.is_empty());
    assert!(flood.count() > 9_500, "the flooded service still takes new clients");
    let others = (20_000..20_200)
        .filter(|&client| director.client(&packet(client, 443, SYN)).drops.is_empty());
    assert_eq!(others.count(), 200);
    assert!(director.shared.templates.len() <= 3200);
    let (rows, _) = director.shared.templates.rows_from(
        director::conn::template::SweepCursor::default(),
        10_000,
        director::time::Instant::from_secs(0),
    );
    assert_eq!(rows.iter().filter(|(_, template)| template.assured).count(), 50);
}

/// drop_entry removes half-open connections and keeps established ones.
#[test]
fn drop_entry() {
    let mut director = small(64, 0);
    for client in 0..20 {
        send(&mut director, client, SYN).frame();
    }
    for client in 0..5 {
        send(&mut director, client, ACK).frame();
    }
    for _ in 0..50 {
        director.job(0, TableJob::DropEntries { family: Family::Ipv4, entries: 64 });
    }
    let left = director.connections(Family::Ipv4);
    assert_eq!(left.len(), 5);
    assert_eq!(director.load(ONLY), (5, 0, 0));
    assert_eq!(director.shared.counters[0].entries_dropped.get(), 15);
    for client in 0..5 {
        send(&mut director, client, ACK).frame();
    }
}

/// A full transmit ring or punt ring drops packets, and each is counted.
#[test]
fn full_transmit_and_punt_rings_drop_and_count() {
    let mut director = small(64, 0);
    send(&mut director, 0, SYN).frame();
    director.wires[0][1].borrow_mut().transmit_room = Some(2);
    for _ in 0..5 {
        send(&mut director, 0, ACK);
    }
    assert_eq!(director.dropped(DropReason::TransmitRingFull), 3);
    let unserved = request().udp(1, 9).build();
    let mut who_has = [[0xff; 6], [2, 0, 0, 0, 0, 9]].concat();
    who_has.extend([8, 6]);
    for (frame, room) in [(&unserved, PUNT_RING_HOST), (&who_has, PUNT_RING_NEIGHBOUR_GROUP)] {
        for _ in 0..room + 7 {
            let frame = director::io::MemoryFrame::new(frame);
            director.wires[0][0].borrow_mut().to_receive.push_back(frame);
            director.poll();
        }
    }
    assert_eq!(director.dropped(DropReason::PuntRateLimited), 7);
    assert_eq!(director.dropped(DropReason::PuntRingFull), 7);
    let totals = director.totals();
    assert_eq!(totals.received, totals.sent + totals.dropped + totals.punted);
}
