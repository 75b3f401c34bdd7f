//! The workers of one director over memory ports, with a clock that the test moves.

use super::testbed::{LAN, TestSnapshot, WAN};
use director::conn::state;
use director::io::{Frame, MemoryFrame, MemoryQueue, MemoryWire};
use director::model::{DestinationId, Family, InterfaceId, PortId, Protocol};
use director::reason::{DropReason, Punt, PuntDetail, PuntReason};
use director::time::{Duration, Instant};
use director::worker::steering::{Placement, Steering};
use director::worker::{
    ConnectionPiece, ControlEnd, HostRings, Shared, Sizing, TableJob, Worker, connect_host,
    connect_rings,
};
use director::worker::{Injection, RawConnection};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

/// Number of polls after which a received frame has no further effects.
const SETTLE: usize = 8;
const DESTINATIONS: usize = 512;

/// Frames sent, punted and dropped since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub sent: Vec<(PortId, Vec<u8>)>,
    pub punts: Vec<Punted>,
    pub drops: Vec<DropReason>,
}

/// A frame handed to the control thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Punted {
    pub reason: PuntReason,
    pub mtu: u16,
    pub next_hop: Option<(InterfaceId, IpAddr)>,
    pub original_destination: Option<(IpAddr, u16)>,
    pub destination: Option<DestinationId>,
    pub frame: Vec<u8>,
}

impl Outcome {
    /// The frame sent, if nothing else happened.
    #[track_caller]
    pub fn frame(self) -> (PortId, Vec<u8>) {
        assert!(self.punts.is_empty() && self.drops.is_empty(), "not just sent: {self:?}");
        let [frame] = <[_; 1]>::try_from(self.sent).expect("one frame");
        frame
    }

    /// The punt, if nothing else happened.
    #[track_caller]
    pub fn punt(self) -> Punted {
        assert!(self.sent.is_empty() && self.drops.is_empty(), "not just punted: {self:?}");
        let [punt] = <[_; 1]>::try_from(self.punts).expect("one punt");
        punt
    }

    /// The drop reason, if nothing else happened.
    #[track_caller]
    pub fn drop(self) -> DropReason {
        assert!(self.sent.is_empty() && self.punts.is_empty(), "not just dropped: {self:?}");
        let [reason] = <[_; 1]>::try_from(self.drops).expect("one drop");
        reason
    }

    pub fn is_nothing(&self) -> bool {
        self.sent.is_empty() && self.punts.is_empty() && self.drops.is_empty()
    }
}

/// Frames over all workers and ports since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub received: u64,
    pub sent: u64,
    pub dropped: u64,
    pub punted: u64,
    pub handoff_tx: u64,
    pub handoff_rx: u64,
    pub connections: u64,
}

/// The workers, rings and memory ports of one director, and its simulated clock.
pub struct TestDirector {
    pub snapshot: TestSnapshot,
    pub now: Instant,
    pub control: ControlEnd<MemoryFrame>,
    pub shared: Shared,
    pub workers: Vec<Worker<MemoryQueue>>,
    /// By worker: the ends of the kernel-port thread.
    pub host: Vec<HostRings<MemoryFrame>>,
    /// Indexed by worker, then by port.
    pub wires: Vec<[Rc<RefCell<MemoryWire>>; 2]>,
    drops: Vec<u64>,
}

/// Number of workers, table sizes, and how frames are placed on workers.
#[derive(Clone, Debug)]
pub struct Shape {
    pub workers: u16,
    pub connections: usize,
    pub templates: usize,
    pub placement: Placement,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { workers: 1, connections: 4096, templates: 1024, placement: Placement::Software }
    }
}

impl TestDirector {
    /// One worker with default sizes.
    pub fn new(snapshot: TestSnapshot) -> Self {
        Self::shaped(snapshot, Shape::default())
    }

    pub fn shaped(snapshot: TestSnapshot, shape: Shape) -> Self {
        let placements = [shape.placement.clone(), shape.placement.clone()];
        Self::placed(snapshot, shape, placements)
    }

