//! A worker with prepared frames, a clock, and a sink for what it sends.

use super::meter::{Cost, Instructions, median};
use super::testbed::{TestSnapshot, server_address};
use super::traffic::{self, Size, Spread, reply, request};
use super::wire::{Wire, WireQueue, fill};
use director::dpdk::{Eal, Mbuf, Mempool, cycles};
use director::io::{Burst, Frame, Queue};
use director::limits::BURST;
use director::model::{Family, ForwardMethod, Protocol};
use director::packet::{Address, Tuple, ethernet, tcp};
use director::reason::{DropReason, PuntReason};
use director::snapshot::Snapshot;
use director::time::{Duration, Instant};
use director::worker::steering::{Placement, Steering};
use director::worker::{ControlEnd, Shared, Sizing, Worker, connect_rings};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Frames prepared at a time: one and a half receive rings, so that a frame has left the L1 cache when the worker
/// receives it.
pub const BATCH: usize = 64 * BURST;

/// Time between two bursts at 10 million packets per second.
const BURST_TIME: Duration = Duration::from_nanos(100 * BURST as u64);

/// A packet to prepare.
#[derive(Clone, Copy, Debug)]
pub struct Planned<A> {
    pub tuple: Tuple<A>,
    pub tcp_flags: u8,
    pub length: usize,
}

/// Cost of one batch.
pub struct Run {
    /// Cycles per packet, by burst.
    pub bursts: Vec<f64>,
    /// Cycles of all bursts.
    pub cycles: u64,
    pub instructions: Option<u64>,
}

/// A worker, its wires and the state of its flows.
pub struct Stand<A> {
    snapshot: TestSnapshot,
    worker: Worker<WireQueue>,
    wires: [Rc<RefCell<Wire>>; 2],
    mempool: Arc<Mempool>,
    shared: Shared,
    control: ControlEnd<Mbuf>,
    now: Instant,
    step: Duration,
    spare: Vec<Mbuf>,
    planned: Vec<Planned<A>>,
    instructions: Instructions,
    random: fastrand::Rng,
    /// The NAT server of each flow; the index is the flow modulo the length.
    servers: Vec<u16>,
    flows: u32,
}

/// The pool for all setups.
pub fn mempool(eal: &Eal) -> Arc<Mempool> {
    Mempool::new(eal, "bench", (2 * BATCH - 1) as u32, None).expect("memory for 4,095 mbufs")
}

impl<A: Address> Stand<A> {
    /// A worker with room for `capacity` connections.
    pub fn new(snapshot: TestSnapshot, mempool: &Arc<Mempool>, capacity: usize) -> Stand<A> {
        let (ipv4, ipv6) = match A::FAMILY {
            Family::Ipv4 => (capacity, 1),
            Family::Ipv6 => (1, capacity),
        };
        let plan = Sizing {
            workers: 1,
            ports: 2,
            connections_ipv4: ipv4,
            connections_ipv6: ipv6,
            services: snapshot.services as usize,
            destinations: snapshot.all_destinations() as usize,
            templates: 1,
        };
        let steering = Steering::new(1, vec![Placement::Software; 2]);
        let (control, mut seats, shared) =
            connect_rings::<Mbuf>(plan, snapshot.snapshot::<A>(), steering);
        let (clients, clients_wire) = WireQueue::new(mempool, BATCH);
        let (servers, servers_wire) = WireQueue::new(mempool, BATCH);
        let seat = seats.pop().expect("one worker");
        Stand {
            snapshot,
            worker: seat.build(vec![clients, servers]).expect("memory for the tables"),
            wires: [clients_wire, servers_wire],
            mempool: Arc::clone(mempool),
            shared,
            control,
            now: Instant::from_secs(1),
            step: BURST_TIME,
            spare: Vec::with_capacity(BATCH),
            planned: Vec::with_capacity(BATCH),
            instructions: Instructions::new(),
            random: fastrand::Rng::with_seed(1),
            servers: vec![0; capacity.next_power_of_two()],
            flows: 0,
        }
    }

    /// Sets the time between two bursts to `step`.
    pub fn set_step(&mut self, step: Duration) {
        self.step = step;
    }

