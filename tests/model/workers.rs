//! Two workers, and frames that arrive at either of them: a flow keeps its server, replies are translated, clients
//! follow their templates, and every connection exists once.

use crate::observation::{Outcome, Sent};
use crate::site;
use crate::step::Packet;
use crate::subject::Subject;
use director::api::Command;
use director::model::{
    DestinationAddress, DestinationSpec, Family, ForwardMethod, Persistence, PersistenceMask,
    Protocol, SchedulerFlags, SchedulerKind, ServiceKey, ServiceSpec, Tunnel,
};
use director::packet::tcp;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

const WORKERS: u16 = 2;
const PACKETS: usize = 1500;

/// A service, its method, the port of its servers, and if it is persistent.
const SERVICES: [(Protocol, &str, u16, SchedulerKind, ForwardMethod, u16, bool); 5] = [
    (Protocol::Tcp, site::VIPS[0], 80, SchedulerKind::Rr, ForwardMethod::Masq, 8080, false),
    (Protocol::Udp, site::VIPS[0], 53, SchedulerKind::Wlc, ForwardMethod::Route, 53, false),
    (Protocol::Tcp, site::VIPS[1], 0, SchedulerKind::Wrr, ForwardMethod::Masq, 0, true),
    (Protocol::Tcp, site::VIPS[2], 80, SchedulerKind::Lc, ForwardMethod::Masq, 80, false),
    (Protocol::Udp, site::VIPS[2], 5000, SchedulerKind::Rr, ForwardMethod::Tunnel, 5000, true),
];

fn configure(subject: &mut Subject) {
    for (protocol, vip, port, scheduler, method, server_port, is_persistent) in SERVICES {
        let address = site::ip(vip);
        let family = Family::of(address);
        let key = ServiceKey::Address { protocol, address, port };
        let persistence = is_persistent
            .then_some(Persistence { timeout_s: 300, mask: PersistenceMask::full(family) });
        let spec = ServiceSpec {
            key,
            scheduler,
            scheduler_flags: SchedulerFlags::empty(),
            one_packet: false,
            persistence,
            persistence_engine: None,
        };
        subject.apply(&Command::AddService(spec)).expect("a new service");
        let servers = site::SERVERS.map(site::ip);
        for address in servers.into_iter().filter(|server| Family::of(*server) == family) {
            let destination = DestinationSpec {
                at: DestinationAddress { address, port: server_port },
                method,
                weight: 1,
                upper_threshold: 0,
                lower_threshold: 0,
                tunnel: Tunnel::Ipip,
            };
            let command = Command::AddDestination { service: key, destination };
            subject.apply(&command).expect("a new destination");
        }
    }
}

/// A client's flow.
type Flow = (Protocol, SocketAddr, SocketAddr);

struct Watch {
    subject: Subject,
    random: fastrand::Rng,
    /// Server and reply source of each flow.
    flows: HashMap<Flow, (IpAddr, SocketAddr)>,
    /// Server of each client of a persistent service.
    clients: HashMap<(IpAddr, IpAddr), IpAddr>,
}

impl Watch {
    fn packet(&mut self, flow: Flow, is_first: bool) -> Packet {
        let (protocol, source, destination) = flow;
        Packet {
            by: site::CLIENT_SIDE,
            protocol,
            source,
            destination,
            flags: match protocol {
                Protocol::Tcp if is_first => tcp::SYN,
                Protocol::Tcp => tcp::ACK,
                _ => 0,
            },
            ttl: 64,
            dont_fragment: false,
            payload: 10,
        }
    }

    fn deliver(&mut self, packet: &Packet) -> Sent {
        let worker = self.random.usize(..usize::from(WORKERS));
        match self.subject.receive(packet.by, &packet.frame(), worker) {
            Outcome::Sent(sent) => sent,
            other => panic!("{packet}, to worker {worker}: {other:?}"),
        }
    }

    fn request(&mut self) {
        let (protocol, vip, port, _, _, _, is_persistent) =
            SERVICES[self.random.usize(..SERVICES.len())];
        let vip = site::ip(vip);
        let clients: Vec<_> = site::CLIENTS.iter().map(|client| site::ip(client)).collect();
        let same_family: Vec<_> =
            clients.into_iter().filter(|client| client.is_ipv4() == vip.is_ipv4()).collect();
        let client = same_family[self.random.usize(..same_family.len())];
        let port = if port == 0 { 443 } else { port };
        let flow = (
            protocol,
            SocketAddr::new(client, 3000 + 50 * (port % 97) + self.random.u16(..40)),
            SocketAddr::new(vip, port),
        );
        let known = self.flows.get(&flow).copied();
        let packet = self.packet(flow, known.is_none());
        let sent = self.deliver(&packet);
        match known {
            Some((server, _)) => {
                assert_eq!(sent.next_hop, server, "{packet} went to another server")
            }
            None => {
                self.flows.insert(flow, (sent.next_hop, sent.destination));
            }
        }
        if is_persistent {
            let kept = *self.clients.entry((client, vip)).or_insert(sent.next_hop);
            assert_eq!(sent.next_hop, kept, "{packet} went to another server than its client's");
        }
    }

    fn reply(&mut self) {
        if self.flows.is_empty() {
            return;
        }
        let which = self.random.usize(..self.flows.len());
        let (&(protocol, client, virtual_address), &(server, at)) =
            self.flows.iter().nth(which).expect("one of them");
        if at.ip() != server {
            return;
        }
        let mut packet = self.packet((protocol, at, client), false);
        packet.by = site::SERVER_SIDE;
        let sent = self.deliver(&packet);
        let expected = (virtual_address, client, client.ip());
        assert_eq!((sent.source, sent.destination, sent.next_hop), expected, "{packet}");
    }

    fn check_listing(&mut self) {
        let listing = self.subject.listing();
        for &(protocol, client, virtual_address) in self.flows.keys() {
            let rows = listing.connections.iter().filter(|row| {
                (row.client, row.virtual_address) == (client, virtual_address)
                    && row.protocol == protocol.name()
            });
            assert_eq!(rows.count(), 1, "rows of {protocol} {client} > {virtual_address}");
        }
        let destinations = || listing.services.iter().flat_map(|service| &service.destinations);
        let counted: u32 = destinations().map(|row| row.active + row.inactive).sum();
        assert_eq!(counted as usize, self.flows.len(), "ActiveConn and InActConn");
        let templates: u32 = destinations().map(|row| row.persistent).sum();
        assert_eq!(templates as usize, self.clients.len(), "PersistConn");
    }
}

#[test]
fn two_workers_act_as_one_director() {
    for seed in 1..=4 {
        let mut subject = Subject::new(WORKERS);
        configure(&mut subject);
        let mut watch = Watch {
            subject,
            random: fastrand::Rng::with_seed(seed),
            flows: HashMap::new(),
            clients: HashMap::new(),
        };
        for number in 0..PACKETS {
            match watch.random.u8(..10) {
                0..=5 => watch.request(),
                6..=8 => watch.reply(),
                _ => watch.subject.tick(),
            }
            if number % 100 == 99 {
                watch.check_listing();
            }
        }
        let (flows, clients) = (watch.flows.len(), watch.clients.len());
        assert!(flows > 300 && clients >= 6, "{flows} flows of {clients} clients");
    }
}
