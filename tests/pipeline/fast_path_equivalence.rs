//! The fast path is only a short cut: a director with it and one that sends every packet through the full path send,
//! count and store the same, for any packets and changes of configuration.

use crate::scene::*;
use crate::support::director::Shape;
use crate::support::{LAN, TestDirector, TestSnapshot, VIP, VIP6, WAN};
use director::io::MemoryFrame;
use director::model::{
    DestinationId, Family, ForwardMethod, PortId, Protocol, SchedulerKind, Tunnel, TunnelChecksum,
};
use director::packet::{Address, sctp, tcp};
use director::testing::PacketBuilder;
use director::time::Duration;
use director::worker::TableJob;
use proptest::prelude::*;
use std::net::IpAddr;

/// Two servers and the director itself.
const DESTINATIONS: u8 = 3;
/// A small table, so that `drop_entry` applies.
const CONNECTIONS: usize = 16;

/// The service and its destinations.
#[derive(Clone, Debug)]
struct Scene {
    protocol: Protocol,
    family: Family,
    servers: Family,
    method: ForwardMethod,
    tunnel: Tunnel,
    /// Port of the servers; services have port 80.
    port: u16,
    is_persistent: bool,
}

impl Scene {
    fn director(&self, is_full_path: bool) -> TestDirector {
        let shape = Shape { connections: CONNECTIONS, ..Shape::default() };
        TestDirector::shaped(self.snapshot(is_full_path), shape)
    }

    fn snapshot(&self, is_full_path: bool) -> TestSnapshot {
        let mut snapshot = TestSnapshot::new();
        snapshot.is_full_path = is_full_path;
        let at = if self.family == Family::Ipv4 { "10.0.0.100:80" } else { "[fd00:a::100]:80" };
        let service = snapshot.service(self.protocol, at, SchedulerKind::Rr);
        for number in 0..DESTINATIONS {
            let at = match (self.servers, number) {
                (Family::Ipv4, 2) => format!("10.1.0.1:{}", self.port),
                (Family::Ipv6, 2) => format!("[::1]:{}", self.port),
                (Family::Ipv4, _) => format!("10.1.0.{}:{}", 11 + number, self.port),
                (Family::Ipv6, _) => format!("[fd00:b::{}]:{}", 11 + number, self.port),
            };
            let id = snapshot.destination(service, &at, self.method);
            snapshot.edit_destination(id, |spec| spec.tunnel = self.tunnel);
        }
        if self.is_persistent {
            snapshot.persist(service, 60);
        }
        snapshot
    }

    fn server(&self, number: u8) -> IpAddr {
        let text = match self.servers {
            Family::Ipv4 => format!("10.1.0.{}", 11 + number),
            Family::Ipv6 => format!("fd00:b::{}", 11 + number),
        };
        text.parse().unwrap()
    }

    /// Where the servers' packets come from.
    fn reply_source(&self, said: &Said) -> (String, u16) {
        if said.is_translated && self.family == self.servers {
            return (self.server(said.server).to_string(), self.port);
        }
        let virtual_address = if self.family == Family::Ipv4 { VIP } else { VIP6 };
        (virtual_address.to_owned(), 80)
    }

    fn frames(&self, said: &Said) -> (PortId, Vec<Vec<u8>>) {
        let client = 3000 + u16::from(said.client);
        let (from, port) = self.reply_source(said);
        match (self.family, said.is_reply) {
            (Family::Ipv4, is_reply) => {
                let packet = if is_reply { answer(&from) } else { request() };
                let packet = if said.is_whole && said.dont_fragment { packet.df() } else { packet };
                self.finish(packet, said, client, port)
            }
            (Family::Ipv6, true) => self.finish(answer6(&from), said, client, port),
            (Family::Ipv6, false) => self.finish(request6(), said, client, port),
        }
    }

    fn finish<A: Address>(
        &self,
        packet: PacketBuilder<A>,
        said: &Said,
        client: u16,
        server: u16,
    ) -> (PortId, Vec<Vec<u8>>) {
        let (source, destination) = if said.is_reply { (server, client) } else { (client, 80) };
        let packet = packet.ttl(said.ttl);
        let packet = match self.protocol {
            Protocol::Tcp => packet.tcp(source, destination).flags(said.flags),
            Protocol::Udp => packet.udp(source, destination),
            Protocol::Sctp => packet.sctp(source, destination, said.chunk),
        };
        let packet = packet.payload(vec![sctp::ABORT; said.payload]);
        let frames = match said.is_whole {
            true => vec![self.bundled(packet.build(), said)],
            false => packet.identification(u32::from(said.flags) + 1).fragments(96),
        };
        (if said.is_reply { LAN } else { WAN }, frames)
    }

    /// Turns the payload of an SCTP packet into a second chunk: an ABORT.
    fn bundled(&self, mut frame: Vec<u8>, said: &Said) -> Vec<u8> {
        let ip = if self.family == Family::Ipv4 { 20 } else { 40 };
        if self.protocol == Protocol::Sctp && said.is_bundled {
            let length = 14 + ip + sctp::HEADER + 2;
            frame[length..length + 2].copy_from_slice(&[0, sctp::CHUNK_HEADER as u8]);
        }
        frame
    }
}

