//! A director with one port and one worker or several, driven by hand.

use crate::pool::{Pool, PoolFrame, PoolQueue, Wire};
use director::api::{Client, Reply, Request};
use director::config::{Config, PortConfig};
use director::control::server::Server;
use director::control::{Control, Ports};
use director::limits::BURST;
use director::model::PortId;
use director::packet::ethernet::ETHERNET;
use director::packet::{Parse, Tuple, tcp};
use director::query::{PortRow, StaticInfo};
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
use std::thread;
use tempfile::TempDir;

/// Connections of the worker's table.
pub const CONNECTIONS: usize = 4096;
/// Clients that were there before the trouble begins.
pub const ESTABLISHED: u32 = 1000;
/// Their addresses, and those of the trouble.
const FRIENDS: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 0);
const STRANGERS: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 0);

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0xfe, 0xfe];
pub const VIP: &str = "10.0.0.100";
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0x11];
/// Time of one poll.
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

    fn rows(&self) -> Vec<PortRow> {
        Vec::new()
    }

    fn set_addresses(&mut self, _: &[PortConfig]) {}
}

/// See the module.
pub struct Rig {
    director: Control<PoolFrame>,
    workers: Vec<Worker<PoolQueue>>,
    ports: OnePort,
    pub shared: Shared,
    /// By worker.
    pub wires: Vec<Rc<RefCell<Wire>>>,
    /// By worker: it has a turn in one round of so many.
    pub pace: Vec<u32>,
    pub pool: Pool,
    pub now: Instant,
    /// Polls for each turn of control: how slow it is.
    pub polls_per_turn: u32,
    polls: u32,
    /// Time of one poll.
    pub poll_time: Duration,
    /// Hosts on the link that answer ARP.
    hosts: Vec<([u8; 4], [u8; 6])>,
    stranger: u32,
    socket: PathBuf,
    /// Of the socket; removed with the value.
    _folder: TempDir,
}

impl Rig {
    /// One worker with [`ESTABLISHED`] flows; `sysctls` are lines of the section.
    pub fn new(sysctls: &str) -> Self {
        Self::of(1, Placement::Software, sysctls)
    }

    /// One worker whose router and server are found by ARP; they answer.
    pub fn with_dynamic_neighbours() -> Self {
        let text = CONFIGURATION.split("[[neighbour]]\n").next().unwrap().to_owned();
        let services = &CONFIGURATION[CONFIGURATION.find("[[service]]").unwrap()..];
        let hosts = vec![([10, 0, 0, 254], ROUTER_MAC), ([10, 0, 0, 11], SERVER_MAC)];
        Self::build(1, Placement::Software, &(text + services), hosts)
    }

