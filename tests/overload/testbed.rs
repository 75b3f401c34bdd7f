//! A director with one port and one or more workers, polled by the test.

use crate::pool::{Pool, PoolFrame, PoolQueue, Wire};
use crossbeam_channel::{Sender, bounded};
use director::api::{Client, ClientError, Reply, Request};
use director::config::{Config, Faults, PortConfig};
use director::control::server::Server;
use director::control::{Control, Ports, Reloader, Reread};
use director::limits::BURST;
use director::model::PortId;
use director::packet::ethernet::ETHERNET;
use director::packet::{Parse, Tuple, tcp};
use director::query::{PortRows, StaticInfo};
use director::reason::DropReason;
use director::snapshot::Snapshot;
use director::testing::frame;
use director::time::{Duration, Instant};
use director::worker::steering::{Placement, Steering};
use director::worker::{Shared, Sizing, Worker, connect_rings};
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tempfile::TempDir;

/// Size of the worker's connection table.
pub const CONNECTIONS: usize = 4096;
/// Number of clients established before the flood.
pub const ESTABLISHED: u32 = 1000;
/// Networks of the established clients and of the flood.
const ESTABLISHED_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 0);
const FLOOD_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 0);

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0xfe, 0xfe];
pub const VIP: &str = "10.0.0.100";
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0x11];
/// Simulated time of one poll.
const POLL: Duration = Duration::from_micros(100);

const CONFIGURATION: &str = r#"
[dpdk]
vdevs = ["net_null0"]

[tables]
connections = 4096
connections_ipv6 = 64
services = 16
destinations = 64
templates = 64

[[port]]
name = "wan"
device = "net_null0"
addresses = ["10.0.0.1/24", "10.128.0.1/9"]
gateway = "10.0.0.254"

[[route]]
destination = "10.3.0.0/16"
via = "10.0.0.254"
mtu = 600

[[neighbour]]
port = "wan"
address = "10.0.0.254"
mac = "02:00:00:00:fe:fe"

[[neighbour]]
port = "wan"
address = "10.0.0.11"
mac = "02:00:00:00:01:11"

