//! Random steps, based on the current state of the reference.

use crate::reference::Reference;
use crate::site;
use crate::step::{IcmpError, Packet, Step};
use director::api::Command;
use director::model::{
    DestinationAddress, DestinationSpec, Family, ForwardMethod, Persistence, PersistenceMask,
    Protocol, SchedulerFlags, SchedulerKind, ServiceKey, ServiceSpec, Timeouts, Tunnel,
};
use director::packet::tcp;
use std::net::{IpAddr, SocketAddr};

/// What the steps of a run may contain.
#[derive(Clone, Copy)]
pub struct Scope {
    pub schedulers: &'static [SchedulerKind],
    /// Of ten services this many are persistent.
    pub persistent: u8,
    /// Settings are changed.
    pub sysctls: bool,
}

/// Settings and values for them.
const SYSCTLS: [(&str, &[i32]); 9] = [
    ("schedule_icmp", &[0, 1]),
    ("expire_nodest_conn", &[0, 0, 1]),
    ("expire_quiescent_template", &[0, 1]),
    ("conn_reuse_mode", &[0, 1, 1, 2, 3]),
    ("sloppy_tcp", &[0, 0, 1]),
    ("nat_icmp_send", &[0, 1]),
    ("drop_packet", &[0, 0, 0, 3]),
    ("am_droprate", &[2, 3, 10]),
    ("secure_tcp", &[0, 0, 3]),
];

/// Flags of a client's or a server's segment; usual ones are more frequent.
const FLAGS: [u8; 12] = [
    tcp::SYN,
    tcp::SYN,
    tcp::SYN,
    tcp::ACK,
    tcp::ACK,
    tcp::ACK,
    tcp::SYN | tcp::ACK,
    tcp::FIN | tcp::ACK,
    tcp::FIN,
    tcp::RST,
    tcp::RST | tcp::SYN,
    0,
];

/// A pseudo-random generator; its state is only the seed.
pub struct Generator {
    random: fastrand::Rng,
    scope: Scope,
}

