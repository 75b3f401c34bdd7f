//! Several workers: each packet finds its connection whatever queue receives it, hand-offs are counted, and none is
//! superfluous.

use crate::scene::*;
use crate::support::director::Shape;
use crate::support::{
    LAN, LAN_MAC, ROUTER_MAC, TestDirector, TestSnapshot, VIP, WAN, WAN_MAC, server_mac,
};
use director::io::MemoryFrame;
use director::model::{DestinationId, ForwardMethod, PortId, Protocol, SchedulerKind};
use director::packet::rss::{Fields, Input, Rule};
use director::packet::tcp::{ACK, SYN};
use director::packet::toeplitz::{SYMMETRIC_KEY, Toeplitz};
use director::packet::{Parse, Tuple};
use director::testing::frame;
use director::worker::steering::Placement;
use std::sync::Arc;

const WORKERS: u16 = 3;
const RETA: usize = 128;

fn placement(is_rss: bool) -> Placement {
    match is_rss {
        true => {
            let reta = (0..RETA as u16).map(|entry| entry % WORKERS).collect();
            Placement::rss(SYMMETRIC_KEY.to_vec(), reta)
        }
        false => Placement::Software,
    }
}

fn several(snapshot: TestSnapshot, is_rss: bool) -> TestDirector {
    let shape = Shape { workers: WORKERS, placement: placement(is_rss), ..Shape::default() };
    TestDirector::shaped(snapshot, shape)
}

/// The RX queue that a device with RSS chooses for the frame.
fn queue(bytes: &[u8]) -> usize {
    let tuple: Tuple<u32> = u32::parse(&bytes[14..]).unwrap().flow;
    Toeplitz::new(&SYMMETRIC_KEY).hash(&tuple) as usize % RETA % usize::from(WORKERS)
}

fn arrive(
    director: &mut TestDirector,
    worker: usize,
    port: PortId,
    bytes: &[u8],
) -> (PortId, Vec<u8>) {
    director.input_at(worker, port, MemoryFrame::new(bytes)).frame()
}

/// Without RSS any worker may receive any frame.
#[test]
fn any_worker_may_receive_any_packet() {
    for client in 1001..1040u16 {
        for (first, second, third) in [(0, 1, 2), (2, 0, 1), (1, 1, 0)] {
            let masq = snapshot(Protocol::Tcp, &["10.1.0.11:8080"], ForwardMethod::Masq);
            let mut director = several(masq, false);
            let syn = request().tcp(client, 80).flags(SYN).build();
            let (port, sent) = arrive(&mut director, first, WAN, &syn);
            assert_eq!(port, LAN);
            assert_eq!(sent, to_server(SERVER).ttl(63).tcp(client, 8080).flags(SYN).build());
            let back = answer(SERVER).tcp(8080, client).flags(SYN | ACK).build();
            let home = to_client(VIP).ttl(63).tcp(80, client).flags(SYN | ACK).build();
            assert_eq!(arrive(&mut director, second, LAN, &back), (WAN, home));
            let ack = request().tcp(client, 80).build();
            arrive(&mut director, third, WAN, &ack);
            assert_eq!(director.state(), ("ESTABLISHED", 900), "one connection, on one worker");
            let totals = director.totals();
            assert_eq!((totals.received, totals.sent), (3, 3));
            assert_eq!(totals.handoff_tx, totals.handoff_rx);
        }
    }
}

/// With RSS a request arrives at its owner. Its reply hashes differently and is handed off at most once.
#[test]
fn replies_are_handed_off_once() {
    let masq = snapshot(Protocol::Udp, &["10.1.0.11:53"], ForwardMethod::Masq);
    let mut director = several(masq, true);
    let mut expected = 0;
    for client in 1001..1200 {
        let query = request().udp(client, 80).payload("q").build();
        let back = answer(SERVER).udp(53, client).payload("a").build();
        let home = queue(&query);
        arrive(&mut director, home, WAN, &query);
        assert_eq!(director.totals().handoff_tx, expected, "requests are not handed off");
        let landed = queue(&back);
        let sent = arrive(&mut director, landed, LAN, &back);
        assert_eq!(sent.1, to_client(VIP).ttl(63).udp(80, client).payload("a").build());
        expected += u64::from(landed != home);
        assert_eq!(director.totals().handoff_tx, expected);
    }
    assert!(expected > 50, "most replies must arrive at another worker");
    assert_eq!(director.totals().handoff_rx, expected);
    assert_eq!(director.counters(ONLY).out_packets, 199);
}

/// Devices that hash by the client's address only: source address on the clients' side, destination address on the
/// servers' side.
fn by_client() -> [Placement; 2] {
    [Input::Source, Input::Destination].map(|input| {
        let all = Fields { tcp: input, udp: input, sctp: input, other: input, fragment: input };
        let reta = (0..RETA as u16).map(|entry| entry % WORKERS).collect();
        Placement::Rss(Arc::new(Rule::new(SYMMETRIC_KEY.to_vec(), reta, all, all)))
    })
}

