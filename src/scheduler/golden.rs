//! Replays the `sched-*` transcripts of a Linux director: every packet must reach the same server.
//!
//! It models only as much of a director as the transcripts need: the list of destinations, the input-only half of the TCP
//! states, connection thresholds and timers.

use super::candidate::{Candidate, Change, Flow, Load};
use super::{Cursor, Scheduler};
use crate::model::{DestinationId, SchedulerFlags};
use crate::time::{Duration, Instant};
use serde_json::Value;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Time between two steps of a transcript.
const STEP: Duration = Duration::from_millis(12);

#[derive(Clone, Copy, PartialEq)]
enum State {
    SynReceived,
    Established,
    FinWait,
    TimeWait,
    Close,
}

impl State {
    fn active(self) -> bool {
        matches!(self, State::SynReceived | State::Established)
    }

    fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            State::SynReceived => 60,
            State::Established => 900,
            State::FinWait | State::TimeWait => 120,
            State::Close => 10,
        })
    }

    fn after(self, event: Event) -> State {
        match (event, self) {
            (Event::Syn, State::FinWait) => State::SynReceived,
            (Event::Fin, State::SynReceived) => State::TimeWait,
            (Event::Fin, State::Established) => State::FinWait,
            (Event::Ack, State::SynReceived) => State::Established,
            (Event::Rst, State::SynReceived) => State::SynReceived,
            (Event::Rst, _) => State::Close,
            (_, state) => state,
        }
    }

    /// A SYN does not revive such a connection; it is scheduled again (`conn_reuse_mode` 1).
    fn reusable(self) -> bool {
        matches!(self, State::TimeWait | State::Close)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Event {
    Syn,
    Fin,
    Ack,
    Rst,
}

/// A TCP segment or a UDP datagram of a client; the event is `None` for UDP.
struct Packet {
    flow: Flow,
    event: Option<Event>,
}

impl Packet {
    fn parse(frame: &[u8]) -> Packet {
        let address = |at: usize| {
            let octets: [u8; 4] = frame[at..at + 4].try_into().unwrap();
            IpAddr::from(Ipv4Addr::from(octets))
        };
        let transport = 14 + usize::from(frame[14] & 15) * 4;
        let port =
            |at: usize| u16::from_be_bytes([frame[transport + at], frame[transport + at + 1]]);
        let flow = Flow {
            source: address(26),
            destination: address(30),
            source_port: port(0),
            destination_port: port(2),
        };
        let flags = frame.get(transport + 13).copied().unwrap_or(0);
        let event = [(4, Event::Rst), (2, Event::Syn), (1, Event::Fin), (16, Event::Ack)]
            .into_iter()
            .find(|&(flag, _)| frame[23] == 6 && flags & flag != 0)
            .map(|(_, event)| event);
        Packet { flow, event }
    }
}

#[derive(Default)]
struct Server {
    active: u32,
    inactive: u32,
    upper: u32,
    lower: u32,
    overloaded: bool,
}

impl Server {
    fn count(&mut self, state: State, step: i32) {
        let counter = if state.active() { &mut self.active } else { &mut self.inactive };
        *counter = counter.checked_add_signed(step).unwrap();
    }

    fn total(&self) -> u32 {
        self.active + self.inactive
    }

    fn bound(&mut self) {
        self.overloaded |= self.upper != 0 && self.total() >= self.upper;
    }

    fn released(&mut self) {
        let below = match (self.lower, self.upper) {
            (0, 0) => true,
            (0, upper) => 4 * self.total() < 3 * upper,
            (lower, _) => self.total() < lower,
        };
        self.overloaded &= !below;
    }

    fn edited(&mut self, upper: u32, lower: u32) {
        (self.upper, self.lower) = (upper, lower);
        self.released();
        self.overloaded &= upper != 0;
        self.bound();
    }
}

struct Service {
    scheduler: Scheduler,
    cursor: Cursor,
    /// By id, including removed destinations.
    servers: Vec<Server>,
    ids: HashMap<SocketAddr, DestinationId>,
}

struct ConnCounts<'a>(&'a [Candidate], &'a [Server]);

impl ConnCounts<'_> {
    fn server(&self, index: usize) -> &Server {
        &self.1[self.0[index].id.index()]
    }
}

impl Load for ConnCounts<'_> {
    fn active(&self, index: usize) -> u32 {
        self.server(index).active
    }
    fn inactive(&self, index: usize) -> u32 {
        self.server(index).inactive
    }
    fn overloaded(&self, index: usize) -> bool {
        self.server(index).overloaded
    }
}

/// The words of an ipvsadm command: one-letter options and what follows them.
struct Command<'a>(Vec<&'a str>);

