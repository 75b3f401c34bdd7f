//! Two workers, one overloaded: the other is not affected, drops are counted where they happen, and control answers
//! queries.

use crate::testbed::{CONNECTIONS, ESTABLISHED, Testbed, established, syn};
use director::api::{Reply, Request};
use director::limits::{BURST, HANDOFF_RING};
use director::model::ConnectionRow;
use director::packet::tcp;
use director::packet::toeplitz::SYMMETRIC_KEY;
use director::query::{Connections, DropRow, Drops, NoArgs, Status, StatusReport, request};
use director::reason::DropReason;
use director::worker::steering::Placement;

/// Enough to fill a table and a ring several times.
const ROUNDS: u32 = 800;
/// Frames of established flows among the [`BURST`] of a worker's round.
const ESTABLISHED_FRAMES: u32 = 4;

/// The load of each round, and how many established packets were forwarded.
struct Flood {
    /// Indexed by worker: its established clients, and the next one to send.
    clients: [Vec<u32>; 2],
    next: [usize; 2],
    offered: u32,
    kept: u32,
    /// Number of the next flood client, and SYNs received.
    flood_client: u32,
    syns: u64,
    /// Worker that owns the flood's flows.
    target: usize,
}

impl Flood {
    fn new(testbed: &Testbed, target: usize) -> Self {
        let of = |worker| {
            (0..ESTABLISHED)
                .filter(move |&client| testbed.home(&established(client, tcp::ACK)) == worker)
        };
        let clients = [of(0).collect::<Vec<_>>(), of(1).collect()];
        assert!(clients.iter().all(|clients| clients.len() > 300), "both workers have clients");
        let (next, offered, kept, flood_client, syns) = ([0; 2], 0, 0, 0, 0);
        Flood { clients, next, offered, kept, flood_client, syns, target }
    }

    /// Worker 0 receives a burst of SYNs; each worker receives segments of its own established flows, if its queue is
    /// short.
    fn round(&mut self, testbed: &mut Testbed) {
        for _ in ESTABLISHED_FRAMES..BURST as u32 {
            let flood = loop {
                self.flood_client += 1;
                let flood = syn(self.flood_client);
                if testbed.home(&flood) == self.target {
                    break flood;
                }
            };
            testbed.arrive_at(0, &flood);
            self.syns += 1;
        }
        for worker in 0..2 {
            if testbed.wires[worker].borrow().to_receive.len() > BURST {
                continue;
            }
            for _ in 0..ESTABLISHED_FRAMES {
                let clients = &self.clients[worker];
                let client = clients[self.next[worker] % clients.len()];
                self.next[worker] += 1;
                testbed.arrive_at(worker, &established(client, tcp::ACK));
                self.offered += 1;
            }
        }
        testbed.poll();
    }

    fn rounds(&mut self, testbed: &mut Testbed, count: u32) {
        for _ in 0..count {
            self.round(testbed);
            self.kept += testbed.take_sent_of_established();
        }
    }

    /// Delivers what is still in queues and rings.
    fn end(&mut self, testbed: &mut Testbed) {
        testbed.pace = vec![1; 2];
        testbed.drain();
        testbed.run(HANDOFF_RING / BURST);
        self.kept += testbed.take_sent_of_established();
        assert_eq!(testbed.pool.held(), 0, "the rings are empty");
    }
}

fn by_rss() -> Placement {
    Placement::rss(SYMMETRIC_KEY.to_vec(), vec![0, 1])
}

/// The device places the flood on worker 0, which owns it.
#[test]
fn a_flood_on_one_worker_does_not_affect_the_other() {
    let mut testbed = Testbed::of(2, by_rss(), "");
    let mut flood = Flood::new(&testbed, 0);
    let before = testbed.shared.counters[1].connections_ipv4.get();
    flood.rounds(&mut testbed, ROUNDS);
    flood.end(&mut testbed);
    assert_eq!(flood.kept, flood.offered, "established packets of both workers");
    let [flooded, other] = [0, 1].map(|worker| &testbed.shared.counters[worker]);
    assert_eq!(flooded.connections_ipv4.get(), CONNECTIONS as u64);
    assert_eq!(other.connections_ipv4.get(), before);
    let room = CONNECTIONS as u64 - flood.clients[0].len() as u64;
    let refused = testbed.dropped_by(0, DropReason::ConnectionTableFull);
    assert_eq!(refused, flood.syns - room, "counted by the worker that refused");
    for reason in DropReason::ALL {
        assert_eq!(testbed.dropped_by(1, *reason), 0, "{}", reason.name());
    }
    assert_eq!((flooded.handoff_tx.get(), other.handoff_rx.get()), (0, 0));
}

