//! Two workers, one of them in trouble: the other one does not notice, what is refused is counted by who refused it, and
//! control answers.

use crate::testbed::{CONNECTIONS, ESTABLISHED, Rig, friend, syn};
use director::api::{Reply, Request};
use director::limits::{BURST, HANDOFF_RING};
use director::model::ConnectionRow;
use director::packet::tcp;
use director::packet::toeplitz::SYMMETRIC_KEY;
use director::query::{Connections, DropRow, Drops, NoArgs, Status, StatusReport, request};
use director::reason::DropReason;
use director::worker::steering::Placement;

/// Enough for a table and for a ring several times over.
const ROUNDS: u32 = 800;
/// Frames of established flows in a round of a worker, among [`BURST`].
const FRIENDS: u32 = 4;

/// What arrives in each round, and what became of the established flows' share.
struct Trouble {
    /// By worker: its established clients, and how many of their segments were sent for it.
    clients: [Vec<u32>; 2],
    next: [usize; 2],
    offered: u32,
    kept: u32,
    /// Number of the next stranger, and how many SYNs came in.
    stranger: u32,
    syns: u64,
    /// Worker that the strangers' flows are at home at.
    target: usize,
}

impl Trouble {
    fn new(rig: &Rig, target: usize) -> Self {
        let of = |worker| {
            (0..ESTABLISHED).filter(move |&client| rig.home(&friend(client, tcp::ACK)) == worker)
        };
        let clients = [of(0).collect::<Vec<_>>(), of(1).collect()];
        assert!(clients.iter().all(|clients| clients.len() > 300), "both have their share");
        let (next, offered, kept, stranger, syns) = ([0; 2], 0, 0, 0, 0);
        Trouble { clients, next, offered, kept, stranger, syns, target }
    }

    /// Worker 0 gets a burst of strangers' SYNs, and both workers some segments of their own established flows, as far as
    /// they keep up with what they got.
    fn round(&mut self, rig: &mut Rig) {
        for _ in FRIENDS..BURST as u32 {
            let flood = loop {
                self.stranger += 1;
                let flood = syn(self.stranger);
                if rig.home(&flood) == self.target {
                    break flood;
                }
            };
            rig.arrive_at(0, &flood);
            self.syns += 1;
        }
        for worker in 0..2 {
            if rig.wires[worker].borrow().to_receive.len() > BURST {
                continue;
            }
            for _ in 0..FRIENDS {
                let clients = &self.clients[worker];
                let client = clients[self.next[worker] % clients.len()];
                self.next[worker] += 1;
                rig.arrive_at(worker, &friend(client, tcp::ACK));
                self.offered += 1;
            }
        }
        rig.poll();
    }

    fn rounds(&mut self, rig: &mut Rig, count: u32) {
        for _ in 0..count {
            self.round(rig);
            self.kept += rig.take_sent_of_friends();
        }
    }

    /// After the last round: what is under way arrives.
    fn end(&mut self, rig: &mut Rig) {
        rig.pace = vec![1; 2];
        rig.drain();
        rig.run(HANDOFF_RING / BURST);
        self.kept += rig.take_sent_of_friends();
        assert_eq!(rig.pool.held(), 0, "nothing is left in a ring");
    }
}

fn by_rss() -> Placement {
    Placement::rss(SYMMETRIC_KEY.to_vec(), vec![0, 1])
}

/// The device places the flood on worker 0, where its flows are at home.
#[test]
fn a_flood_of_one_worker_is_no_business_of_the_other() {
    let mut rig = Rig::of(2, by_rss(), "");
    let mut trouble = Trouble::new(&rig, 0);
    let before = rig.shared.counters[1].connections_ipv4.get();
    trouble.rounds(&mut rig, ROUNDS);
    trouble.end(&mut rig);
    assert_eq!(trouble.kept, trouble.offered, "of both workers");
    let [flooded, other] = [0, 1].map(|worker| &rig.shared.counters[worker]);
    assert_eq!(flooded.connections_ipv4.get(), CONNECTIONS as u64);
    assert_eq!(other.connections_ipv4.get(), before);
    let room = CONNECTIONS as u64 - trouble.clients[0].len() as u64;
    let refused = rig.dropped_by(0, DropReason::ConnectionTableFull);
    assert_eq!(refused, trouble.syns - room, "each is counted where it was refused");
    for reason in DropReason::ALL {
        assert_eq!(rig.dropped_by(1, *reason), 0, "{}", reason.name());
    }
    assert_eq!((flooded.handoff_tx.get(), other.handoff_rx.get()), (0, 0));
}

