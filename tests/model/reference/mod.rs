//! IPVS written as slowly and simply as possible: lists are searched from the front, counts are computed each time they
//! are needed. The director must match it.
//!
//! * `commands`: ipvsadm; `trash`: removed destinations
//! * `packets`, `errors`: path of a packet; `scheduling`: new connections; `persistence`: templates
//! * `pick`, `locality`: schedulers; `tcp`: state tables; `time`: timers and statistics; `view`: listings

mod commands;
mod errors;
mod locality;
mod packets;
mod persistence;
mod pick;
mod scheduling;
mod tcp;
mod time;
mod view;

use director::model::{
    Counters, DestinationAddress, DestinationSpec, Family, ForwardMethod, Protocol, ServiceKey,
    ServiceSpec, Sysctls, Timeouts,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use tcp::TcpState;

/// The complete state of a director.
pub struct Reference {
    /// Milliseconds.
    now: u64,
    sysctls: Sysctls,
    timeouts: Timeouts,
    /// Newest first.
    services: Vec<Service>,
    /// Every destination ever added, by number.
    destinations: Vec<Destination>,
    /// Newest first.
    connections: Vec<Connection>,
    /// Newest first.
    templates: Vec<Template>,
    /// Number of services and templates created.
    made: u64,
    /// Time of the next check of the trash.
    trash_due: Option<u64>,
    /// Time of the next estimate of the rates.
    statistics_due: Option<u64>,
    total: Statistics,
    /// The counter of drop_packet.
    drop_counter: i64,
}

struct Service {
    spec: ServiceSpec,
    /// Distinguishes services that had the same key one after another.
    object: u64,
    /// Destination numbers, newest first.
    destinations: Vec<usize>,
    memory: pick::Memory,
    /// lblc and lblcr: servers by destination address, newest first.
    localities: BTreeMap<IpAddr, Vec<DestinationAddress>>,
    statistics: Statistics,
}

struct Destination {
    spec: DestinationSpec,
    key: ServiceKey,
    object: u64,
    place: Place,
    /// The kernel's OVERLOAD flag.
    overloaded: bool,
    statistics: Statistics,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Listed,
    /// Time when it was found unused.
    Trash(Option<u64>),
    Gone,
}

struct Connection {
    protocol: Protocol,
    client: SocketAddr,
    virtual_address: SocketAddr,
    destination: usize,
    /// Address and port after NAT.
    server: SocketAddr,
    method: ForwardMethod,
    /// TCP state; unused for UDP.
    state: TcpState,
    no_output: bool,
    /// Number of its template.
    template: Option<u64>,
    timeout_ms: u64,
    started: u64,
}

struct Template {
    number: u64,
    /// `None`: all protocols, for a service by mark.
    protocol: Option<Protocol>,
    client: IpAddr,
    virtual_address: SocketAddr,
    destination: usize,
    destination_port: u16,
    assured: bool,
    timeout_ms: u64,
    started: u64,
}

/// A connection, with the addresses that client and server see.
pub struct Flow {
    pub protocol: Protocol,
    pub client: SocketAddr,
    pub virtual_address: SocketAddr,
    /// Source of the server's packets.
    pub replies_from: SocketAddr,
    pub server: IpAddr,
}

#[derive(Clone, Copy, Default)]
struct Statistics {
    live: Counters,
    snapshot: Counters,
    base: Counters,
}

impl Reference {
    pub fn new() -> Self {
        Reference {
            now: 0,
            sysctls: Sysctls::default(),
            timeouts: Timeouts::default(),
            services: Vec::new(),
            destinations: Vec::new(),
            connections: Vec::new(),
            templates: Vec::new(),
            made: 0,
            trash_due: None,
            statistics_due: None,
            total: Statistics::default(),
            drop_counter: 0,
        }
    }

    /// One of the connections, to generate packets for it.
    pub fn some_flow(&self, which: usize) -> Option<Flow> {
        let connection = self.connections.get(which % self.connections.len().max(1))?;
        let is_nat = connection.method == ForwardMethod::Masq;
        Some(Flow {
            protocol: connection.protocol,
            client: connection.client,
            virtual_address: connection.virtual_address,
            replies_from: if is_nat { connection.server } else { connection.virtual_address },
            server: connection.server.ip(),
        })
    }

    pub fn service_keys(&self) -> impl Iterator<Item = ServiceKey> {
        self.services.iter().map(|service| service.spec.key)
    }

    pub fn destinations_of(&self, key: &ServiceKey) -> Vec<DestinationSpec> {
        let service = self.services.iter().find(|service| service.spec.key == *key);
        let numbers = service.into_iter().flat_map(|service| &service.destinations);
        numbers.map(|&number| self.destinations[number].spec).collect()
    }

    fn is_available(&self, destination: usize) -> bool {
        self.destinations[destination].place == Place::Listed
    }

    fn serves(&self, family: Family) -> bool {
        self.services.iter().any(|service| service.spec.key.family() == family)
    }

    /// Connections of a destination: (active, inactive).
    fn counts(&self, destination: usize) -> (u32, u32) {
        let own = || self.connections.iter().filter(|other| other.destination == destination);
        let active = own().filter(|connection| connection.is_active()).count();
        (active as u32, (own().count() - active) as u32)
    }

    fn total_of(&self, destination: usize) -> u64 {
        let (active, inactive) = self.counts(destination);
        u64::from(active + inactive)
    }

    fn is_below_threshold(&self, destination: usize) -> bool {
        let spec = &self.destinations[destination].spec;
        let (upper, lower) = (u64::from(spec.upper_threshold), u64::from(spec.lower_threshold));
        let total = self.total_of(destination);
        if lower != 0 { total < lower } else { 4 * total < 3 * upper }
    }

    /// Called when a connection is bound to the destination.
    fn bound(&mut self, destination: usize) {
        let upper = u64::from(self.destinations[destination].spec.upper_threshold);
        if upper != 0 && self.total_of(destination) >= upper {
            self.destinations[destination].overloaded = true;
        }
    }

    /// Called when a connection is released from it.
    fn released(&mut self, destination: usize) {
        let upper = self.destinations[destination].spec.upper_threshold;
        if upper == 0 || self.is_below_threshold(destination) {
            self.destinations[destination].overloaded = false;
        }
    }

    /// Called when its thresholds are set.
    fn edited(&mut self, destination: usize) {
        let upper = u64::from(self.destinations[destination].spec.upper_threshold);
        if upper == 0 {
            self.destinations[destination].overloaded = false;
        } else if self.total_of(destination) >= upper {
            self.destinations[destination].overloaded = true;
        } else if self.is_below_threshold(destination) {
            self.destinations[destination].overloaded = false;
        }
    }

    fn remove_connection(&mut self, index: usize) {
        let connection = self.connections.remove(index);
        self.released(connection.destination);
    }

    /// The connection that a server's packet replies to.
    fn find_answered(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        from: SocketAddr,
    ) -> Option<usize> {
        self.connections.iter().position(|connection| {
            let end = match connection.method {
                ForwardMethod::Masq => connection.server,
                _ => connection.virtual_address,
            };
            (connection.protocol, connection.client, end) == (protocol, client, from)
        })
    }

    fn find_connection(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        virtual_address: SocketAddr,
    ) -> Option<usize> {
        self.connections.iter().position(|connection| {
            (connection.protocol, connection.client, connection.virtual_address)
                == (protocol, client, virtual_address)
        })
    }
}

impl Connection {
    fn is_active(&self) -> bool {
        self.protocol == Protocol::Tcp && self.state.is_active()
    }
}
