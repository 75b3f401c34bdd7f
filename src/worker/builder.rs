//! Making the workers and the rings between them and the control thread.

use crate::conn::template::Templates;
use crate::conn::{Mode, Steps, Table, TableError};
use crate::io::{Frame, Queue};
use crate::limits::{HANDOFF_RING, INJECT_RING, PUNT_RING};
use crate::model::{PortId, Timeouts, WorkerId};
use crate::reason::Punt;
use crate::scheduler::Cursor;
use crate::snapshot::{Adopter, Publisher, Snapshot, publication};
use crate::time::Instant;
use crate::worker::Worker;
use crate::worker::batch::Batches;
use crate::worker::egress::{Egress, HandOffEnd, HandoffFrame, Lane};
use crate::worker::engine::Engine;
use crate::worker::full_path::fragments::FragmentTable;
use crate::worker::stats::conn_counts::ConnCounts;
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::stats::destination_stats::DestinationStatsTable;
use crate::worker::steering::Steering;
use crate::worker::tables::Tables;
use crate::worker::upkeep::drop_entry::IdleSampler;
use crate::worker::upkeep::jobs::TableJob;
use crate::worker::upkeep::rss_check::QueueCheck;
use arrayvec::ArrayVec;
use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use thiserror::Error;

/// Chores one worker may have held.
const JOBS: usize = 8;

/// How much of everything there is to be.
#[derive(Clone, Copy, Debug)]
pub struct Sizing {
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
    pub destination_stats: Vec<Arc<DestinationStatsTable>>,
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
    pub jobs: Vec<Producer<TableJob>>,
    pub done: Vec<Consumer<TableJob>>,
}

/// A worker's ends of all rings, before it has tables and queues.
pub struct WorkerBuilder<F> {
    worker: WorkerId,
    sizing: Sizing,
    shared: Shared,
    snapshot: Adopter,
    punts: Producer<Punt<F>>,
    injections: Consumer<Injection<F>>,
    jobs: Consumer<TableJob>,
    done: Producer<TableJob>,
    to_workers: Vec<Option<HandOffEnd<F>>>,
    from_workers: Vec<CachePadded<Consumer<HandoffFrame<F>>>>,
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

/// All rings for `sizing`, all workers starting from `first`.
pub fn connect_rings<F>(
    sizing: Sizing,
    first: Snapshot,
    steering: Steering,
) -> (ControlEnd<F>, Vec<WorkerBuilder<F>>, Shared) {
    let workers = usize::from(sizing.workers);
    let shared = Shared {
        destination_stats: (0..=workers)
            .map(|_| Arc::new(DestinationStatsTable::new(sizing.destinations)))
            .collect(),
        counters: (0..workers).map(|_| Arc::new(WorkerCounters::new(sizing.ports))).collect(),
        templates: Arc::new(Templates::new(sizing.templates)),
        steering: Arc::new(steering),
    };
    let (publisher, adopters) = publication(first, workers);
    let mut control = ControlEnd {
        publisher,
        punts: Vec::new(),
        injections: Vec::new(),
        jobs: Vec::new(),
        done: Vec::new(),
    };
    let mut seats: Vec<WorkerBuilder<F>> = Vec::new();
    for (index, snapshot) in adopters.into_iter().enumerate() {
        let (punts, punts_end) = RingBuffer::new(PUNT_RING);
        let (injections_end, injections) = RingBuffer::new(INJECT_RING);
        let (chores_end, jobs) = RingBuffer::new(JOBS);
        let (done, done_end) = RingBuffer::new(JOBS);
        control.punts.push(punts_end);
        control.injections.push(injections_end);
        control.jobs.push(chores_end);
        control.done.push(done_end);
        seats.push(WorkerBuilder {
            worker: WorkerId(index as u16),
            sizing,
            shared: shared.clone(),
            snapshot,
            punts,
            injections,
            jobs,
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

impl<F: Frame> WorkerBuilder<F> {
    /// Makes the worker, its tables first touched by the calling thread: call it on the worker's own core. `queues`: one
    /// per port, in the order of the ports.
    ///
    /// # Errors
    /// [`SetupError`] if the entry for its tables cannot be had.
    pub fn build<Q: Queue<Frame = F>>(self, queues: Vec<Q>) -> Result<Worker<Q>, SetupError> {
        let WorkerBuilder { worker, sizing, shared, snapshot, .. } = self;
        let failed = |family| move |source| SetupError { worker: worker.0, family, source };
        let tables = Tables {
            ipv4: Table::new(sizing.connections_ipv4).map_err(failed("IPv4"))?,
            ipv6: Table::new(sizing.connections_ipv6).map_err(failed("IPv6"))?,
        };
        let checks = (0..sizing.ports)
            .map(|port| {
                let rule = shared.steering.rule(PortId(port as u16)).cloned();
                QueueCheck::new(worker.0, rule, Instant::START)
            })
            .collect();
        let counters = Arc::clone(&shared.counters[worker.index()]);
        let cursor = Cursor::starting_at(worker, sizing.workers);
        let workers = usize::from(sizing.workers);
        let mut engine = Engine {
            worker,
            tables,
            templates: shared.templates,
            conn_counts: ConnCounts::new(
                &shared.destination_stats[..workers],
                worker.index(),
                sizing.services,
            ),
            steering: shared.steering,
            counters: Arc::clone(&counters),
            cursors: vec![cursor; sizing.services].into(),
            fragments_ipv4: FragmentTable::new(),
            fragments_ipv6: FragmentTable::new(),
            steps: Steps::new(Mode::Normal, Timeouts::default()),
            looks_up: [false; 2],
            fast_path_on: [false; 2],
            now: Instant::START,
            now_ms: 0,
            until_drop: 0,
            identification: 0,
            random: u32::from(worker.0) + 1,
            idle_sampler: IdleSampler::default(),
        };
        engine.adopt_snapshot(snapshot.current());
        let lanes = queues
            .into_iter()
            .map(|queue| Lane { queue, buffer: ArrayVec::new(), bytes: 0 })
            .collect();
        Ok(Worker {
            snapshot,
            engine,
            egress: Egress {
                lanes,
                punts: self.punts,
                workers: self.to_workers,
                counters,
                identification: u32::from(worker.0) << 24,
            },
            batches: Batches::new(),
            handoff_rings: self.from_workers,
            injections: self.injections,
            jobs: self.jobs,
            job: None,
            done: self.done,
            checks,
        })
    }
}
