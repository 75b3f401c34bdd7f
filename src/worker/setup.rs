//! Making the workers and the rings between them and the control thread.

use super::Worker;
use super::aged::Aged;
use super::batch::Batches;
use super::chores::Chore;
use super::counters::WorkerCounters;
use super::engine::Engine;
use super::fragments::Fragments;
use super::ledger::Ledger;
use super::load::Loads;
use super::output::{HandOffEnd, Handed, Lane, Output};
use super::steer::Steering;
use super::tables::Tables;
use super::verify::QueueCheck;
use crate::conn::template::Templates;
use crate::conn::{Mode, Steps, Table, TableError};
use crate::limits::{HANDOFF_RING, INJECT_RING, PUNT_RING};
use crate::model::{PortId, Timeouts, WorkerId};
use crate::port::{Frame, Queue};
use crate::scheduler::Cursor;
use crate::service::{Adopter, Publisher, Snapshot, publication};
use crate::stop::Punt;
use crate::time::Instant;
use arrayvec::ArrayVec;
use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use thiserror::Error;

/// Chores one worker may have waiting.
const CHORES: usize = 8;

/// How much of everything there is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub workers: u16,
    pub ports: usize,
    /// Connections per worker.
    pub connections_ipv4: usize,
    pub connections_ipv6: usize,
    pub services: usize,
    pub destinations: usize,
    /// Persistence templates, over all workers.
    pub templates: usize,
}

/// What workers, control and the listings all look at.
#[derive(Clone)]
pub struct Shared {
    /// By worker; the last one is the control thread's own.
    pub ledgers: Vec<Arc<Ledger>>,
    /// By worker.
    pub counters: Vec<Arc<WorkerCounters>>,
    pub templates: Arc<Templates>,
    pub steering: Arc<Steering>,
}

/// A frame that the control thread sends through a worker.
#[derive(Debug)]
pub struct Injection<F> {
    pub port: PortId,
    pub frame: F,
}

/// The control thread's ends of all rings, by worker.
pub struct ControlEnd<F> {
    pub publisher: Publisher,
    pub punts: Vec<Consumer<Punt<F>>>,
    pub injections: Vec<Producer<Injection<F>>>,
    pub chores: Vec<Producer<Chore>>,
    pub done: Vec<Consumer<Chore>>,
}

/// A worker's ends of all rings, before it has tables and queues.
pub struct Seat<F> {
    worker: WorkerId,
    plan: Plan,
    shared: Shared,
    snapshot: Adopter,
    punts: Producer<Punt<F>>,
    injections: Consumer<Injection<F>>,
    chores: Consumer<Chore>,
    done: Producer<Chore>,
    to_workers: Vec<Option<HandOffEnd<F>>>,
    from_workers: Vec<CachePadded<Consumer<Handed<F>>>>,
}

/// Why a worker could not be made.
#[derive(Debug, Error)]
#[error(
    "worker {worker}: {family} connection table: {source}; fewer connections under [tables] need less"
)]
pub struct SetupError {
    worker: u16,
    family: &'static str,
    source: TableError,
}

/// All rings for `plan`, all workers starting from `first`.
pub fn mesh<F>(
    plan: Plan,
    first: Snapshot,
    steering: Steering,
) -> (ControlEnd<F>, Vec<Seat<F>>, Shared) {
    let workers = usize::from(plan.workers);
    let shared = Shared {
        ledgers: (0..=workers).map(|_| Arc::new(Ledger::new(plan.destinations))).collect(),
        counters: (0..workers).map(|_| Arc::new(WorkerCounters::new(plan.ports))).collect(),
        templates: Arc::new(Templates::new(plan.templates)),
        steering: Arc::new(steering),
    };
    let (publisher, adopters) = publication(first, workers);
    let mut control = ControlEnd {
        publisher,
        punts: Vec::new(),
        injections: Vec::new(),
        chores: Vec::new(),
        done: Vec::new(),
    };
    let mut seats: Vec<Seat<F>> = Vec::new();
    for (index, snapshot) in adopters.into_iter().enumerate() {
        let (punts, punts_end) = RingBuffer::new(PUNT_RING);
        let (injections_end, injections) = RingBuffer::new(INJECT_RING);
        let (chores_end, chores) = RingBuffer::new(CHORES);
        let (done, done_end) = RingBuffer::new(CHORES);
        control.punts.push(punts_end);
        control.injections.push(injections_end);
        control.chores.push(chores_end);
        control.done.push(done_end);
        seats.push(Seat {
            worker: WorkerId(index as u16),
            plan,
            shared: shared.clone(),
            snapshot,
            punts,
            injections,
            chores,
            done,
            to_workers: Vec::new(),
            from_workers: Vec::new(),
        });
    }
    for from in 0..workers {
        for to in 0..workers {
            if from == to {
                seats[from].to_workers.push(None);
                continue;
            }
            let (producer, consumer) = RingBuffer::new(HANDOFF_RING);
            seats[from].to_workers.push(Some(producer.into()));
            seats[to].from_workers.push(consumer.into());
        }
    }
    (control, seats, shared)
}

impl<F: Frame> Seat<F> {
    /// Makes the worker, its tables first touched by the calling thread: call it on the worker's own core. `queues`: one
    /// per port, in the order of the ports.
    ///
    /// # Errors
    /// [`SetupError`] if the memory for its tables cannot be had.
    pub fn sit<Q: Queue<Frame = F>>(self, queues: Vec<Q>) -> Result<Worker<Q>, SetupError> {
        let Seat { worker, plan, shared, snapshot, .. } = self;
        let failed = |family| move |source| SetupError { worker: worker.0, family, source };
        let tables = Tables {
            ipv4: Table::new(plan.connections_ipv4).map_err(failed("IPv4"))?,
            ipv6: Table::new(plan.connections_ipv6).map_err(failed("IPv6"))?,
        };
        let checks = (0..plan.ports)
            .map(|port| {
                let rule = shared.steering.rule(PortId(port as u16)).cloned();
                QueueCheck::new(worker.0, rule, Instant::START)
            })
            .collect();
        let counters = Arc::clone(&shared.counters[worker.index()]);
        let cursor = Cursor::starting_at(worker, plan.workers);
        let workers = usize::from(plan.workers);
        let mut engine = Engine {
            worker,
            tables,
            templates: shared.templates,
            loads: Loads::new(&shared.ledgers[..workers], worker.index(), plan.services),
            steering: shared.steering,
            counters: Arc::clone(&counters),
            cursors: vec![cursor; plan.services].into(),
            fragments_ipv4: Fragments::new(),
            fragments_ipv6: Fragments::new(),
            steps: Steps::new(Mode::Normal, Timeouts::default()),
            looks_up: [false; 2],
            is_straight: [false; 2],
            now: Instant::START,
            now_ms: 0,
            until_drop: 0,
            identification: 0,
            random: u32::from(worker.0) + 1,
            aged: Aged::default(),
        };
        engine.adopted(snapshot.current());
        let lanes = queues
            .into_iter()
            .map(|queue| Lane { queue, buffer: ArrayVec::new(), bytes: 0 })
            .collect();
        Ok(Worker {
            snapshot,
            engine,
            output: Output {
                lanes,
                punts: self.punts,
                workers: self.to_workers,
                counters,
                identification: u32::from(worker.0) << 24,
            },
            batches: Batches::new(),
            handed: self.from_workers,
            injections: self.injections,
            chores: self.chores,
            chore: None,
            done: self.done,
            checks,
        })
    }
}