    /// Connections in the table after the last burst.
    pub fn connections(&self) -> u64 {
        let counters = &self.shared.counters[0];
        counters.connections_ipv4.get() + counters.connections_ipv6.get()
    }

    pub fn shortest(&self) -> usize {
        traffic::shortest(A::FAMILY, self.snapshot.protocol)
    }

    /// Publishes a snapshot, which the worker adopts at its next poll; returns the previous one.
    pub fn publish(&mut self, snapshot: Snapshot) -> Arc<Snapshot> {
        let publisher = &mut self.control.publisher;
        let old = Arc::clone(publisher.current());
        assert!(publisher.publish(snapshot), "the worker has polled since the last one");
        old
    }

    /// Cycles of each of this many polls without packets.
    pub fn idle_polls(&mut self, count: usize) -> Vec<u64> {
        let Stand { worker, now, step, .. } = self;
        let mut each = Vec::with_capacity(count);
        each.extend((0..count).map(|_| {
            *now = *now + *step;
            let start = cycles();
            poll(worker, *now);
            cycles() - start
        }));
        each
    }

    /// A random one of `flows` flows.
    pub fn pick(&mut self, spread: Spread, flows: u32) -> u32 {
        spread.pick(&mut self.random, flows)
    }

    /// Opens flows up to `flows` and returns the cost of each new one; `None` if there were enough.
    pub fn grow(&mut self, flows: u32) -> Option<Cost> {
        let mut runs = Vec::new();
        let length = self.shortest();
        while self.flows < flows {
            let last = flows.min(self.flows + BATCH as u32);
            for number in self.flows..last {
                let tuple = request(number, self.snapshot.services, self.snapshot.protocol);
                self.planned.push(Planned { tuple, tcp_flags: tcp::SYN, length });
            }
            self.flows = last;
            runs.push(self.run());
        }
        // Earlier flows were opened in an emptier table.
        let late = runs.len() - runs.len().min(32);
        (!runs.is_empty()).then(|| cost(&runs[late..]))
    }

    /// Cost of packets of the open flows: from clients or, with NAT, from servers.
    pub fn hit(&mut self, batches: usize, spread: Spread, size: Size, replies: bool) -> Cost {
        let shortest = self.shortest();
        let runs: Vec<Run> = (0..batches)
            .map(|_| {
                for index in 0..BATCH {
                    let number = spread.pick(&mut self.random, self.flows);
                    let tuple = if replies { self.reply(number) } else { self.request(number) };
                    let length = size.length(index, shortest);
                    self.planned.push(Planned { tuple, tcp_flags: tcp::ACK, length });
                }
                self.run()
            })
            .collect();
        // The first batch finds the caches as the previous measurement left them.
        cost(&runs[1..])
    }

    pub fn request(&self, number: u32) -> Tuple<A> {
        request(number, self.snapshot.services, self.snapshot.protocol)
    }

    /// The reply to flow `number` from its server.
    pub fn reply(&self, number: u32) -> Tuple<A> {
        let server = self.servers[number as usize & (self.servers.len() - 1)];
        reply(number, u32::from(server), self.snapshot.protocol)
    }

    pub fn plan(&mut self, packet: Planned<A>) {
        self.planned.push(packet);
    }

    pub fn protocol(&self) -> Protocol {
        self.snapshot.protocol
    }

    /// Prepares the planned packets, polls the worker, and takes back what it sent.
    pub fn run(&mut self) -> Run {
        let planned = std::mem::take(&mut self.planned);
        for packet in planned.iter().rev() {
            let mbuf = self.spare.pop().or_else(|| self.mempool.allocate());
            let mbuf = mbuf.expect("the pool holds two batches");
            let frame = fill(mbuf, &packet.tuple, packet.tcp_flags, packet.length);
            let wire = &self.wires[traffic::ingress(&packet.tuple).index()];
            wire.borrow_mut().to_receive.push(frame);
        }
        let mut run =
            Run { bursts: Vec::with_capacity(BATCH / BURST), cycles: 0, instructions: None };
        let mut handled = 0;
        let Stand { worker, instructions, now, step, .. } = self;
        run.instructions = instructions.count(|| {
            while handled < planned.len() {
                *now = *now + *step;
                let start = cycles();
                let count = poll(worker, *now);
                let taken = cycles() - start;
                run.cycles += taken;
                run.bursts.push(taken as f64 / count as f64);
                handled += count;
            }
        });
        self.take_back(planned.len());
        self.planned = planned;
        self.planned.clear();
        run
    }

