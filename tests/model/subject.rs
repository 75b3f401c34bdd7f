//! The director under test: the real desired state, IP host and workers, over memory ports and a clock moved by hand.

use crate::observation::{ConnectionView, DestinationView, Listing, Outcome, ServiceView, Why};
use crate::site::{self, TICK_MS};
use crate::wire;
use director::api::{Command, RefusalCode};
use director::conn::state;
use director::conn::template::{SweepCursor, Template};
use director::control::desired::{Capacity, Desired, Topology};
use director::control::destination_totals::DestinationTotals;
use director::host::{IpHost, Limit, Outbox, Settings};
use director::io::{MemoryFrame, MemoryQueue, MemoryWire};
use director::model::{
    DestinationId, Family, Interface, InterfaceId, Origin, PortId, Protocol, Sysctls,
};
use director::rate::Rate;
use director::reason::{DropReason, PuntReason};
use director::route::Routes;
use director::snapshot::{Mark, Marks};
use director::time::Instant;
use director::worker::steering::{Placement, Steering};
use director::worker::{
    ConnectionPiece, ControlEnd, Injection, Shared, Sizing, TableJob, Worker, connect_rings,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

const PORTS: usize = 2;

/// A frame sent, and its port.
type Left = (PortId, Vec<u8>);

/// Drop reasons that the reference also has.
const TOLD_APART: [(DropReason, Why); 3] = [
    (DropReason::DestinationUnavailable, Why::DestinationUnavailable),
    (DropReason::DropPacket, Why::DropPacket),
    (DropReason::Martian, Why::Martian),
];

/// Desired state, host and workers, with their rings and memory ports.
pub struct Subject {
    desired: Desired,
    slow: IpHost<MemoryFrame>,
    end: ControlEnd<MemoryFrame>,
    shared: Shared,
    workers: Vec<Worker<MemoryQueue>>,
    /// Indexed by worker and port.
    wires: Vec<Vec<Rc<RefCell<MemoryWire>>>>,
    now: Instant,
    published: u64,
    removals: u64,
}

/// Frames sent by the host.
#[derive(Default)]
struct Answers {
    frames: Vec<(InterfaceId, Vec<u8>)>,
    /// Those whose IP packet the director has made.
    own: Vec<MemoryFrame>,
}

impl Outbox<MemoryFrame> for Answers {
    fn allocate(&mut self, _: InterfaceId) -> Option<MemoryFrame> {
        Some(MemoryFrame::new(&[]))
    }

    fn send(&mut self, interface: InterfaceId, frame: MemoryFrame) {
        self.frames.push((interface, director::io::Frame::bytes(&frame).to_vec()));
    }

    fn send_own_packet(&mut self, interface: InterfaceId, frame: MemoryFrame) {
        self.own.push(MemoryFrame::new(director::io::Frame::bytes(&frame)));
        self.send(interface, frame);
    }
}

fn interfaces() -> Vec<Interface> {
    let interface = |port: PortId| Interface {
        id: site::on(port),
        name: format!("port{}", port.0),
        port,
        mac: site::mac(port),
        virtual_macs: Vec::new(),
        has_kernel: false,
        mtu: site::MTU,
        addresses: site::OWN[port.index()]
            .map(|(address, length)| (site::ip(address), length))
            .to_vec(),
    };
    [site::CLIENT_SIDE, site::SERVER_SIDE].map(interface).to_vec()
}

fn marks() -> Marks {
    let mark = |protocol: Protocol| Mark {
        interface: None,
        protocol: Some(protocol.number()),
        source: None,
        destination: None,
        source_ports: 0..=u16::MAX,
        destination_ports: site::MARKED_PORT..=site::MARKED_PORT,
        mark: site::MARK,
    };
    Marks::build(vec![mark(Protocol::Tcp), mark(Protocol::Udp)])
}

fn settings() -> Settings {
    let generous = Limit { overall: Rate::new(u32::MAX, 1_000_000), per_host: None };
    Settings {
        errors_v4: generous,
        errors_v6: generous,
        echo: generous,
        others: generous,
        announcements: 0,
        ..Settings::default()
    }
}

impl Subject {
    pub fn new(workers: u16) -> Self {
        let interfaces = interfaces();
        let routes = Arc::new(Routes::build(interfaces.iter().flat_map(|interface| {
            let networks = interface.addresses.clone().into_iter();
            networks.map(|network| (network, interface.id, None, 0))
        })));
        let vips: BTreeSet<_> = site::VIPS.map(site::ip).into();
        let plan = Sizing {
            workers,
            ports: PORTS,
            connections_ipv4: 4096,
            connections_ipv6: 4096,
            services: 64,
            destinations: 2048,
            templates: 4096,
        };
        let steering = Steering::new(workers, vec![Placement::Software; PORTS]);
        let (end, seats, shared) = connect_rings(plan, Default::default(), steering);
        let site = Topology {
            interfaces: interfaces.clone(),
            vips: vips.clone(),
            vip_networks: Vec::new(),
        };
        let capacity = Capacity { services: plan.services, destinations: plan.destinations };
        let mut desired =
            Desired::new(capacity, site, DestinationTotals::new(shared.destination_stats.clone()));
        desired.set_routes(Arc::clone(&routes));
        desired.set_marks(marks());
        for (address, mac) in site::neighbours() {
            desired.neighbour_changed(site::on(site::port_towards(address)), address, Some(mac));
        }
        let mut slow = IpHost::new(interfaces, routes, settings());
        let mut answers = Answers::default();
        let known = site::neighbours()
            .map(|(address, mac)| ((site::on(site::port_towards(address)), address), mac))
            .collect();
        slow.set_static_neighbours(&known, Instant::START, &mut answers);
        let added = vips.into_iter().map(|address| (address, true));
        slow.change_virtual_addresses(added, Instant::START, &mut answers);
        let mut wires = Vec::new();
        let mut seated = Vec::new();
        for seat in seats {
            let queues: Vec<_> = (0..PORTS).map(|_| MemoryQueue::default()).collect();
            wires.push(queues.iter().map(|queue| Rc::clone(&queue.wire)).collect());
            seated.push(seat.build(queues).expect("memory for small tables"));
        }
        let mut subject = Subject {
            desired,
            slow,
            end,
            shared,
            workers: seated,
            wires,
            now: Instant::START,
            published: 0,
            removals: 0,
        };
        subject.publish();
        subject
    }

    pub fn apply(&mut self, command: &Command) -> Result<(), RefusalCode> {
        let done =
            self.desired.apply(command, Origin::Operator, self.now).map_err(|refusal| refusal.code);
        self.publish();
        done
    }

    pub fn set_sysctl(&mut self, name: &str, value: i32) {
        let mut sysctls: Sysctls = *self.desired.sysctls();
        sysctls.set(name, &value.to_string()).expect("a valid setting");
        self.desired.set_sysctls(sysctls);
        self.desired.defend(u64::MAX);
        self.publish();
    }

    /// Delivers one frame to a worker's queue and returns what happened to it.
    pub fn receive(&mut self, by: PortId, frame: &[u8], worker: usize) -> Outcome {
        let wire = &self.wires[worker][by.index()];
        wire.borrow_mut().to_receive.push_back(MemoryFrame::new(frame));
        let before = self.drops();
        self.poll();
        let mut punted = None;
        let mut answers = Answers::default();
        let mut punted_by = 0;
        for (worker, ring) in self.end.punts.iter_mut().enumerate() {
            for punt in ring.drain() {
                punted_by = worker;
                assert!(punted.is_none(), "one packet, one punt");
                // Only the host detects that an error belongs to no tunnel of this director.
                punted = Some(match punt.reason {
                    PuntReason::TunnelIcmp => PuntReason::LocalOther,
                    reason => reason,
                });
                self.slow.input(punt, self.now, &mut answers);
            }
        }
        let sent = self.take_sent();
        for frame in std::mem::take(&mut answers.own) {
            let injection = Injection { port: by, frame, is_own_packet: true };
            assert!(self.end.injections[punted_by].push(injection).is_ok(), "there is room");
            self.poll();
            assert_eq!(self.take_sent().len(), 1, "an answer goes out");
        }
        match (punted, &sent[..]) {
            (None, []) => Outcome::Dropped(self.why(&before)),
            (None, [(by, frame)]) => wire::sent(*by, frame),
            (Some(because), []) => {
                let answer = answers.frames.first().map(|(_, frame)| wire::answer(frame));
                assert!(answers.frames.len() <= 1, "one packet, one answer");
                Outcome::Host { because, answer }
            }
            _ => panic!("a packet had more than one outcome"),
        }
    }

    /// Frames dropped, by the reasons that are distinguished.
    fn drops(&self) -> [u64; 3] {
        TOLD_APART.map(|(reason, _)| {
            let queues = self.shared.counters.iter().flat_map(|worker| &worker.queues[..]);
            queues.map(|queue| queue.drop_of(reason).get()).sum()
        })
    }

    fn why(&self, before: &[u64; 3]) -> Why {
        let after = self.drops();
        let grown = (0..TOLD_APART.len()).find(|&index| after[index] > before[index]);
        grown.map_or(Why::Other, |index| TOLD_APART[index].1)
    }

    fn take_sent(&mut self) -> Vec<Left> {
        let mut sent = Vec::new();
        for wires in &self.wires {
            for (port, wire) in wires.iter().enumerate() {
                let frames = wire.borrow_mut().sent.split_off(0);
                sent.extend(frames.iter().map(|frame| {
                    (PortId(port as u16), director::io::Frame::bytes(frame).to_vec())
                }));
            }
        }
        sent
    }

    /// Polls every worker until no frames are handed off any more.
    fn poll(&mut self) {
        loop {
            let now = self.now;
            let handled: usize = self.workers.iter_mut().map(|worker| worker.poll(now)).sum();
            if handled == 0 {
                return;
            }
        }
    }

    /// One tick of the clock, with the periodic work of the control thread.
    pub fn tick(&mut self) {
        self.now = self.now + std::time::Duration::from_millis(TICK_MS);
        self.poll();
        self.sweep_templates(|_| false);
        self.desired.empty_trash(self.now);
        self.desired.estimate(self.now);
        self.publish();
    }

    fn sweep_templates(&self, unwanted: impl FnMut(&Template) -> bool) {
        let own = self.shared.destination_stats.last();
        let gone = |template: &Template| {
            let id = DestinationId(template.destination);
            if let Some(line) = own.and_then(|stats_table| stats_table.get(id)) {
                line.template_removed();
            }
        };
        let all = usize::MAX;
        self.shared.templates.sweep(&mut SweepCursor::default(), all, self.now, unwanted, gone);
    }

    /// Publishes the desired state to the workers.
    fn publish(&mut self) {
        if self.published == self.desired.generation() {
            return;
        }
        self.published = self.desired.generation();
        assert!(
            self.end.publisher.publish(self.desired.snapshot()),
            "the workers have adopted the previous snapshot"
        );
        self.poll();
        assert!(self.end.publisher.is_settled());
        if self.removals != self.desired.removals() {
            self.removals = self.desired.removals();
            if self.desired.sysctls().expire_nodest_conn != 0 {
                for worker in 0..self.workers.len() {
                    for family in [Family::Ipv4, Family::Ipv6] {
                        self.job(worker, TableJob::SweepRemoved { family, cursor: 0 });
                    }
                }
                let destinations = &self.end.publisher.current().destinations;
                self.sweep_templates(|template| {
                    let destination = destinations.get(template.destination as usize);
                    !destination.is_some_and(|destination| destination.available)
                });
            }
        }
    }

    /// Runs a job on a worker.
    fn job(&mut self, worker: usize, job: TableJob) -> TableJob {
        self.end.jobs[worker].push(job).expect("room for a job");
        for _ in 0..1000 {
            self.workers[worker].poll(self.now);
            if let Ok(done) = self.end.done[worker].pop() {
                return done;
            }
        }
        panic!("the job did not end");
    }

    pub fn listing(&mut self) -> Listing {
        let services = self.desired.services_before(None).map(|(_, id, spec)| ServiceView {
            key: spec.key,
            counters: self.desired.statistics().service(id).counters,
            destinations: self
                .desired
                .destinations(id)
                .map(|(id, spec)| {
                    let connections = self.desired.destination_stats().connections(id);
                    DestinationView {
                        at: spec.at,
                        weight: spec.weight,
                        active: connections.active,
                        inactive: connections.inactive,
                        persistent: connections.persistent,
                        counters: self.desired.statistics().destination(id).counters,
                    }
                })
                .collect(),
        });
        let services = services.collect();
        let total = self.desired.statistics().total().counters;
        let mut connections = self.connections();
        connections.extend(self.templates());
        connections.sort_by(|left, right| left.partial_cmp(right).expect("no NaN"));
        Listing { services, connections, total }
    }

    fn connections(&mut self) -> Vec<ConnectionView> {
        let mut views = Vec::new();
        for worker in 0..self.workers.len() {
            for family in [Family::Ipv4, Family::Ipv6] {
                let rows = Vec::with_capacity(8192);
                let piece = ConnectionPiece { family, cursor: 0, rows, is_last: false };
                let TableJob::List(piece) = self.job(worker, TableJob::List(piece)) else {
                    panic!("a job of another kind returned");
                };
                let destinations = &self.end.publisher.current().destinations;
                views.extend(piece.rows.iter().map(|row| {
                    let protocol =
                        Protocol::from_number(row.protocol).expect("a balanced protocol");
                    let server = destinations.get(row.destination as usize);
                    let address = server.map_or(row.destination_address.0, |known| known.address);
                    ConnectionView {
                        protocol: protocol.name().to_owned(),
                        client: row.client.into(),
                        virtual_address: row.virtual_address.into(),
                        destination: SocketAddr::new(address, row.destination_address.1),
                        state: state::name(protocol, row.state).to_owned(),
                        remaining_ms: row.remaining_ms,
                    }
                }));
            }
        }
        views
    }

    fn templates(&self) -> Vec<ConnectionView> {
        let (rows, rest) =
            self.shared.templates.rows_from(SweepCursor::default(), usize::MAX, self.now);
        assert!(rest.is_none());
        let destinations = &self.end.publisher.current().destinations;
        let view = |template: &director::conn::template::Template| {
            let key = template.key;
            let server = destinations.get(template.destination as usize).expect("its slot is kept");
            ConnectionView {
                protocol: key.protocol_name().to_owned(),
                client: SocketAddr::new(key.client, 0),
                virtual_address: SocketAddr::new(key.virtual_address, key.virtual_port),
                destination: SocketAddr::new(server.address, template.destination_port),
                state: template.state_name().to_owned(),
                remaining_ms: template.remaining(self.now).as_millis() as u64,
            }
        };
        rows.iter().map(|(_, template)| view(template)).collect()
    }
}