    /// As [`Self::shaped`], with one placement for each port.
    pub fn placed(snapshot: TestSnapshot, shape: Shape, placements: [Placement; 2]) -> Self {
        let plan = Sizing {
            workers: shape.workers,
            ports: 2,
            connections_ipv4: shape.connections,
            connections_ipv6: shape.connections,
            services: 256,
            destinations: DESTINATIONS,
            templates: shape.templates,
        };
        let steering = Steering::new(shape.workers, placements.into());
        let (control, mut seats, shared) = connect_rings(plan, snapshot.snapshot(), steering);
        let host = connect_host(&mut seats);
        let mut wires = Vec::new();
        let workers = seats
            .into_iter()
            .map(|seat| {
                let queues = [MemoryQueue::default(), MemoryQueue::default()];
                wires.push([0, 1].map(|port: usize| Rc::clone(&queues[port].wire)));
                seat.build(queues.into()).unwrap()
            })
            .collect();
        let drops = vec![0; DropReason::COUNT];
        let now = Instant::from_secs(100);
        TestDirector { snapshot, now, control, host, shared, workers, wires, drops }
    }

    /// Changes the desired state and publishes it; returns when every worker has adopted the snapshot.
    pub fn change<T>(&mut self, edit: impl FnOnce(&mut TestSnapshot) -> T) -> T {
        let outcome = edit(&mut self.snapshot);
        assert!(
            self.control.publisher.publish(self.snapshot.snapshot()),
            "an older snapshot is not adopted yet"
        );
        self.poll();
        assert!(self.control.publisher.is_settled());
        outcome
    }

    /// A frame arrives at the queue of the only worker.
    pub fn input(&mut self, port: PortId, bytes: &[u8]) -> Outcome {
        self.input_at(0, port, MemoryFrame::new(bytes))
    }

    /// A frame arrives at the queue of this worker.
    pub fn input_at(&mut self, worker: usize, port: PortId, frame: MemoryFrame) -> Outcome {
        self.wires[worker][port.index()].borrow_mut().to_receive.push_back(frame);
        self.settle()
    }

    /// What the host's own stack has got since the last call, with the interface that received each.
    pub fn take_host_packets(&mut self) -> Vec<(InterfaceId, Vec<u8>)> {
        let rings = self.host.iter_mut();
        let packets = rings.flat_map(|ring| std::iter::from_fn(|| ring.from_worker.pop().ok()));
        packets.map(|(interface, frame)| (interface, frame.bytes().to_vec())).collect()
    }

    /// A client's frame arrives on the WAN.
    pub fn client(&mut self, bytes: &[u8]) -> Outcome {
        self.input(WAN, bytes)
    }

    /// A server's frame arrives on the LAN.
    pub fn server(&mut self, bytes: &[u8]) -> Outcome {
        self.input(LAN, bytes)
    }

    /// Polls every worker once.
    pub fn poll(&mut self) {
        for worker in &mut self.workers {
            worker.poll(self.now);
        }
    }

    /// Polls every worker until nothing more happens; returns everything that came out.
    pub fn settle(&mut self) -> Outcome {
        for _ in 0..SETTLE {
            self.poll();
        }
        self.gather()
    }

    /// Advances the clock in steps and polls after each.
    pub fn pass(&mut self, time: Duration) -> Outcome {
        const STEP: Duration = Duration::from_millis(500);
        let end = self.now + time;
        while self.now < end {
            let left = end.since(self.now);
            self.now = self.now + left.min(STEP);
            self.poll();
        }
        self.settle()
    }

    pub fn pass_s(&mut self, seconds: u64) -> Outcome {
        self.pass(Duration::from_secs(seconds))
    }

    /// Everything that came out since the last call.
    pub fn gather(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        for wires in &self.wires {
            for (port, wire) in wires.iter().enumerate() {
                let sent = std::mem::take(&mut wire.borrow_mut().sent);
                let bytes = |frame: MemoryFrame| director::io::Frame::bytes(&frame).to_vec();
                let port = PortId(port as u16);
                outcome.sent.extend(sent.into_iter().map(|frame| (port, bytes(frame))));
            }
        }
        for punts in &mut self.control.punts {
            for Punt { reason, detail, frame, .. } in punts.drain() {
                let (mtu, next_hop, original_destination) = match detail {
                    PuntDetail::None | PuntDetail::Destination(_) => (0, None, None),
                    PuntDetail::Mtu(mtu) => (mtu, None, None),
                    PuntDetail::NextHop { next_hop, original_destination } => {
                        (0, Some(next_hop), original_destination)
                    }
                };
                let frame = director::io::Frame::bytes(&frame).to_vec();
                let destination = match detail {
                    PuntDetail::Destination(id) => Some(id),
                    _ => None,
                };
                outcome.punts.push(Punted {
                    reason,
                    mtu,
                    next_hop,
                    original_destination,
                    destination,
                    frame,
                });
            }
        }
        for (index, &reason) in DropReason::ALL.iter().enumerate() {
            let total = self.dropped(reason);
            let new = total - self.drops[index];
            outcome.drops.extend((0..new).map(|_| reason));
            self.drops[index] = total;
        }
        outcome
    }