/// Worker 0 receives the flood, worker 1 owns it and is too slow for it.
#[test]
fn a_full_handoff_ring_drops_only_the_flood() {
    let mut testbed = Testbed::of(2, Placement::Software, "");
    let mut flood = Flood::new(&testbed, 1);
    testbed.pace = vec![1, 4];
    flood.rounds(&mut testbed, ROUNDS);
    assert!(
        testbed.pool.max_held() <= HANDOFF_RING + 8 * BURST,
        "{} frames in use at once",
        testbed.pool.max_held()
    );
    flood.end(&mut testbed);
    assert_eq!(flood.kept, flood.offered, "established packets of both workers");
    let [flooded, other] = [0, 1].map(|worker| &testbed.shared.counters[worker]);
    let no_room = testbed.dropped_by(0, DropReason::HandoffRingFull);
    assert!(no_room > u64::from(ROUNDS), "{no_room} dropped because the ring was full");
    assert_eq!(flood.syns, flooded.handoff_tx.get() + no_room);
    assert_eq!(other.handoff_rx.get(), flooded.handoff_tx.get());
    // Frames handed off found room in worker 1's table or were refused there.
    let made = CONNECTIONS as u64 - flood.clients[1].len() as u64;
    let refused = testbed.dropped_by(1, DropReason::ConnectionTableFull);
    assert_eq!(other.handoff_rx.get(), made + refused);
    assert_eq!(flooded.connections_ipv4.get(), flood.clients[0].len() as u64);
}

/// With a full hand-off ring and a full table queries cover both workers and edits apply.
#[test]
fn control_answers_while_ring_and_table_are_full() {
    let mut testbed = Testbed::of(2, Placement::Software, "");
    let mut flood = Flood::new(&testbed, 1);
    testbed.pace = vec![1, 4];
    flood.rounds(&mut testbed, ROUNDS);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let (pieces, wait) =
            testbed.ask_during(request::<Status>(&NoArgs {}), &mut |testbed| flood.round(testbed));
        let [Reply::Rows(rows)] = &pieces[..] else { panic!("{pieces:?}") };
        let [status]: [StatusReport; 1] = rows.read::<StatusReport>().unwrap().try_into().unwrap();
        assert_eq!(status.workers.len(), 2);
        waits.push(wait);
    }
    let timeouts = director::model::Timeouts { udp: 77, ..Default::default() };
    let edit = Request::Apply(vec![director::api::Command::SetTimeouts(timeouts)]);
    let (pieces, wait) = testbed.ask_during(edit, &mut |testbed| flood.round(testbed));
    assert_eq!(pieces, [Reply::Applied(vec![Ok(())])]);
    waits.push(wait);
    waits.sort_unstable();
    assert!(waits[waits.len() / 2] < std::time::Duration::from_millis(100), "{waits:?}");

    let (pieces, _) =
        testbed.ask_during(request::<Connections>(&NoArgs {}), &mut |testbed| flood.round(testbed));
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
    assert!(rows >= CONNECTIONS + flood.clients[0].len(), "{rows} rows of both workers");
    let before = testbed.dropped(DropReason::HandoffRingFull);
    let (pieces, _) =
        testbed.ask_during(request::<Drops>(&NoArgs {}), &mut |testbed| flood.round(testbed));
    let [Reply::Rows(drops)] = &pieces[..] else { panic!("{pieces:?}") };
    let drops: Vec<DropRow> = drops.read().unwrap();
    let name = DropReason::HandoffRingFull.name();
    let counted: u64 = drops.iter().filter(|row| row.reason == name).map(|row| row.packets).sum();
    assert!((before..=testbed.dropped(DropReason::HandoffRingFull)).contains(&counted));
}