    /// Checks that every packet was sent, and learns the servers from NAT packets.
    fn take_back(&mut self, expected: usize) {
        let sent = |wire: &Rc<RefCell<Wire>>| wire.borrow().sent.len();
        let count: usize = self.wires.iter().map(sent).sum();
        assert_eq!(count, expected, "packets sent; {}", self.losses());
        let [clients, servers] = self.wires.clone();
        if self.snapshot.method == ForwardMethod::Masq {
            for frame in &servers.borrow().sent {
                self.learn(&frame.bytes()[ethernet::ETHERNET..]);
            }
        }
        self.spare.append(&mut servers.borrow_mut().sent);
        self.spare.append(&mut clients.borrow_mut().sent);
    }

    fn learn(&mut self, packet: &[u8]) {
        let (source, destination, header) = match A::FAMILY {
            Family::Ipv4 => (12, 16, 20),
            Family::Ipv6 => (8, 24, 40),
        };
        let client = A::read(&packet[source..]).bits()
            - traffic::request::<A>(0, 1, Protocol::Tcp).source.bits();
        let port = u16::from_be_bytes([packet[header], packet[header + 1]]);
        let number = traffic::number(client as u32, port);
        let server = A::read(&packet[destination..]).bits() - server_address::<A>(0).bits();
        let place = number as usize & (self.servers.len() - 1);
        self.servers[place] = server as u16;
    }

    fn losses(&self) -> String {
        let mut text = String::new();
        for queue in &self.shared.counters[0].queues {
            for &reason in DropReason::ALL {
                if queue.drop_of(reason).get() != 0 {
                    text +=
                        &format!("dropped {} as {}, ", queue.drop_of(reason).get(), reason.name());
                }
            }
            for &reason in PuntReason::ALL {
                if queue.punt_of(reason).get() != 0 {
                    text +=
                        &format!("punted {} as {}, ", queue.punt_of(reason).get(), reason.name());
                }
            }
        }
        text
    }
}

/// One poll in a function of its own, so that instruction counters find it by name.
#[inline(never)]
fn poll(worker: &mut Worker<WireQueue>, now: Instant) -> usize {
    worker.poll(now)
}

/// Cost per packet over `runs` batches.
pub fn cost(runs: &[Run]) -> Cost {
    let medians = runs.iter().map(|run| median(&mut run.bursts.clone()));
    let low = medians.fold(f64::INFINITY, f64::min);
    let mut all: Vec<f64> = runs.iter().flat_map(|run| run.bursts.iter().copied()).collect();
    let packets = (all.len() * BURST) as f64;
    let instructions: Option<u64> = runs.iter().map(|run| run.instructions).sum();
    let instructions = instructions.map(|count| count as f64 / packets);
    Cost { cycles: median(&mut all), cycles_low: low, instructions }
}

/// Overhead of the setup: frames received and sent unchanged, and the time stamps.
pub fn idle(mempool: &Arc<Mempool>) -> Cost {
    let (mut queue, wire) = WireQueue::new(mempool, BATCH);
    let frames = (0..BATCH).map(|_| mempool.allocate().expect("the pool holds two batches"));
    wire.borrow_mut().sent.extend(frames);
    let mut instructions = Instructions::new();
    let runs: Vec<Run> = (0..32)
        .map(|_| {
            let Wire { to_receive, sent } = &mut *wire.borrow_mut();
            std::mem::swap(to_receive, sent);
        })
        .map(|()| {
            let mut run = Run { bursts: Vec::new(), cycles: 0, instructions: None };
            run.instructions = instructions.count(|| {
                for _ in 0..BATCH / BURST {
                    let start = cycles();
                    let mut burst: Burst<Mbuf> = Burst::new();
                    queue.receive(&mut burst);
                    queue.transmit(&mut burst);
                    run.bursts.push((cycles() - start) as f64 / BURST as f64);
                }
            });
            run
        })
        .collect();
    cost(&runs)
}