/// With such devices requests, NAT replies and fragments all arrive at their owner.
#[test]
fn with_client_hashing_nothing_is_handed_off() {
    let masq = snapshot(Protocol::Udp, &["10.1.0.11:53"], ForwardMethod::Masq);
    let shape = Shape { workers: WORKERS, ..Shape::default() };
    let mut director = TestDirector::placed(masq, shape, by_client());
    let mut workers = std::collections::BTreeSet::new();
    for number in 0..200u32 {
        let client = 0x4d01_0000 + number * 40_503;
        let hash = Toeplitz::new(&SYMMETRIC_KEY).hash_address(client) as usize;
        let worker = hash % RETA % usize::from(WORKERS);
        workers.insert(worker);
        let query = frame().macs(WAN_MAC, ROUTER_MAC).ipv4(client, VIP).udp(3000, 80);
        let back = frame().macs(LAN_MAC, server_mac(11)).ipv4(SERVER, client).udp(53, 3000);
        for (port, packet) in [(WAN, query), (LAN, back)] {
            let (egress, _) = arrive(&mut director, worker, port, &packet.clone().build());
            assert_ne!(egress, port);
            for piece in packet.payload([7; 100]).fragments(64) {
                arrive(&mut director, worker, port, &piece);
            }
        }
    }
    assert_eq!(workers.len(), usize::from(WORKERS), "the clients use all workers");
    let totals = director.totals();
    assert_eq!((totals.handoff_tx, totals.handoff_rx, totals.connections), (0, 0, 200));
    assert_eq!(director.counters(ONLY).out_packets, 2 * 200);
}

/// A server of several services: its reply is handed to the owner of each possible connection in turn, until one finds
/// it.
#[test]
fn a_reply_probes_the_owners_of_all_services() {
    let mut snapshot = TestSnapshot::new();
    for port in 80..86 {
        let at = format!("10.0.0.100:{port}");
        let service = snapshot.service(Protocol::Udp, &at, SchedulerKind::Rr);
        snapshot.destination(service, "10.1.0.11:53", ForwardMethod::Masq);
    }
    let mut director = several(snapshot, true);
    for client in 1001..1060 {
        let service = 80 + client % 6;
        let query = request().udp(client, service).build();
        arrive(&mut director, queue(&query), WAN, &query);
        let before = director.totals().handoff_tx;
        let back = answer(SERVER).udp(53, client).build();
        let sent = arrive(&mut director, queue(&back), LAN, &back);
        assert_eq!(sent.1, to_client(VIP).ttl(63).udp(service, client).build());
        assert!(
            director.totals().handoff_tx - before < u64::from(WORKERS),
            "a worker was probed twice"
        );
    }
    // A reply of no connection is probed everywhere and routed unchanged.
    let unmatched = answer(SERVER).udp(53, 999).build();
    let sent = arrive(&mut director, queue(&unmatched), LAN, &unmatched);
    assert_eq!(sent, (WAN, to_client(SERVER).ttl(63).udp(53, 999).build()));
}

#[test]
fn icmp_errors_and_fragments_reach_their_owner() {
    for is_rss in [true, false] {
        for arrives_at in 0..usize::from(WORKERS) {
            let masq = snapshot(Protocol::Udp, &["10.1.0.11:53"], ForwardMethod::Masq);
            let mut director = several(masq, is_rss);
            let query = request().udp(3000, 80).build();
            arrive(&mut director, queue(&query), WAN, &query);
            let seen = to_server(SERVER).udp(3000, 53).packet();
            let error = answer("10.1.0.12").icmp_error(3, 3, 0, &seen).build();
            let (port, sent) = arrive(&mut director, arrives_at, LAN, &error);
            assert_eq!((port, &sent[26..30]), (WAN, &[10, 0, 0, 100][..]), "from the VIP");

            let back = answer(SERVER).udp(53, 3000).payload([1; 100]).fragments(64);
            let home = to_client(VIP).ttl(63).udp(80, 3000).payload([1; 100]).fragments(64);
            let mut sent = Vec::new();
            for piece in [1, 0] {
                let frame = MemoryFrame::new(&back[piece]);
                let outcome = director.input_at(arrives_at, LAN, frame);
                assert!(outcome.drops.is_empty() && outcome.punts.is_empty(), "{outcome:?}");
                sent.extend(outcome.sent.into_iter().map(|(_, frame)| frame));
            }
            sent.sort();
            let mut home = home;
            home.sort();
            assert_eq!(sent, home, "rss {is_rss}, at worker {arrives_at}");
        }
    }
}

/// Three workers together spread connections evenly over the servers.
#[test]
fn three_workers_schedule_evenly() {
    let servers = ["10.1.0.11:80", "10.1.0.12:80", "10.1.0.13:80", "10.1.0.14:80"];
    let mut director = several(snapshot(Protocol::Tcp, &servers, ForwardMethod::Route), true);
    for client in 0..400u32 {
        let from = 0x4d00_0000 + client * 7;
        let syn =
            frame().macs(WAN_MAC, ROUTER_MAC).ipv4(from, VIP).tcp(3000, 80).flags(SYN).build();
        arrive(&mut director, queue(&syn), WAN, &syn);
    }
    for id in 0..4 {
        let connections = director.counters(DestinationId(id)).connections;
        assert!(connections.abs_diff(100) <= u64::from(WORKERS) + 1, "{id}: {connections}");
    }
}

/// All workers share the templates: a client keeps its server on every worker.
#[test]
fn persistence_over_all_workers() {
    let servers = ["10.1.0.11:80", "10.1.0.12:80", "10.1.0.13:80"];
    let mut snapshot = snapshot(Protocol::Tcp, &servers, ForwardMethod::Route);
    snapshot.persist(director::model::ServiceId(0), 300);
    let mut director = several(snapshot, true);
    let mut workers = std::collections::BTreeSet::new();
    let mut seen = std::collections::BTreeSet::new();
    for port in 1001..1050 {
        let syn = request().tcp(port, 80).flags(SYN).build();
        workers.insert(queue(&syn));
        seen.insert(server_of(&arrive(&mut director, queue(&syn), WAN, &syn).1));
    }
    assert_eq!((workers.len(), seen.len()), (usize::from(WORKERS), 1));
    assert_eq!(director.shared.templates.len(), 1);
}