impl Generator {
    pub fn new(seed: u64, scope: Scope) -> Self {
        Generator { random: fastrand::Rng::with_seed(seed), scope }
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.random.usize(..list.len())]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(..100) < percent
    }

    pub fn step(&mut self, state: &Reference) -> Step {
        match self.random.u8(..100) {
            0..=11 => Step::Apply(self.command(state)),
            12 if self.scope.sysctls => {
                let (name, values) = self.one_of(&SYSCTLS);
                Step::Sysctl(name, self.one_of(values))
            }
            12..=19 => Step::Wait(self.wait()),
            20..=24 => self.icmp_error(state),
            25..=39 => self.follow_up(state, true),
            40..=59 => self.follow_up(state, false),
            _ => Step::Packet(self.request()),
        }
    }

    /// Mostly short waits, sometimes longer than the longest timers.
    fn wait(&mut self) -> u32 {
        match self.random.u8(..20) {
            0 => self.random.u32(1000..6000),
            1..=4 => self.random.u32(100..1000),
            _ => self.random.u32(1..100),
        }
    }

    fn command(&mut self, state: &Reference) -> Command {
        let known: Vec<_> = state.service_keys().collect();
        let any = self.one_of(&site::service_keys());
        let key = match known.is_empty() || self.chance(15) {
            true => any,
            false => self.one_of(&known),
        };
        match self.random.u8(..100) {
            0..=14 => Command::AddService(self.service(any)),
            15..=19 => Command::EditService(self.service(key)),
            20..=22 => Command::DeleteService(key),
            23 if self.chance(20) => Command::Flush,
            23..=26 => Command::Zero(self.chance(70).then_some(key)),
            27..=28 => Command::SetTimeouts(Timeouts {
                tcp: self.one_of(&[0, 900, 200, 31]),
                tcp_fin: self.one_of(&[0, 120, 45]),
                udp: self.one_of(&[0, 300, 17]),
            }),
            29..=64 => {
                Command::AddDestination { service: key, destination: self.destination(&key, None) }
            }
            65..=84 => {
                let at = self.known_destination(state, &key);
                Command::EditDestination { service: key, destination: self.destination(&key, at) }
            }
            _ => {
                let at = self.known_destination(state, &key);
                let at = at.unwrap_or_else(|| self.destination(&key, None).at);
                Command::DeleteDestination { service: key, at }
            }
        }
    }

    fn known_destination(
        &mut self,
        state: &Reference,
        key: &ServiceKey,
    ) -> Option<DestinationAddress> {
        let known = state.destinations_of(key);
        (!known.is_empty() && !self.chance(5)).then(|| self.one_of(&known).at)
    }

    fn service(&mut self, key: ServiceKey) -> ServiceSpec {
        let needs_persistence = matches!(key.port(), 0 | 21) && !key.is_fwmark();
        let is_persistent =
            (needs_persistence && !self.chance(10)) || self.random.u8(..10) < self.scope.persistent;
        let mask = match key.family() {
            Family::Ipv4 => {
                PersistenceMask::Ipv4(self.one_of(&[u32::MAX, u32::MAX, 0xffff_ff00, 0]).into())
            }
            Family::Ipv6 => PersistenceMask::Ipv6(self.one_of(&[128, 112, 64])),
        };
        let timeout_s = self.one_of(&[300, 60, 17, 5]);
        let is_udp = matches!(key, ServiceKey::Address { protocol: Protocol::Udp, .. });
        ServiceSpec {
            key,
            scheduler: self.one_of(self.scope.schedulers),
            scheduler_flags: SchedulerFlags::from_bits_truncate(self.one_of(&[0, 0, 1, 2, 3])),
            one_packet: (is_udp || key.is_fwmark()) && self.chance(20),
            persistence: is_persistent.then_some(Persistence { timeout_s, mask }),
            persistence_engine: None,
        }
    }

    fn destination(&mut self, key: &ServiceKey, at: Option<DestinationAddress>) -> DestinationSpec {
        let is_mixed = self.chance(4);
        let family = match (key.family(), is_mixed) {
            (Family::Ipv4, false) | (Family::Ipv6, true) => Family::Ipv4,
            _ => Family::Ipv6,
        };
        let at = at.unwrap_or_else(|| self.one_of(&site::destination_addresses(family)));
        let (upper_threshold, lower_threshold) =
            self.one_of(&[(0, 0), (0, 0), (0, 0), (2, 0), (3, 0), (4, 2), (5, 1), (6, 6), (2, 3)]);
        let methods =
            [ForwardMethod::Masq, ForwardMethod::Masq, ForwardMethod::Route, ForwardMethod::Tunnel];
        DestinationSpec {
            at,
            method: self.one_of(&methods),
            weight: self.one_of(&[1, 1, 2, 3, 4, 6, 0]),
            upper_threshold,
            lower_threshold,
            tunnel: Tunnel::Ipip,
        }
    }

    fn ttl(&mut self) -> u8 {
        if self.chance(2) { 1 } else { 64 }
    }

    /// From a client to a VIP.
    fn request(&mut self) -> Packet {
        let vip = site::ip(self.one_of(&site::VIPS));
        let clients: Vec<IpAddr> = site::CLIENTS
            .iter()
            .map(|client| site::ip(client))
            .filter(|client| client.is_ipv4() == vip.is_ipv4())
            .collect();
        let destination = SocketAddr::new(vip, self.one_of(&site::PORTS));
        let flow = self.random.u16(..6);
        let port = if self.chance(1) { 20 } else { site::client_port(destination, flow) };
        let protocol = match destination.port() {
            80 | 21 if !self.chance(5) => Protocol::Tcp,
            53 if !self.chance(5) => Protocol::Udp,
            _ => self.one_of(&[Protocol::Tcp, Protocol::Udp]),
        };
        let is_large = self.chance(3);
        let source = SocketAddr::new(self.one_of(&clients), port);
        self.packet(protocol, source, destination, true, is_large)
    }

    fn packet(
        &mut self,
        protocol: Protocol,
        source: SocketAddr,
        destination: SocketAddr,
        is_from_client: bool,
        is_large: bool,
    ) -> Packet {
        Packet {
            by: if is_from_client { site::CLIENT_SIDE } else { site::SERVER_SIDE },
            protocol,
            source,
            destination,
            flags: if protocol == Protocol::Tcp { self.one_of(&FLAGS) } else { 0 },
            ttl: self.ttl(),
            dont_fragment: is_large,
            payload: if is_large { self.random.u16(1400..1440) } else { self.random.u16(..20) },
        }
    }

    /// An ICMP error about a packet of a connection or of none.
    fn icmp_error(&mut self, state: &Reference) -> Step {
        let which = self.random.usize(..64);
        let Some(flow) = state.some_flow(which) else { return Step::Packet(self.request()) };
        let (protocol, client, mut end) = (flow.protocol, flow.client, flow.replies_from);
        let message_type = match client.is_ipv4() {
            true => self.one_of(&[3, 3, 11, 4, 5, 12]),
            false => self.one_of(&[1, 1, 2, 3]),
        };
        if self.chance(10) {
            end.set_port(8081);
        }
        let mut virtual_address = flow.virtual_address;
        if self.chance(20) {
            virtual_address.set_port(self.one_of(&site::PORTS));
        }
        // A client quotes a reply as it received it, a server a request.
        let (by, about, sender, to) = match self.chance(50) {
            true => {
                let reply = self.packet(protocol, virtual_address, client, false, false);
                (site::CLIENT_SIDE, reply, client.ip(), virtual_address.ip())
            }
            false => {
                let request = self.packet(protocol, client, end, true, false);
                (site::SERVER_SIDE, request, flow.server, client.ip())
            }
        };
        if sender.is_ipv4() != to.is_ipv4() {
            return Step::Packet(self.request());
        }
        Step::Error(IcmpError { by, sender, to, message_type, ttl: self.ttl(), about })
    }

    /// Another packet of a connection, from its client or its server.
    fn follow_up(&mut self, state: &Reference, is_from_client: bool) -> Step {
        let which = self.random.usize(..64);
        let Some(flow) = state.some_flow(which) else { return Step::Packet(self.request()) };
        if is_from_client {
            let (from, to) = (flow.client, flow.virtual_address);
            return Step::Packet(self.packet(flow.protocol, from, to, true, false));
        }
        let mut from = flow.replies_from;
        if self.chance(3) {
            from.set_port(8080);
        }
        Step::Packet(self.packet(flow.protocol, from, flow.client, false, false))
    }
}