    /// Drops for one reason over all workers and ports.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        let counters = self.shared.counters.iter();
        let queues = counters.flat_map(|counters| counters.queues.iter());
        queues.map(|queue| queue.drop_of(reason).get()).sum()
    }

    /// Punts for one reason over all workers and ports.
    pub fn punted(&self, reason: PuntReason) -> u64 {
        let counters = self.shared.counters.iter();
        let queues = counters.flat_map(|counters| counters.queues.iter());
        queues.map(|queue| queue.punt_of(reason).get()).sum()
    }

    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for worker in &self.shared.counters {
            totals.handoff_tx += worker.handoff_tx.get();
            totals.handoff_rx += worker.handoff_rx.get();
            totals.connections += worker.connections_ipv4.get() + worker.connections_ipv6.get();
            for queue in &worker.queues {
                totals.received += queue.rx_packets.get();
                totals.sent += queue.tx_packets.get();
                totals.dropped +=
                    DropReason::ALL.iter().map(|&reason| queue.drop_of(reason).get()).sum::<u64>();
                totals.punted +=
                    PuntReason::ALL.iter().map(|&reason| queue.punt_of(reason).get()).sum::<u64>();
            }
        }
        totals
    }

    /// ActiveConn, InActConn and PersistConn of a destination over all workers.
    pub fn load(&self, destination: DestinationId) -> (u32, u32, u32) {
        self.shared
            .destination_stats
            .iter()
            .filter_map(|stats_table| stats_table.get(destination))
            .fold((0, 0, 0), |(active, inactive, persistent): (u32, u32, u32), line| {
                (
                    active.wrapping_add(line.active()),
                    inactive.wrapping_add(line.inactive()),
                    persistent.wrapping_add(line.persistent()),
                )
            })
    }

    /// Counters of a destination over all workers.
    pub fn counters(&self, destination: DestinationId) -> director::model::Counters {
        let mut sum = director::model::Counters::default();
        for line in self
            .shared
            .destination_stats
            .iter()
            .filter_map(|stats_table| stats_table.get(destination))
        {
            let counters = line.counters();
            sum.connections += counters.connections;
            sum.in_packets += counters.in_packets;
            sum.out_packets += counters.out_packets;
            sum.in_bytes += counters.in_bytes;
            sum.out_bytes += counters.out_bytes;
        }
        sum
    }

    /// All connections of a family, by worker.
    pub fn connections(&mut self, family: Family) -> Vec<RawConnection> {
        let mut rows = Vec::new();
        for worker in 0..self.workers.len() {
            let mut cursor = 0;
            loop {
                let piece = ConnectionPiece {
                    family,
                    cursor,
                    rows: Vec::with_capacity(64),
                    is_last: false,
                };
                let TableJob::List(piece) = self.job(worker, TableJob::List(piece)) else {
                    unreachable!("a job returns as the same kind")
                };
                rows.extend(piece.rows);
                if piece.is_last {
                    break;
                }
                cursor = piece.cursor;
            }
        }
        rows
    }

    /// State and remaining time of the only connection, in whole seconds as ipvsadm prints it.
    #[track_caller]
    pub fn state(&mut self) -> (&'static str, u64) {
        let mut rows = self.connections(Family::Ipv4);
        rows.extend(self.connections(Family::Ipv6));
        let [row] = <[_; 1]>::try_from(rows).expect("one connection");
        let protocol = Protocol::from_number(row.protocol).unwrap();
        (state::name(protocol, row.state), row.remaining_ms.div_ceil(1000))
    }

    /// Runs a job on a worker until it is done.
    pub fn job(&mut self, worker: usize, job: TableJob) -> TableJob {
        self.control.jobs[worker].push(job).unwrap();
        for _ in 0..100_000 {
            self.workers[worker].poll(self.now);
            if let Ok(done) = self.control.done[worker].pop() {
                return done;
            }
        }
        panic!("the job does not end");
    }

    /// Sends a frame of the control thread through a worker.
    pub fn inject(&mut self, worker: usize, port: PortId, bytes: &[u8]) {
        let frame = MemoryFrame::new(bytes);
        let injection = Injection { port, frame, is_own_packet: false };
        self.control.injections[worker].push(injection).unwrap();
    }

    /// Sends a packet that the control thread has made through the only worker.
    pub fn answer(&mut self, bytes: &[u8]) -> Outcome {
        let frame = MemoryFrame::new(bytes);
        let injection = Injection { port: WAN, frame, is_own_packet: true };
        self.control.injections[0].push(injection).unwrap();
        self.settle()
    }
}
