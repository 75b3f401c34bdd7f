//! Creates the workers, and the rings between them and the control thread.

use crate::conn::template::Templates;
use crate::conn::{Mode, Steps, Table, TableError};
use crate::io::{Frame, Queue};
use crate::limits::INJECT_RING;
use crate::model::{PortId, Timeouts, WorkerId};
use crate::scheduler::Cursor;
use crate::snapshot::{Adopter, Publisher, Snapshot, publication};
use crate::time::Instant;
use crate::worker::Worker;
use crate::worker::accounts::Accounts;
use crate::worker::batch::Batches;
use crate::worker::defence::Defence;
use crate::worker::egress::{Egress, Lane};
use crate::worker::engine::{Clock, Engine, Policy};
use crate::worker::fragment_table::FragmentTables;
use crate::worker::handoff::{self, HandoffRx, HandoffTx, Owners};
use crate::worker::host_rings::{HostReceiver, HostRings, HostSender, host_rings};
use crate::worker::method::Encapsulator;
use crate::worker::punt::{PuntReceiver, PuntSender, punt_rings};
use crate::worker::stats::conn_counts::ConnCounts;
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::stats::destination_stats::DestinationStatsTable;
use crate::worker::steering::Steering;
use crate::worker::tables::Tables;
use crate::worker::upkeep::jobs::{JobQueue, TableJob};
use crate::worker::upkeep::rss_check::QueueCheck;
use arrayvec::ArrayVec;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use thiserror::Error;

/// Maximum jobs that wait for one worker.
const JOBS: usize = 8;

/// Sizes of everything that is created.
#[derive(Clone, Copy, Debug)]
pub struct Sizing {
    pub workers: u16,
    pub ports: usize,
    /// Maximum connections of each worker.
    pub connections_ipv4: usize,
    pub connections_ipv6: usize,
    pub services: usize,
    pub destinations: usize,
    /// Maximum persistence templates of all workers together.
    pub templates: usize,
}

/// State that workers, control and listings share.
#[derive(Clone)]
pub struct Shared {
    /// Indexed by worker; the last one belongs to the control thread.
    pub destination_stats: Vec<Arc<DestinationStatsTable>>,
    /// Indexed by worker.
    pub counters: Vec<Arc<WorkerCounters>>,
    pub templates: Arc<Templates>,
    pub steering: Arc<Steering>,
}

/// A frame that the control thread sends through a worker.
#[derive(Debug)]
pub struct Injection<F> {
    pub port: PortId,
    pub frame: F,
    /// The director has made the IP packet: if it answers a packet of a connection, it is counted there.
    pub is_own_packet: bool,
}

/// The control thread's ends of all rings, indexed by worker.
pub struct ControlEnd<F> {
    pub publisher: Publisher,
    pub punts: Vec<PuntReceiver<F>>,
    pub injections: Vec<Producer<Injection<F>>>,
    pub jobs: Vec<Producer<TableJob>>,
    pub done: Vec<Consumer<TableJob>>,
}

/// A worker's ends of all rings, before its tables and queues exist.
pub struct WorkerBuilder<F> {
    worker: WorkerId,
    sizing: Sizing,
    shared: Shared,
    snapshot: Adopter,
    punts: PuntSender<F>,
    injections: Consumer<Injection<F>>,
    jobs: Consumer<TableJob>,
    done: Producer<TableJob>,
    handoff: (HandoffTx<F>, HandoffRx<F>),
    /// `None` without a kernel interface.
    host: Option<(HostSender<F>, HostReceiver<F>)>,
}

/// Why a worker could not be created.
#[derive(Debug, Error)]
#[error(
    "worker {worker}: {family} connection table: {source}; lower tables.connections or tables.connections_ipv6"
)]
pub struct SetupError {
    worker: u16,
    family: &'static str,
    source: TableError,
}

/// Creates all rings for `sizing`; all workers start with the snapshot `first`.
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
    let mut builders: Vec<WorkerBuilder<F>> = Vec::new();
    let handoffs = handoff::connect(workers);
    for (index, (snapshot, handoff)) in adopters.into_iter().zip(handoffs).enumerate() {
        let (punts, punts_end) = punt_rings();
        let (injections_end, injections) = RingBuffer::new(INJECT_RING);
        let (jobs_end, jobs) = RingBuffer::new(JOBS);
        let (done, done_end) = RingBuffer::new(JOBS);
        control.punts.push(punts_end);
        control.injections.push(injections_end);
        control.jobs.push(jobs_end);
        control.done.push(done_end);
        builders.push(WorkerBuilder {
            worker: WorkerId(index as u16),
            sizing,
            shared: shared.clone(),
            snapshot,
            punts,
            injections,
            jobs,
            done,
            handoff,
            host: None,
        });
    }
    (control, builders, shared)
}

/// Creates the rings between the workers and the kernel-port thread. Only a director with kernel interfaces has them.
pub fn connect_host<F>(builders: &mut [WorkerBuilder<F>]) -> Vec<HostRings<F>> {
    let connect = |builder: &mut WorkerBuilder<F>| {
        let (sender, receiver, rings) = host_rings();
        builder.host = Some((sender, receiver));
        rings
    };
    builders.iter_mut().map(connect).collect()
}

impl<F: Frame> WorkerBuilder<F> {
    /// Builds the worker. The calling thread writes the tables first, so call it on the worker's own core. `queues`:
    /// one per port, in the order of the ports.
    ///
    /// # Errors
    /// [`SetupError`] if there is not enough memory for the tables.
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
            clock: Clock { now: Instant::START, now_ms: 0 },
            policy: Policy {
                steps: Steps::new(Mode::Normal, Timeouts::default()),
                looks_up: [false; 2],
                fast_path_on: [false; 2],
            },
            tables,
            accounts: Accounts {
                conn_counts: ConnCounts::new(
                    &shared.destination_stats[..workers],
                    worker.index(),
                    sizing.services,
                ),
                templates: shared.templates,
                counters: Arc::clone(&counters),
            },
            owners: Owners { me: worker, steering: Arc::clone(&shared.steering) },
            encapsulator: Encapsulator { steering: shared.steering, identification: 0 },
            cursors: vec![cursor; sizing.services].into(),
            fragments: FragmentTables::new(),
            defence: Defence::new(u32::from(worker.0) + 1),
        };
        engine.adopt_snapshot(snapshot.current());
        let (handoff_tx, handoff_rx) = self.handoff;
        let (host, from_host) = self.host.unzip();
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
                host,
                handoff: handoff_tx,
                counters,
                identification: u32::from(worker.0) << 24,
            },
            batches: Batches::new(),
            handoff: handoff_rx,
            injections: self.injections,
            from_host,
            jobs: JobQueue::new(self.jobs, self.done),
            checks,
        })
    }
}