/// A packet from the client or a server.
#[derive(Clone, Debug)]
struct Said {
    is_reply: bool,
    /// Reply from the server's own address, as with NAT.
    is_translated: bool,
    client: u8,
    server: u8,
    flags: u8,
    chunk: u8,
    is_bundled: bool,
    payload: usize,
    ttl: u8,
    dont_fragment: bool,
    is_whole: bool,
}

#[derive(Clone, Debug)]
enum Doing {
    /// One burst for each port.
    Say(Vec<Said>),
    Pass(u64),
    Edit(Edit),
    /// Runs `drop_entry`, which depends on each connection's counts and times.
    Defend,
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Mtu(PortId, u16),
    Remove(u8),
    Restore(u8, ForwardMethod),
    Method(u8, ForwardMethod),
    Weight(u8, i32),
    Resolved(u8),
    RouterResolved,
    Routed(u8),
    Route(u8, u16),
    RoutesAway,
    InboundOff,
    SecureTcp,
    PathMtuDiscovery,
    ExpireNoDestination,
    Reuse(i32),
    Timeout(u32),
}

fn toggle(set: &mut std::collections::BTreeSet<IpAddr>, address: IpAddr) {
    if !set.remove(&address) {
        set.insert(address);
    }
}

impl Edit {
    fn apply(self, scene: &Scene, snapshot: &mut TestSnapshot) {
        let service = director::model::ServiceId(0);
        let id = |number: u8| DestinationId(number.into());
        let may_be =
            |method| scene.family == scene.servers || matches!(method, ForwardMethod::Tunnel);
        let sysctls = &mut snapshot.settings.sysctls;
        match self {
            Edit::Mtu(port, mtu) => snapshot.mtu[port.index()] = mtu,
            Edit::Remove(number) => snapshot.remove_destination(id(number)),
            Edit::Restore(number, method) if may_be(method) => {
                let at = std::net::SocketAddr::new(scene.server(number), scene.port);
                snapshot.destination(service, &at.to_string(), method);
            }
            Edit::Method(number, method) if may_be(method) => {
                snapshot.edit_destination(id(number), |spec| spec.method = method);
            }
            Edit::Restore(..) | Edit::Method(..) => {}
            Edit::Weight(number, weight) => {
                snapshot.edit_destination(id(number), |spec| spec.weight = weight as _);
            }
            Edit::Resolved(number) => toggle(&mut snapshot.unresolved, scene.server(number)),
            Edit::RouterResolved => {
                for router in ["10.0.0.254", "fd00:a::fe"] {
                    toggle(&mut snapshot.unresolved, router.parse().unwrap());
                }
            }
            Edit::Routed(number) => toggle(&mut snapshot.unrouted, scene.server(number)),
            Edit::Route(number, mtu) => {
                for (client, length, gateway) in
                    [(CLIENT, 32, "10.1.0."), (CLIENT6, 128, "fd00:b::")]
                {
                    let gateway = format!("{gateway}{}", 11 + number).parse().unwrap();
                    let to = (client.parse().unwrap(), length);
                    snapshot.routes.retain(|route| route.0 != to);
                    snapshot.routes.push((to, LAN, Some(gateway), mtu));
                }
            }
            Edit::RoutesAway => snapshot.routes.clear(),
            Edit::InboundOff => snapshot.settings.inbound_off ^= true,
            Edit::SecureTcp => snapshot.settings.secure_tcp ^= true,
            Edit::PathMtuDiscovery => sysctls.pmtu_disc ^= 1,
            Edit::ExpireNoDestination => sysctls.expire_nodest_conn ^= 1,
            Edit::Reuse(mode) => sysctls.conn_reuse_mode = mode,
            Edit::Timeout(seconds) => {
                let timeouts = &mut snapshot.settings.timeouts;
                (timeouts.tcp, timeouts.udp) = (seconds, seconds);
            }
        }
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    let family = || prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)];
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let checksum = || prop_oneof![Just(TunnelChecksum::None), Just(TunnelChecksum::Full)];
    let tunnel = prop_oneof![
        2 => Just(Tunnel::Ipip),
        1 => checksum().prop_map(|checksum| Tunnel::Gue { port: 6080, checksum }),
        1 => checksum().prop_map(|checksum| Tunnel::Gre { checksum }),
    ];
    let port = prop_oneof![Just(80), Just(8080)];
    (protocol, family(), family(), method(), tunnel, port, prop::bool::weighted(0.2)).prop_map(
        |(protocol, family, servers, method, tunnel, port, is_persistent)| {
            // Only tunnels change the address family, and only NAT changes the port.
            let servers = if method == ForwardMethod::Tunnel { servers } else { family };
            let port = if method == ForwardMethod::Masq { port } else { 80 };
            Scene { protocol, family, servers, method, tunnel, port, is_persistent }
        },
    )
}

