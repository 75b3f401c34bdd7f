//! Lists, flows and loads for the scheduler tests.

use super::candidate::{Candidate, Change, Flow, Load};
use super::{Cursor, Scheduler};
use crate::model::{DestinationId, SchedulerFlags, SchedulerKind};
use crate::time::Instant;
use std::net::Ipv4Addr;

/// Destinations 10.1.0.(10 + n):80 down to 10.1.0.11:80: list order, the last one added first.
pub(super) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let number = weights.len() as u32;
    let ids = (1..=number).rev();
    ids.zip(weights).map(|(id, &weight)| candidate(id, weight)).collect()
}

pub(super) fn candidate(id: u32, weight: u32) -> Candidate {
    let address = Ipv4Addr::from_bits(0x0a01_000a + id).into();
    Candidate { id: DestinationId(id), address, port: 80, weight }
}

pub(super) fn client(address: &str, port: u16) -> Flow {
    Flow {
        source: address.parse().unwrap(),
        destination: Ipv4Addr::new(10, 0, 0, 100).into(),
        source_port: port,
        destination_port: 80,
    }
}

/// No destination has a connection.
pub(super) struct Idle;

impl Load for Idle {
    fn active(&self, _: usize) -> u32 {
        0
    }
    fn inactive(&self, _: usize) -> u32 {
        0
    }
    fn overloaded(&self, _: usize) -> bool {
        false
    }
}

/// What the farm knows about a destination, by its id.
#[derive(Clone, Copy, Default)]
pub(super) struct Server {
    pub(super) active: u32,
    pub(super) inactive: u32,
    /// 0: no limit.
    pub(super) upper_threshold: u32,
}

impl Server {
    pub(super) fn overloaded(&self) -> bool {
        self.upper_threshold != 0 && self.active + self.inactive >= self.upper_threshold
    }
}

/// A service with destinations A, B, C... (ids 1, 2, 3...), one worker and connections that never end.
pub(super) struct Farm {
    pub(super) scheduler: Scheduler,
    pub(super) cursor: Cursor,
    pub(super) servers: [Server; 27],
    pub(super) flow: Flow,
    pub(super) now: Instant,
    /// Whether a new connection is counted as active: TCP, not UDP.
    pub(super) tcp: bool,
}

pub(super) struct ConnCounts<'a>(pub(super) &'a [Candidate], pub(super) &'a [Server]);

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
        self.server(index).overloaded()
    }
}

pub(super) fn id_of(letter: char) -> u32 {
    u32::from(letter) - u32::from('A') + 1
}

impl Farm {
    /// A service whose destinations are added one by one: `A4 B3 C2`.
    pub(super) fn new(kind: SchedulerKind, servers: &str) -> Self {
        let mut farm = Farm {
            scheduler: Scheduler::new(kind, SchedulerFlags::empty(), []),
            cursor: Cursor::default(),
            servers: [Server::default(); 27],
            flow: client("10.0.0.2", 7000),
            now: Instant::from_secs(1),
            tcp: true,
        };
        servers.split_whitespace().for_each(|server| farm.add(server));
        farm
    }

    /// Adds `A4`: destination A with weight 4.
    pub(super) fn add(&mut self, server: &str) {
        let added = Self::parse(server);
        let mut list = self.scheduler.candidates().to_vec();
        list.insert(0, added);
        self.scheduler = self.scheduler.changed(list, Change::Added(added.id));
    }

    /// Gives destination A of `A4` the weight 4.
    pub(super) fn edit(&mut self, server: &str) {
        let edited = Self::parse(server);
        let mut list = self.scheduler.candidates().to_vec();
        *list.iter_mut().find(|other| other.id == edited.id).unwrap() = edited;
        self.scheduler = self.scheduler.changed(list, Change::Edited(edited.id));
    }

    pub(super) fn remove(&mut self, letter: char) {
        let id = DestinationId(id_of(letter));
        let mut list = self.scheduler.candidates().to_vec();
        list.retain(|other| other.id != id);
        self.scheduler = self.scheduler.changed(list, Change::Removed(id));
    }

    pub(super) fn server(&mut self, letter: char) -> &mut Server {
        &mut self.servers[id_of(letter) as usize]
    }

    fn parse(server: &str) -> Candidate {
        let (letter, weight) = server.split_at(1);
        candidate(id_of(letter.chars().next().unwrap()), weight.parse().unwrap())
    }

    /// Opens one connection. Returns the letter of its destination, `!` if there was none.
    pub(super) fn pick(&mut self) -> char {
        let loads = ConnCounts(self.scheduler.candidates(), &self.servers);
        let picked = self.scheduler.pick(&mut self.cursor, &loads, &self.flow, self.now);
        let Some(index) = picked else { return '!' };
        let id = self.scheduler.candidates()[index].id;
        let server = &mut self.servers[id.index()];
        *(if self.tcp { &mut server.active } else { &mut server.inactive }) += 1;
        char::from(b'A' + id.0 as u8 - 1)
    }

    pub(super) fn picks(&mut self, count: usize) -> String {
        (0..count).map(|_| self.pick()).collect()
    }
}