[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
scheduler = "rr"

[[service.destination]]
address = "10.0.0.11:80"
"#;

struct OnePort(Pool);

impl Ports<PoolFrame> for OnePort {
    fn allocate(&mut self, _: PortId) -> Option<PoolFrame> {
        self.0.allocate()
    }

    fn rows(&self) -> PortRows {
        Box::new(Vec::new)
    }

    fn set_addresses(&mut self, _: &[PortConfig]) {}
}

/// A director over memory ports, its control thread and its simulated clock.
pub struct Testbed {
    director: Control<PoolFrame>,
    workers: Vec<Worker<PoolQueue>>,
    ports: OnePort,
    pub shared: Shared,
    /// Indexed by worker.
    pub wires: Vec<Rc<RefCell<Wire>>>,
    /// Indexed by worker: it is polled once in this many rounds.
    pub pace: Vec<u32>,
    pub pool: Pool,
    pub now: Instant,
    /// Polls for each iteration of the control thread.
    pub polls_per_turn: u32,
    polls: u32,
    /// Simulated time of one poll.
    pub poll_time: Duration,
    /// Hosts on the link that answer ARP.
    hosts: Vec<([u8; 4], [u8; 6])>,
    flood_client: u32,
    socket: PathBuf,
    /// The configuration file that it was started with.
    pub text: String,
    /// Where the next one is read from.
    pub file: PathBuf,
    /// `None` while it reads.
    reloader: Option<Reloader>,
    rereads: Sender<Result<Reread, Faults>>,
    /// Folder of the socket; removed with the value.
    _folder: TempDir,
}

impl Testbed {
    /// One worker with [`ESTABLISHED`] flows; `sysctls` are lines of `[sysctl]`.
    pub fn new(sysctls: &str) -> Self {
        Self::of(1, Placement::Software, sysctls)
    }

    /// One worker that finds its router and server by ARP.
    pub fn with_dynamic_neighbours() -> Self {
        let text = CONFIGURATION.split("[[neighbour]]\n").next().unwrap().to_owned();
        let services = &CONFIGURATION[CONFIGURATION.find("[[service]]").unwrap()..];
        let hosts = vec![([10, 0, 0, 254], ROUTER_MAC), ([10, 0, 0, 11], SERVER_MAC)];
        Self::build(1, Placement::Software, &(text + services), hosts)
    }

    /// As [`Self::new`] with room for this many services and destinations.
    pub fn with_tables(services: usize, destinations: usize) -> Self {
        let text = CONFIGURATION
            .replace("services = 16", &format!("services = {services}"))
            .replace("destinations = 64", &format!("destinations = {destinations}"));
        Self::build(1, Placement::Software, &text, Vec::new())
    }

    /// As [`Self::new`] with this many workers; each has the established flows that it owns.
    pub fn of(workers: u16, placement: Placement, sysctls: &str) -> Self {
        let text = format!("{CONFIGURATION}\n[sysctl]\n{sysctls}\n");
        Self::build(workers, placement, &text, Vec::new())
    }

    fn build(
        workers: u16,
        placement: Placement,
        text: &str,
        hosts: Vec<([u8; 4], [u8; 6])>,
    ) -> Self {
        let text = text.replace("[dpdk]", &format!("[dpdk]\nworkers = {workers}"));
        let config = Config::parse(&text, "overload").unwrap();
        let plan = Sizing {
            workers,
            ports: 1,
            connections_ipv4: CONNECTIONS,
            connections_ipv6: 64,
            services: config.tables.services,
            destinations: config.tables.destinations,
            templates: 64,
        };
        let config = Arc::new(config);
        let steering = Steering::new(workers, vec![placement]);
        let (control, seats, shared) = connect_rings(plan, Snapshot::default(), steering);
        let info = StaticInfo::default();
        let mut director =
            Control::new(Arc::clone(&config), vec![MAC], plan, control, shared.clone(), info)
                .unwrap();
        let pool = Pool::default();
        let wires: Vec<Rc<RefCell<Wire>>> = seats.iter().map(|_| Rc::default()).collect();
        let queue =
            |wire: &Rc<RefCell<Wire>>| PoolQueue { wire: Rc::clone(wire), pool: pool.clone() };
        let seats = seats.into_iter().zip(&wires);
        let workers: Vec<_> =
            seats.map(|(seat, wire)| seat.build(vec![queue(wire)]).unwrap()).collect();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let now = Instant::from_secs(1);
        let mut ports = OnePort(pool.clone());
        director.start(&mut ports, now);
        director.open(Server::bind(&socket).unwrap().start().unwrap());
        let (rereads, received) = bounded(1);
        director.set_rereads(received);
        let file = folder.path().join("director.toml");
        let reloader = Some(Reloader::new(file.clone(), config));
        let (polls_per_turn, polls, flood_client) = (1, 0, 0);
        let mut testbed = Testbed {
            director,
            pace: vec![1; workers.len()],
            workers,
            ports,
            shared,
            wires,
            pool,
            now,
            polls_per_turn,
            polls,
            poll_time: POLL,
            hosts,
            flood_client,
            socket,
            text,
            file,
            reloader,
            rereads,
            _folder: folder,
        };
        testbed.run(8);
        testbed.establish();
        testbed
    }

    fn establish(&mut self) {
        for client in 0..ESTABLISHED {
            for flags in [tcp::SYN, tcp::ACK] {
                let segment = established(client, flags);
                self.arrive_at(self.home(&segment), &segment);
            }
        }
        self.drain();
        assert_eq!(self.connections(), u64::from(ESTABLISHED));
        self.take_sent(ESTABLISHED_NETWORK);
    }

    pub fn arrive(&self, bytes: &[u8]) {
        self.arrive_at(0, bytes);
    }

    /// Puts a frame into the queue of one worker.
    pub fn arrive_at(&self, worker: usize, bytes: &[u8]) {
        self.wires[worker].borrow_mut().to_receive.push_back(self.pool.frame(bytes));
    }

    /// The worker that owns a client's segment.
    pub fn home(&self, bytes: &[u8]) -> usize {
        let tuple: Tuple<u32> = u32::parse(&bytes[ETHERNET..]).unwrap().flow;
        usize::from(self.shared.steering.owner(PortId(0), &tuple))
    }

    /// Polls every worker and the control thread if it is their turn.
    pub fn poll(&mut self) {
        self.now = self.now + self.poll_time;
        self.polls += 1;
        let workers = self.workers.iter_mut().zip(&self.shared.counters);
        for ((worker, counters), pace) in workers.zip(&self.pace) {
            if self.polls.is_multiple_of(*pace) {
                worker.poll(self.now);
                counters.time.add(self.poll_time.as_nanos() as u64);
            }
        }
        if self.polls.is_multiple_of(self.polls_per_turn) {
            self.director.run_once(&mut self.ports, self.now);
        }
        if !self.hosts.is_empty() {
            self.answer_arp();
        }
    }

    /// The hosts on the link answer ARP requests for their addresses.
    fn answer_arp(&mut self) {
        let mut wire = self.wires[0].borrow_mut();
        let asked: Vec<Vec<u8>> =
            wire.sent.extract_if(.., |frame| frame[12..14] == [8, 6] && frame[21] == 1).collect();
        for question in asked {
            let of_target = |(address, _): &&([u8; 4], _)| question[38..42] == *address;
            let Some((address, mac)) = self.hosts.iter().find(of_target) else { continue };
            let answer =
                [&MAC[..], mac, &question[12..20], &[0, 2], mac, address, &question[22..32]]
                    .concat();
            wire.to_receive.push_back(self.pool.frame(&answer));
        }
    }

    pub fn run(&mut self, polls: usize) {
        (0..polls).for_each(|_| self.poll());
    }

    /// Polls until all receive queues are empty.
    pub fn drain(&mut self) {
        while self.wires.iter().any(|wire| !wire.borrow().to_receive.is_empty()) {
            self.poll();
        }
        self.run(8);
    }

    /// Polls with a burst of one established packet for every seven of the flood.
    pub fn mixed_burst(&mut self, client: u32, flood: &mut dyn FnMut(u32) -> Vec<u8>) {
        for place in 0..BURST as u32 {
            if place % 8 == 0 {
                self.arrive(&established((client + place / 8) % ESTABLISHED, tcp::ACK));
            } else {
                self.flood_client += 1;
                self.arrive(&flood(self.flood_client));
            }
        }
        self.poll();
    }

    /// Sends this many mixed bursts; returns the share of the established packets that was forwarded.
    pub fn flood(&mut self, bursts: u32, flood: &mut dyn FnMut(u32) -> Vec<u8>) -> f64 {
        let mut kept = 0;
        for burst in 0..bursts {
            self.mixed_burst(burst * 4, flood);
            kept += self.take_sent(ESTABLISHED_NETWORK);
        }
        f64::from(kept) / f64::from(bursts * BURST as u32 / 8)
    }

    /// Number of frames forwarded for clients in this /16; forgets all frames sent.
    fn take_sent(&mut self, network: Ipv4Addr) -> u32 {
        let from =
            |frame: &&Vec<u8>| frame[12..14] == [8, 0] && frame[26..28] == network.octets()[..2];
        let take = |wire: &Rc<RefCell<Wire>>| {
            let sent = std::mem::take(&mut wire.borrow_mut().sent);
            sent.iter().filter(from).count() as u32
        };
        self.wires.iter().map(take).sum()
    }

    pub fn take_sent_of_established(&mut self) -> u32 {
        self.take_sent(ESTABLISHED_NETWORK)
    }

    pub fn take_sent_of_flood(&mut self) -> u32 {
        self.take_sent(FLOOD_NETWORK)
    }

    pub fn connections(&self) -> u64 {
        self.shared.counters.iter().map(|worker| worker.connections_ipv4.get()).sum()
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        (0..self.workers.len()).map(|worker| self.dropped_by(worker, reason)).sum()
    }

    pub fn dropped_by(&self, worker: usize, reason: DropReason) -> u64 {
        self.shared.counters[worker].queues[0].drop_of(reason).get()
    }

    /// Begins to read [`Self::file`] again, on another thread as the daemon does. The result ends the reading.
    pub fn begin_reload(&mut self) -> JoinHandle<Reloader> {
        let (mut reloader, rereads) = (self.reloader.take().unwrap(), self.rereads.clone());
        thread::spawn(move || {
            rereads.send(reloader.reread()).unwrap();
            reloader
        })
    }

    /// Sends a query over the control socket while mixed bursts go on; returns the reply and the time the client
    /// waited.
    pub fn ask(
        &mut self,
        request: Request,
        flood: &mut dyn FnMut(u32) -> Vec<u8>,
    ) -> (Vec<Reply>, std::time::Duration) {
        self.ask_during(request, &mut |testbed| testbed.mixed_burst(0, flood))
    }

    /// As [`Self::ask`], with another load.
    pub fn ask_during(
        &mut self,
        request: Request,
        round: &mut dyn FnMut(&mut Testbed),
    ) -> (Vec<Reply>, std::time::Duration) {
        let (outcome, wait) = self.try_ask_during(request, round);
        (outcome.unwrap(), wait)
    }

    /// Why a request as a whole is refused.
    pub fn refusal(&mut self, request: Request) -> String {
        self.try_ask_during(request, &mut Testbed::poll).0.unwrap_err().to_string()
    }

    fn try_ask_during(
        &mut self,
        request: Request,
        round: &mut dyn FnMut(&mut Testbed),
    ) -> (Result<Vec<Reply>, ClientError>, std::time::Duration) {
        let socket = self.socket.clone();
        let client = thread::spawn(move || {
            let mut client = Client::connect(&socket).unwrap();
            let started = std::time::Instant::now();
            let mut pieces = Vec::new();
            let outcome = client.call(request, |piece| pieces.push(piece));
            (outcome.map(|()| pieces), started.elapsed())
        });
        while !client.is_finished() {
            round(self);
            self.take_sent(ESTABLISHED_NETWORK);
        }
        client.join().unwrap()
    }
}

/// A segment of an established client.
pub fn established(client: u32, flags: u8) -> Vec<u8> {
    segment(ESTABLISHED_NETWORK.to_bits() + 1 + client, 4000, flags)
}

/// SYN number `number` of the flood, from another address and port each.
pub fn syn(number: u32) -> Vec<u8> {
    segment(FLOOD_NETWORK.to_bits() + number % 65_000, 1024 + (number / 65_000) as u16, tcp::SYN)
}

fn segment(client: u32, port: u16, flags: u8) -> Vec<u8> {
    frame()
        .macs(MAC, ROUTER_MAC)
        .ipv4(Ipv4Addr::from_bits(client), VIP)
        .tcp(port, 80)
        .flags(flags)
        .build()
}

/// UDP datagram number `number` of the flood.
pub fn datagram(number: u32, to: Ipv4Addr, port: u16, length: usize) -> Vec<u8> {
    frame()
        .macs(MAC, ROUTER_MAC)
        .ipv4(Ipv4Addr::from_bits(FLOOD_NETWORK.to_bits() + number % 65_000), to)
        .udp(1024, port)
        .payload(vec![0; length])
        .build()
}