impl<'a> Command<'a> {
    fn value(&self, option: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|&word| word == option)?;
        self.0.get(at + 1).copied()
    }

    fn number(&self, option: &str) -> Option<u32> {
        Some(self.value(option)?.parse().unwrap())
    }

    /// `10.0.0.100:80`, or `7` for a firewall mark.
    fn service(&self) -> String {
        self.value("-t").or(self.value("-u")).or(self.value("-f")).unwrap().to_owned()
    }

    fn flags(&self) -> SchedulerFlags {
        let names = self.value("-b").unwrap_or("").split(',').filter(|name| !name.is_empty());
        names.fold(SchedulerFlags::empty(), |flags, name| {
            flags
                | match name {
                    "sh-fallback" | "mh-fallback" | "flag-1" => SchedulerFlags::FLAG_1,
                    "sh-port" | "mh-port" | "flag-2" => SchedulerFlags::FLAG_2,
                    other => panic!("scheduler flag {other}"),
                }
        })
    }
}

impl Service {
    fn edit(&mut self, command: &Command) {
        let at: SocketAddr = command.value("-r").unwrap().parse().unwrap();
        let id = *self.ids.entry(at).or_insert(DestinationId(self.servers.len() as u32));
        if id.index() == self.servers.len() {
            self.servers.push(Server::default());
        }
        let candidate = Candidate {
            id,
            address: at.ip(),
            port: at.port(),
            weight: command.number("-w").unwrap_or(1),
        };
        let mut list = self.scheduler.candidates().to_vec();
        let change = match command.0[0] {
            "-a" => {
                list.insert(0, candidate);
                Change::Added(id)
            }
            "-d" => {
                list.retain(|other| other.id != id);
                Change::Removed(id)
            }
            _ => {
                *list.iter_mut().find(|other| other.id == id).unwrap() = candidate;
                Change::Edited(id)
            }
        };
        let threshold = |option| command.number(option).unwrap_or(0);
        if command.0[0] != "-d" {
            self.servers[id.index()].edited(threshold("-x"), threshold("-y"));
        }
        self.scheduler = self.scheduler.changed(list, change);
    }

    fn schedule(&mut self, flow: &Flow, now: Instant) -> Option<DestinationId> {
        let loads = ConnCounts(self.scheduler.candidates(), &self.servers);
        let index = self.scheduler.pick(&mut self.cursor, &loads, flow, now)?;
        Some(self.scheduler.candidates()[index].id)
    }

    fn address(&self, id: DestinationId) -> IpAddr {
        self.ids.iter().find(|&(_, &other)| other == id).unwrap().0.ip()
    }
}

struct Connection {
    service: String,
    id: DestinationId,
    state: State,
    expires: Instant,
}

#[derive(Default)]
struct GoldenRun {
    services: HashMap<String, Service>,
    connections: HashMap<(IpAddr, u16, IpAddr, u16), Connection>,
    now: Instant,
}

impl GoldenRun {
    fn command(&mut self, line: &str) {
        let command = Command(line.split_whitespace().collect());
        let kind = command.value("-s").unwrap_or("wlc").parse();
        match command.0[0] {
            "-A" => {
                let Ok(kind) = kind else { return };
                let scheduler = Scheduler::new(kind, command.flags(), []);
                let (cursor, servers, ids) = Default::default();
                let service = Service { scheduler, cursor, servers, ids };
                self.services.insert(command.service(), service);
            }
            "-E" => {
                let service = self.services.get_mut(&command.service()).unwrap();
                service.scheduler = service.scheduler.with_kind(kind.unwrap(), command.flags());
            }
            "-a" | "-d" | "-e" => {
                self.services.get_mut(&command.service()).unwrap().edit(&command);
            }
            option => assert!(option.starts_with("-L"), "ipvsadm {line}"),
        }
    }

    /// The server that the packet goes to.
    fn packet(&mut self, packet: &Packet) -> Option<IpAddr> {
        self.expire();
        let event = packet.event?;
        let flow = packet.flow;
        let tuple = (flow.source, flow.source_port, flow.destination, flow.destination_port);
        let known = self.connections.get(&tuple).map(|connection| connection.state);
        if known.is_some_and(|state| event == Event::Syn && state.reusable()) {
            self.release(tuple);
        }
        if !self.connections.contains_key(&tuple) {
            self.connect(tuple, &flow, event)?;
        }
        let connection = self.connections.get_mut(&tuple)?;
        let service = self.services.get_mut(&connection.service)?;
        let server = &mut service.servers[connection.id.index()];
        server.count(connection.state, -1);
        connection.state = connection.state.after(event);
        connection.expires = self.now + connection.state.timeout();
        server.count(connection.state, 1);
        Some(service.address(connection.id))
    }