    /// As [`Self::new`], for so many workers, each with the established flows that are at home there.
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
            services: 16,
            destinations: 64,
            templates: 64,
        };
        let steering = Steering::new(workers, vec![placement]);
        let (control, seats, shared) = connect_rings(plan, Snapshot::default(), steering);
        let info = StaticInfo::default();
        let mut director =
            Control::new(config, vec![MAC], plan, control, shared.clone(), info).unwrap();
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
        let (polls_per_turn, polls, stranger) = (1, 0, 0);
        let mut rig = Rig {
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
            stranger,
            socket,
            _folder: folder,
        };
        rig.run(8);
        rig.establish();
        rig
    }

    fn establish(&mut self) {
        for client in 0..ESTABLISHED {
            for flags in [tcp::SYN, tcp::ACK] {
                let segment = friend(client, flags);
                self.arrive_at(self.home(&segment), &segment);
            }
        }
        self.drain();
        assert_eq!(self.connections(), u64::from(ESTABLISHED));
        self.take_sent(FRIENDS);
    }

    pub fn arrive(&self, bytes: &[u8]) {
        self.arrive_at(0, bytes);
    }

    /// A frame in the queue of one worker.
    pub fn arrive_at(&self, worker: usize, bytes: &[u8]) {
        self.wires[worker].borrow_mut().to_receive.push_back(self.pool.frame(bytes));
    }

    /// The worker that a client's segment belongs to.
    pub fn home(&self, bytes: &[u8]) -> usize {
        let tuple: Tuple<u32> = u32::parse(&bytes[ETHERNET..]).unwrap().flow;
        usize::from(self.shared.steering.owner(PortId(0), &tuple))
    }

    /// One burst of every worker that has a turn, and control's turn when it is due.
    pub fn poll(&mut self) {
        self.now = self.now + self.poll_time;
        self.polls += 1;
        for (worker, pace) in self.workers.iter_mut().zip(&self.pace) {
            if self.polls.is_multiple_of(*pace) {
                worker.poll(self.now);
            }
        }
        if self.polls.is_multiple_of(self.polls_per_turn) {
            self.director.run_once(&mut self.ports, self.now);
        }
        if !self.hosts.is_empty() {
            self.answer_arp();
        }
    }

    /// The hosts on the link answer what was asked for their addresses.
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

    /// Until nothing waits on any wire.
    pub fn drain(&mut self) {
        while self.wires.iter().any(|wire| !wire.borrow().to_receive.is_empty()) {
            self.poll();
        }
        self.run(8);
    }

    /// A burst with one packet of an established flow for seven of the trouble; true if the flow's was sent on.
    pub fn mixed_burst(&mut self, client: u32, trouble: &mut dyn FnMut(u32) -> Vec<u8>) {
        for place in 0..BURST as u32 {
            if place % 8 == 0 {
                self.arrive(&friend((client + place / 8) % ESTABLISHED, tcp::ACK));
            } else {
                self.stranger += 1;
                self.arrive(&trouble(self.stranger));
            }
        }
        self.poll();
    }

    /// So many mixed bursts; the share of the established flows' packets that was sent on.
    pub fn trouble(&mut self, bursts: u32, trouble: &mut dyn FnMut(u32) -> Vec<u8>) -> f64 {
        let mut kept = 0;
        for burst in 0..bursts {
            self.mixed_burst(burst * 4, trouble);
            kept += self.take_sent(FRIENDS);
        }
        f64::from(kept) / f64::from(bursts * BURST as u32 / 8)
    }

    /// Frames sent on for clients of a network of 16 bits; forgets what was sent.
    fn take_sent(&mut self, network: Ipv4Addr) -> u32 {
        let from =
            |frame: &&Vec<u8>| frame[12..14] == [8, 0] && frame[26..28] == network.octets()[..2];
        let take = |wire: &Rc<RefCell<Wire>>| {
            let sent = std::mem::take(&mut wire.borrow_mut().sent);
            sent.iter().filter(from).count() as u32
        };
        self.wires.iter().map(take).sum()
    }

    pub fn take_sent_of_friends(&mut self) -> u32 {
        self.take_sent(FRIENDS)
    }

    pub fn take_sent_of_strangers(&mut self) -> u32 {
        self.take_sent(STRANGERS)
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

    /// Asks over the control socket while bursts of trouble go on, each followed by a turn of control when that is due. The
    /// pieces of the answer, and the time the client waited.
    pub fn ask(
        &mut self,
        request: Request,
        trouble: &mut dyn FnMut(u32) -> Vec<u8>,
    ) -> (Vec<Reply>, std::time::Duration) {
        self.ask_during(request, &mut |rig| rig.mixed_burst(0, trouble))
    }

    /// As [`Self::ask`], while something else goes on.
    pub fn ask_during(
        &mut self,
        request: Request,
        round: &mut dyn FnMut(&mut Rig),
    ) -> (Vec<Reply>, std::time::Duration) {
        let socket = self.socket.clone();
        let client = thread::spawn(move || {
            let mut client = Client::connect(&socket).unwrap();
            let started = std::time::Instant::now();
            let mut pieces = Vec::new();
            client.call(request, |piece| pieces.push(piece)).unwrap();
            (pieces, started.elapsed())
        });
        while !client.is_finished() {
            round(self);
            self.take_sent(FRIENDS);
        }
        client.join().unwrap()
    }
}

/// A segment of an established client.
pub fn friend(client: u32, flags: u8) -> Vec<u8> {
    segment(FRIENDS.to_bits() + 1 + client, 4000, flags)
}

/// A stranger's SYN, each from another address and port.
pub fn syn(number: u32) -> Vec<u8> {
    segment(STRANGERS.to_bits() + number % 65_000, 1024 + (number / 65_000) as u16, tcp::SYN)
}

fn segment(client: u32, port: u16, flags: u8) -> Vec<u8> {
    frame()
        .macs(MAC, ROUTER_MAC)
        .ipv4(Ipv4Addr::from_bits(client), VIP)
        .tcp(port, 80)
        .flags(flags)
        .build()
}

/// A datagram of a stranger.
pub fn datagram(number: u32, to: Ipv4Addr, port: u16, length: usize) -> Vec<u8> {
    frame()
        .macs(MAC, ROUTER_MAC)
        .ipv4(Ipv4Addr::from_bits(STRANGERS.to_bits() + number % 65_000), to)
        .udp(1024, port)
        .payload(vec![0; length])
        .build()
}