fn method() -> impl Strategy<Value = ForwardMethod> + Clone {
    prop_oneof![Just(ForwardMethod::Masq), Just(ForwardMethod::Route), Just(ForwardMethod::Tunnel)]
}

fn said() -> impl Strategy<Value = Said> {
    let flags = prop_oneof![
        6 => Just(tcp::ACK),
        2 => Just(tcp::SYN),
        1 => Just(tcp::SYN | tcp::ACK),
        1 => Just(tcp::FIN | tcp::ACK),
        1 => Just(tcp::RST),
        1 => any::<u8>(),
    ];
    let chunk = prop_oneof![3 => Just(sctp::INIT), 3 => Just(sctp::DATA), 6 => 0..16u8];
    let payload = prop_oneof![3 => 0..200usize, 2 => 480..560usize, 1 => 1180..1420usize];
    let ttl = prop_oneof![12 => Just(64u8), 1 => 1..4u8];
    let kind = (any::<bool>(), prop::bool::weighted(0.8), 0..2u8, 0..2u8);
    let shape = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.9));
    (kind, flags, chunk, payload, ttl, shape).prop_map(
        |(kind, flags, chunk, payload, ttl, shape)| {
            let (is_reply, is_translated, client, server) = kind;
            let (is_bundled, dont_fragment, is_whole) = shape;
            let is_bundled = is_bundled && payload >= sctp::CHUNK_HEADER;
            Said {
                is_reply,
                is_translated,
                client,
                server,
                flags,
                chunk,
                is_bundled,
                payload,
                ttl,
                dont_fragment,
                is_whole,
            }
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    let port = prop_oneof![Just(WAN), Just(LAN)];
    let mtu =
        || prop_oneof![3 => Just(1500u16), 2 => 560..620u16, 1 => 60..120u16, 2 => 1270..1340u16];
    let servers = 0..2u8;
    prop_oneof![
        (port, mtu()).prop_map(|(port, mtu)| Edit::Mtu(port, mtu)),
        servers.clone().prop_map(Edit::Remove),
        (servers.clone(), method()).prop_map(|(number, method)| Edit::Restore(number, method)),
        (servers.clone(), method()).prop_map(|(number, method)| Edit::Method(number, method)),
        (servers.clone(), 0..2i32).prop_map(|(number, weight)| Edit::Weight(number, weight)),
        servers.clone().prop_map(Edit::Resolved),
        Just(Edit::RouterResolved),
        servers.clone().prop_map(Edit::Routed),
        (servers, prop_oneof![Just(0), mtu()]).prop_map(|(number, mtu)| Edit::Route(number, mtu)),
        Just(Edit::RoutesAway),
        Just(Edit::InboundOff),
        Just(Edit::SecureTcp),
        Just(Edit::PathMtuDiscovery),
        Just(Edit::ExpireNoDestination),
        (0..4i32).prop_map(Edit::Reuse),
        (1..30u32).prop_map(Edit::Timeout),
    ]
}

fn doings() -> impl Strategy<Value = Vec<Doing>> {
    let doing = prop_oneof![
        8 => prop::collection::vec(said(), 1..6).prop_map(Doing::Say),
        1 => (0..20_000u64).prop_map(Doing::Pass),
        3 => edit().prop_map(Doing::Edit),
        1 => Just(Doing::Defend),
    ];
    prop::collection::vec(doing, 1..30)
}

/// Performs the step and returns everything visible after it.
fn observed(director: &mut TestDirector, scene: &Scene, doing: &Doing) -> String {
    let outcome = match doing {
        Doing::Say(packets) => {
            for (port, frames) in packets.iter().map(|said| scene.frames(said)) {
                let mut wire = director.wires[0][port.index()].borrow_mut();
                wire.to_receive.extend(frames.iter().map(|frame| MemoryFrame::new(frame)));
            }
            director.settle()
        }
        Doing::Pass(ms) => director.pass(Duration::from_millis(*ms)),
        Doing::Edit(edit) => {
            director.change(|snapshot| edit.apply(scene, snapshot));
            director.settle()
        }
        Doing::Defend => {
            let outcome = director.pass_s(61);
            let family = scene.family;
            director.job(0, TableJob::DropEntries { family, entries: 4 * CONNECTIONS as u32 });
            outcome
        }
    };
    let connections = director.connections(scene.family);
    let destinations = (0..DESTINATIONS).map(|number| DestinationId(number.into()));
    let counts: Vec<_> =
        destinations.map(|id| (director.counters(id), director.load(id))).collect();
    format!("{outcome:?}\n{connections:?}\n{counts:?}\n{:?}", director.totals())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn fast_path_and_full_path_give_the_same_result(scene in scene(), doings in doings()) {
        let mut fast = scene.director(false);
        let mut full = scene.director(true);
        for doing in &doings {
            let expected = observed(&mut full, &scene, doing);
            prop_assert_eq!(observed(&mut fast, &scene, doing), expected, "{:?}", doing);
        }
    }
}