    fn connect(
        &mut self,
        tuple: (IpAddr, u16, IpAddr, u16),
        flow: &Flow,
        event: Event,
    ) -> Option<()> {
        let exact = SocketAddr::new(flow.destination, flow.destination_port).to_string();
        let marked = self.services.keys().find(|name| !name.contains(':')).cloned();
        let name = Some(exact).filter(|name| self.services.contains_key(name)).or(marked)?;
        let service = self.services.get_mut(&name)?;
        let id = (event == Event::Syn).then(|| service.schedule(flow, self.now)).flatten()?;
        let server = &mut service.servers[id.index()];
        server.count(State::SynReceived, 1);
        server.bound();
        let state = State::SynReceived;
        let connection = Connection { service: name, id, state, expires: self.now };
        self.connections.insert(tuple, connection);
        Some(())
    }

    fn release(&mut self, tuple: (IpAddr, u16, IpAddr, u16)) {
        let connection = self.connections.remove(&tuple).unwrap();
        let service = self.services.get_mut(&connection.service).unwrap();
        let server = &mut service.servers[connection.id.index()];
        server.count(connection.state, -1);
        server.released();
    }

    fn expire(&mut self) {
        let expired = self.connections.iter().filter(|(_, entry)| entry.expires <= self.now);
        for tuple in expired.map(|(&tuple, _)| tuple).collect::<Vec<_>>() {
            self.release(tuple);
        }
    }

    /// Checks ActiveConn and InActConn of a listing by `ipvsadm -Ln`.
    fn check_listing(&mut self, listing: &str, place: &str) {
        self.expire();
        let mut service = None;
        for line in listing.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["TCP" | "FWM", name, ..] => service = self.services.get(name),
                ["->", at, _, _, active, inactive] if at != "RemoteAddress:Port" => {
                    let service = service.unwrap();
                    let server = &service.servers[service.ids[&at.parse().unwrap()].index()];
                    let counts = (server.active.to_string(), server.inactive.to_string());
                    assert_eq!(counts, (active.into(), inactive.into()), "{place}: {at}");
                }
                _ => {}
            }
        }
    }
}

fn read(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

fn bytes(hex: &str) -> Vec<u8> {
    let octet = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(octet).collect()
}

/// Server address by MAC address (in hexadecimal without colons).
fn neighbours() -> HashMap<String, IpAddr> {
    let topology = read("topology.json");
    let table = topology["ports"]["lan0"]["neigh"].as_object().unwrap();
    let row = |(address, mac): (&String, &Value)| {
        (mac.as_str().unwrap().replace(':', ""), address.parse().unwrap())
    };
    table.iter().map(row).collect()
}

/// The server that the Linux director sent the packet to.
fn expected(step: &Value, neighbours: &HashMap<String, IpAddr>) -> Option<IpAddr> {
    let out = step["out"].as_array().unwrap();
    let to_server = out.iter().find(|out| out["port"] == "lan0")?;
    Some(neighbours[&to_server["frame"].as_str().unwrap()[..12]])
}

/// Plays one transcript. Returns the number of packets compared.
fn replay(transcript: &Value, neighbours: &HashMap<String, IpAddr>) -> usize {
    let mut director = GoldenRun::default();
    let mut packets = 0;
    for (number, step) in transcript["steps"].as_array().unwrap().iter().enumerate() {
        let place = format!("{} step {number}", transcript["name"]);
        director.now = director.now + STEP;
        if let Some(line) = step["ipvsadm"].as_str() {
            director.command(line);
            if line == "-Ln" {
                director.check_listing(step["stdout"].as_str().unwrap(), &place);
            }
        } else if let Some(frame) = step["send"]["frame"].as_str() {
            let picked = director.packet(&Packet::parse(&bytes(frame)));
            assert_eq!(picked, expected(step, neighbours), "{place}: {}", step["send"]["text"]);
            packets += 1;
        } else {
            let pause = step["sleep"].as_f64().unwrap_or_else(|| panic!("{place}: {step}"));
            director.now = director.now + Duration::from_secs_f64(pause);
        }
    }
    packets
}

#[test]
fn every_pick_is_the_kernels() {
    let neighbours = neighbours();
    let directory = format!("{}/tests/golden", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("sched-"))
        .collect();
    names.sort();
    let mut packets = 0;
    for name in &names {
        packets += replay(&read(name), &neighbours);
    }
    assert!(names.len() >= 45 && packets > 2_000, "{} transcripts, {packets} packets", names.len());
}