/// The device places as it likes: the flood comes in at worker 0 and belongs to worker 1, which is slower than it comes.
#[test]
fn a_full_ring_between_workers_refuses_the_flood_and_nothing_else() {
    let mut rig = Rig::of(2, Placement::Software, "");
    let mut trouble = Trouble::new(&rig, 1);
    rig.pace = vec![1, 4];
    trouble.rounds(&mut rig, ROUNDS);
    assert!(rig.pool.most() <= HANDOFF_RING + 8 * BURST, "{} held at once", rig.pool.most());
    trouble.end(&mut rig);
    assert_eq!(trouble.kept, trouble.offered, "of both workers");
    let [flooded, other] = [0, 1].map(|worker| &rig.shared.counters[worker]);
    let no_room = rig.dropped_by(0, DropReason::HandoffRingFull);
    assert!(no_room > u64::from(ROUNDS), "the ring was full: {no_room}");
    assert_eq!(trouble.syns, flooded.handoff_tx.get() + no_room);
    assert_eq!(other.handoff_rx.get(), flooded.handoff_tx.get());
    // What was taken over found the last room in worker 1's table, or none.
    let made = CONNECTIONS as u64 - trouble.clients[1].len() as u64;
    let refused = rig.dropped_by(1, DropReason::ConnectionTableFull);
    assert_eq!(other.handoff_rx.get(), made + refused);
    assert_eq!(flooded.connections_ipv4.get(), trouble.clients[0].len() as u64);
}

/// Both full, the ring and the table behind it: who asks is told, of both workers, and what is edited is in force.
#[test]
fn control_answers_while_ring_and_table_are_full() {
    let mut rig = Rig::of(2, Placement::Software, "");
    let mut trouble = Trouble::new(&rig, 1);
    rig.pace = vec![1, 4];
    trouble.rounds(&mut rig, ROUNDS);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let (pieces, wait) =
            rig.ask_during(request::<Status>(&NoArgs {}), &mut |rig| trouble.round(rig));
        let [Reply::Rows(rows)] = &pieces[..] else { panic!("{pieces:?}") };
        let [status]: [StatusReport; 1] = rows.read::<StatusReport>().unwrap().try_into().unwrap();
        assert_eq!(status.workers.len(), 2);
        waits.push(wait);
    }
    let timeouts = director::model::Timeouts { udp: 77, ..Default::default() };
    let edit = Request::Apply(vec![director::api::Command::SetTimeouts(timeouts)]);
    let (pieces, wait) = rig.ask_during(edit, &mut |rig| trouble.round(rig));
    assert_eq!(pieces, [Reply::Applied(vec![Ok(())])]);
    waits.push(wait);
    waits.sort_unstable();
    assert!(waits[waits.len() / 2] < std::time::Duration::from_millis(100), "{waits:?}");

    let (pieces, _) =
        rig.ask_during(request::<Connections>(&NoArgs {}), &mut |rig| trouble.round(rig));
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
    assert!(rows >= CONNECTIONS + trouble.clients[0].len(), "{rows} of both workers");
    let before = rig.dropped(DropReason::HandoffRingFull);
    let (pieces, _) = rig.ask_during(request::<Drops>(&NoArgs {}), &mut |rig| trouble.round(rig));
    let [Reply::Rows(drops)] = &pieces[..] else { panic!("{pieces:?}") };
    let drops: Vec<DropRow> = drops.read().unwrap();
    let name = DropReason::HandoffRingFull.name();
    let told: u64 = drops.iter().filter(|row| row.reason == name).map(|row| row.packets).sum();
    assert!((before..=rig.dropped(DropReason::HandoffRingFull)).contains(&told));
}
