//! No cache line is written by two workers: compares the memory that two workers on their own threads write.
//!
//! Not compared: connection tables, which have their own mappings; templates and the caches of lblc and lblcr, which
//! workers share under locks that are taken when a connection is created; and the slots of rings, which belong to two
//! threads. The ends of rings are compared.

use crate::io::{MemoryFrame, MemoryQueue};
use crate::packet::toeplitz::SYMMETRIC_KEY;
use crate::reason::Punt;
use crate::snapshot::Snapshot;
use crate::time::Instant;
use crate::worker::handoff::HandoffFrame;
use crate::worker::steering::{Placement, Steering};
use crate::worker::{Injection, Sizing, Worker, WorkerBuilder, connect_rings};
use rtrb::RingBuffer;
use std::sync::{Arc, Barrier};
use std::thread;

/// Size of a cache line, and of a pair of lines, which some processors fetch together.
const LINE: usize = 64;
const PAIR: usize = 128;

/// A range of memory that one worker writes: name, address, length.
type Written = (&'static str, usize, usize);

const PLAN: Sizing = Sizing {
    workers: 2,
    ports: 2,
    connections_ipv4: 64,
    connections_ipv6: 16,
    services: 16,
    destinations: 16,
    templates: 16,
};

/// Different threads write head and tail of a ring, so they must be on different cache lines: the ring has head, tail,
/// and constant fields, each padded to its alignment.
const fn has_ends_apart<T>() -> bool {
    align_of::<RingBuffer<T>>() >= LINE
        && size_of::<RingBuffer<T>>() >= 3 * align_of::<RingBuffer<T>>()
}

const _: () = assert!(has_ends_apart::<HandoffFrame<MemoryFrame>>());
const _: () = assert!(has_ends_apart::<Punt<MemoryFrame>>());
const _: () = assert!(has_ends_apart::<Injection<MemoryFrame>>());

fn written(worker: &Worker<MemoryQueue>) -> Vec<Written> {
    let own: *const Worker<MemoryQueue> = worker;
    let cursors = &worker.engine.cursors;
    let mut parts = vec![
        ("worker", own.addr(), size_of_val(worker)),
        ("cursors", cursors.as_ptr().addr(), size_of_val(&**cursors)),
        ("checks", worker.checks.as_ptr().addr(), size_of_val(&*worker.checks)),
        ("lanes", worker.egress.lanes.as_ptr().addr(), size_of_val(&*worker.egress.lanes)),
        worker.handoff.written(),
        worker.egress.handoff.written(),
    ];
    parts.extend(worker.engine.accounts.conn_counts.written());
    parts.extend(worker.engine.accounts.counters.written());
    parts.extend(worker.snapshot.written());
    parts
}

/// Runs two workers at the same time, each built on its own thread; returns the memory that each writes.
fn two_workers() -> Vec<Vec<Written>> {
    let placement = Placement::rss(SYMMETRIC_KEY.to_vec(), vec![0, 1]);
    let steering = Steering::new(2, vec![placement.clone(), placement]);
    let (_control, seats, _shared) =
        connect_rings::<MemoryFrame>(PLAN, Snapshot::default(), steering);
    let together = Arc::new(Barrier::new(seats.len()));
    let at_work = |seat: WorkerBuilder<MemoryFrame>| {
        let together = Arc::clone(&together);
        thread::spawn(move || {
            let mut worker = seat.build(vec![MemoryQueue::default(); PLAN.ports]).unwrap();
            worker.poll(Instant::from_secs(1));
            let written = written(&worker);
            together.wait();
            written
        })
    };
    let threads: Vec<_> = seats.into_iter().map(at_work).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// The first pair of ranges of two workers that share a block of `unit` bytes.
fn shared(unit: usize, one: &[Written], other: &[Written]) -> Option<(Written, Written)> {
    let blocks = |(_, start, bytes): Written| start / unit..(start + bytes).div_ceil(unit);
    let both = one.iter().flat_map(|mine| other.iter().map(move |theirs| (*mine, *theirs)));
    both.filter(|(mine, theirs)| mine.2 > 0 && theirs.2 > 0).find(|(mine, theirs)| {
        let (mine, theirs) = (blocks(*mine), blocks(*theirs));
        mine.start < theirs.end && theirs.start < mine.end
    })
}

#[test]
fn no_line_is_written_by_two_workers() {
    let workers = two_workers();
    let names: Vec<&str> = workers[0].iter().map(|(name, ..)| *name).collect();
    for part in
        ["destination stats", "counters", "queues", "evidence", "epoch", "cursors", "worker"]
    {
        assert!(names.contains(&part), "{part} is missing");
    }
    assert_eq!(shared(LINE, &workers[0], &workers[1]), None);
}

/// Counters are written by every packet, so they do not even share a pair of lines.
#[test]
fn counters_share_no_pair_of_lines() {
    let workers = two_workers();
    let counters = |worker: &[Written]| -> Vec<Written> {
        let names = ["counters", "queues", "evidence"];
        worker.iter().copied().filter(|(name, ..)| names.contains(name)).collect()
    };
    assert_eq!(shared(PAIR, &counters(&workers[0]), &counters(&workers[1])), None);
}

/// The comparison finds ranges that share a line.
#[test]
fn ranges_on_one_line_are_found() {
    let (mine, theirs) = (("mine", 4096, 60), ("theirs", 4156, 4));
    assert_eq!(shared(LINE, &[mine], &[theirs]), Some((mine, theirs)));
    let next = ("theirs", 4160, 8);
    assert_eq!(shared(LINE, &[mine], &[next]), None);
    assert!(shared(PAIR, &[mine], &[next]).is_some());
    assert_eq!(shared(LINE, &[mine], &[("empty", 4096, 0)]), None);
}
