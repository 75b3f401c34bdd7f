//! Cost of the parts of the packet path, each measured separately with all data in the cache.
//!
//! `scripts/bench components` runs it; `bench/README.md` explains the output.

#[path = "support/mod.rs"]
mod support;

use clap::Parser;
use director::conn::Table;
use director::io::{Frame, MemoryFrame};
use director::limits::{BURST, MARK_KINDS};
use director::model::{
    DestinationId, Family, ForwardMethod, InterfaceId, Protocol, SchedulerFlags, SchedulerKind,
    ServiceKey,
};
use director::packet::ethernet::{self, EtherType};
use director::packet::toeplitz::SYMMETRIC_KEY;
use director::packet::{Address, Packet, Parse, Toeplitz, Tuple, checksum, tcp};
use director::rewrite::{self, Layer3, Outer};
use director::scheduler::{Candidate, Change, Cursor, Flow, Load, Scheduler};
use director::snapshot::{
    Adjacency, Destination, Encapsulation, Mark, MarkPrefix, Marks, NextHop, Replies, Snapshot,
    publication,
};
use director::time::Instant;
use director::worker::steering::{Placement, Steering};
use std::net::{IpAddr, Ipv4Addr};
use support::meter::{Cost, call};
use support::report::Report;
use support::testbed::{TestSnapshot, server_address, virtual_address};
use support::traffic::{self, request};

/// Cycles per call of each part.
#[derive(Parser)]
struct Arguments {
    /// File for results as JSON.
    #[arg(long)]
    json: Option<String>,
    /// Passed by Cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Number of different packets, so that branch prediction cannot learn them.
const PACKETS: usize = 256;

fn main() {
    let arguments = Arguments::parse();
    if let Some(cores) = core_affinity::get_core_ids()
        && let Some(core) = cores.last()
    {
        core_affinity::set_for_current(*core);
    }
    let mut report = Report::new("components", "cycles per call, everything in the cache");
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        parse::<u32>(&mut report, protocol);
        parse::<u128>(&mut report, protocol);
    }
    checksums(&mut report);
    hashes::<u32>(&mut report);
    hashes::<u128>(&mut report);
    for services in [1, 100, 10_000] {
        look_services_up(&mut report, services);
        owners_of_replies(&mut report, services);
    }
    for rules in [1, 100, 10_000] {
        marks(&mut report, rules);
    }
    for destinations in [4, 64] {
        schedulers(&mut report, destinations);
    }
    rewrites::<u32>(&mut report);
    rewrites::<u128>(&mut report);
    snapshots(&mut report);
    report.save(arguments.json.as_deref()).expect("the JSON file can be written");
}

fn family<A: Address>() -> &'static str {
    if A::FAMILY == Family::Ipv4 { "IPv4" } else { "IPv6" }
}

/// Frames of many flows, of the minimum length or longer.
fn frames<A: Address>(protocol: Protocol, length: usize) -> Vec<MemoryFrame> {
    let length = length.max(traffic::shortest(A::FAMILY, protocol));
    let frame = |number| {
        let mut bytes = vec![0; length];
        traffic::write_headers(&mut bytes, &request::<A>(number, 4, protocol), tcp::ACK);
        MemoryFrame::new(&bytes)
    };
    (0..PACKETS as u32).map(frame).collect()
}

fn parse<A: Parse>(report: &mut Report, protocol: Protocol) {
    let frames = frames::<A>(protocol, 0);
    let cost = call(|index| {
        let mut packet = Packet::<A>::BLANK;
        let parsed =
            A::parse_into(&frames[index % PACKETS].bytes()[ethernet::ETHERNET..], &mut packet);
        (parsed, packet.flow.source_port)
    });
    report.add("parse", None, &format!("{} {protocol}", family::<A>()), cost);
}

fn checksums(report: &mut Report) {
    let bytes: Vec<u8> = (0..1480u32).map(|number| (number * 7) as u8).collect();
    for length in [20, 60, 1480] {
        let cost = call(|_| checksum::internet(&bytes[..length]));
        report.add("checksum", None, &format!("{length} octets"), cost);
    }
    let cost = call(|index| checksum::update_address(index as u16, index as u32, !index as u32));
    report.add("checksum", None, "address changed", cost);
}

fn hashes<A: Address>(report: &mut Report) {
    let table = Table::<A>::new(1024).expect("memory for 1024 connections");
    let tuples: Vec<Tuple<A>> =
        (0..PACKETS as u32).map(|number| request(number, 4, Protocol::Udp)).collect();
    let cost = call(|index| table.hash(&tuples[index % PACKETS]));
    report.add("hash", None, &format!("{} keyed", family::<A>()), cost);
    let toeplitz = Toeplitz::new(&SYMMETRIC_KEY);
    let cost = call(|index| toeplitz.hash(&tuples[index % PACKETS]));
    report.add("hash", None, &format!("{} Toeplitz", family::<A>()), cost);
}

fn look_services_up(report: &mut Report, services: u32) {
    let snapshot = TestSnapshot { services, destinations: 1, ..dr() };
    let snapshot = snapshot.snapshot::<u32>();
    let tuples: Vec<Tuple<u32>> =
        (0..PACKETS as u32).map(|number| request(number * 41, services, Protocol::Udp)).collect();
    let cost = call(|index| snapshot.services.find(&tuples[index % PACKETS], 0).is_some());
    report.add("service", None, &format!("hit among {services}"), cost);
    let strangers: Vec<Tuple<u32>> = tuples.iter().map(|tuple| tuple.reversed()).collect();
    let cost = call(|index| snapshot.services.find(&strangers[index % PACKETS], 0).is_some());
    report.add("service", None, &format!("miss among {services}"), cost);
}

/// Finds the owner of a packet from a NAT server, with two and with sixteen workers, if this many services share the
/// server.
fn owners_of_replies(report: &mut Report, services: u32) {
    let shared = TestSnapshot { services, ..dr() };
    let (server, port) = (server_address::<u32>(0), 8080);
    let mut replies = Replies::default();
    (0..services)
        .for_each(|service| replies.insert(&shared.key::<u32>(service), server.to_ip(), port));
    let tuples: Vec<Tuple<u32>> = (0..PACKETS as u32)
        .map(|number| Tuple {
            source: server,
            source_port: port,
            ..request::<u32>(number, 1, Protocol::Udp).reversed()
        })
        .collect();
    for workers in [2, 16] {
        let steering = Steering::new(workers, vec![Placement::Software]);
        let cost = call(|index| steering.owners_of_reply(&replies, &tuples[index % PACKETS]));
        let what = format!("{workers} workers, {services} services on one server");
        report.add("owners of a reply", None, &what, cost);
    }
}

/// The mark of a packet, if this many rules mark a port of one virtual address each; and with every kind of rule that is
/// allowed.
fn marks(report: &mut Report, rules: u16) {
    let any = Mark {
        interface: None,
        protocol: None,
        source: None,
        destination: None,
        source_ports: 0..=u16::MAX,
        destination_ports: 0..=u16::MAX,
        mark: 1,
    };
    let prefix =
        |address: u32, length| MarkPrefix { address: address.into(), length, is_ipv6: false };
    let vip = virtual_address::<u32>(0);
    let by_port = |port| Mark {
        protocol: Some(Protocol::Udp.number()),
        destination: Some(prefix(vip, 32)),
        destination_ports: port..=port,
        ..any.clone()
    };
    let tuples: Vec<Tuple<u32>> = (0..PACKETS as u16)
        .map(|number| Tuple {
            destination: vip,
            destination_port: number * 41 % rules,
            ..request(number.into(), 1, Protocol::Udp)
        })
        .collect();
    let marks = Marks::build((0..rules).map(by_port).collect());
    let cost = call(|index| marks.find(InterfaceId(0), &tuples[index % PACKETS]));
    report.add("mark", None, &format!("{rules} ports of one address"), cost);
    if rules > 1 {
        return;
    }
    let nobody = |length| Mark { source: Some(prefix(0x0102_0304, length)), ..any.clone() };
    let marks = Marks::build((1..=MARK_KINDS as u8).map(nobody).collect());
    let cost = call(|index| marks.find(InterfaceId(0), &tuples[index % PACKETS]));
    report.add("mark", None, &format!("{MARK_KINDS} kinds of rules"), cost);
}

fn dr() -> TestSnapshot {
    TestSnapshot::of(ForwardMethod::Route, Protocol::Udp)
}

/// Different loads, no destination overloaded.
struct ConnCounts(Vec<u32>);

impl Load for ConnCounts {
    fn active(&self, index: usize) -> u32 {
        self.0[index]
    }

    fn inactive(&self, index: usize) -> u32 {
        self.0[index] / 2
    }

    fn overloaded(&self, _: usize) -> bool {
        false
    }
}

fn schedulers(report: &mut Report, destinations: u32) {
    let candidates: Vec<Candidate> = (0..destinations)
        .map(|number| Candidate {
            id: DestinationId(number),
            address: server_address::<u32>(number).to_ip(),
            port: 80,
            weight: 1 + number % 4,
        })
        .collect();
    let loads = ConnCounts((0..destinations).map(|number| number * 7919 % 97).collect());
    let flows: Vec<Flow> = (0..PACKETS as u32).map(flow).collect();
    for kind in SchedulerKind::ALL {
        let scheduler = Scheduler::new(kind, SchedulerFlags::default(), candidates.clone());
        let mut cursor = Cursor::default();
        let cost = call(|index| {
            scheduler.pick(&mut cursor, &loads, &flows[index % PACKETS], Instant::from_secs(1))
        });
        report.add("pick", None, &format!("{} of {destinations}", kind.name()), cost);
    }
}

fn flow(number: u32) -> Flow {
    let tuple = request::<u32>(number * 31, 1, Protocol::Tcp);
    Flow {
        source: tuple.source.to_ip(),
        destination: tuple.destination.to_ip(),
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
    }
}

fn rewrites<A: Parse + Layer3>(report: &mut Report) {
    let name = |what: &str| format!("{} {what}", family::<A>());
    let adjacency = Adjacency::unresolved(EtherType::of(A::FAMILY));
    let cost = rewrite::<A, _>(Protocol::Udp, 0, |frame, _| {
        rewrite::decrement_hop_limit::<A>(frame);
        rewrite::write_link_header(frame, &adjacency)
    });
    report.add("rewrite", None, &name("DR"), cost);
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let to: A = server_address(3);
        let cost = rewrite::<A, _>(protocol, 0, |frame, packet| {
            rewrite::decrement_hop_limit::<A>(frame);
            rewrite::translate_destination(frame, packet, to, 8080).is_ok()
        });
        report.add("rewrite", None, &name(&format!("NAT {protocol}")), cost);
    }
    for (encapsulation, what) in [
        (Encapsulation::Ipip, "IPIP"),
        (Encapsulation::Gre { checksum: false }, "GRE"),
        (Encapsulation::Gue { port: 6080, checksum: false }, "GUE"),
        (Encapsulation::Gue { port: 6080, checksum: true }, "GUE checksum"),
    ] {
        let cost = tunnel::<A>(encapsulation);
        report.add("rewrite", None, &name(what), cost);
    }
}

/// Times `work` on parsed frames whose length does not change.
fn rewrite<A: Parse, R>(
    protocol: Protocol,
    length: usize,
    mut work: impl FnMut(&mut MemoryFrame, &Packet<A>) -> R,
) -> Cost {
    let mut frames = frames::<A>(protocol, length);
    let packets: Vec<Packet<A>> =
        frames.iter().map(|frame| parsed(&frame.bytes()[ethernet::ETHERNET..])).collect();
    call(|index| {
        let index = index % PACKETS;
        let ip = ethernet::ETHERNET;
        // Never reaches zero, however many rounds there are.
        frames[index].bytes_mut()[ip + if A::FAMILY == Family::Ipv4 { 8 } else { 7 }] = 64;
        work(&mut frames[index], &packets[index])
    })
}

fn parsed<A: Parse>(bytes: &[u8]) -> Packet<A> {
    A::parse(bytes).expect("made whole")
}

/// Writes the outer headers and removes them again.
fn tunnel<A: Parse + Layer3>(encapsulation: Encapsulation) -> Cost {
    let address = server_address::<A>(0).to_ip();
    let hop = NextHop::unresolved(InterfaceId(0), address);
    let destination = Destination {
        available: true,
        mtu: 1500,
        tunnel_source: virtual_address::<A>(0).to_ip(),
        address,
        encapsulation,
        ..Destination::default()
    }
    .prepared(Some(&NextHop { resolved: true, ..hop }));
    let outer =
        Outer { destination: &destination, copy_dont_fragment: true, identification: 7, flow: 99 };
    rewrite::<A, _>(Protocol::Udp, 0, |frame, packet| {
        let before = frame.bytes().len();
        let done = rewrite::encapsulate(frame, packet, &outer).is_ok();
        let grown = frame.bytes().len() - before;
        frame.trim_front(grown) && done
    })
}

/// 10,000 services with ten destinations: the cost of an edit for control, and of its adoption for a worker.
fn snapshots(report: &mut Report) {
    let snapshot = TestSnapshot { services: 10_000, destinations: 10, ..dr() };
    let first = snapshot.snapshot::<u32>();
    let cost = call(|_| first.clone().epoch);
    report.add("snapshot", None, "copy of 100,000 rows", cost);
    let cost = call(|index| edited(&first, index).destinations.len());
    report.add("snapshot", None, "one destination edited", cost);
    let key = snapshot.key::<u32>(77);
    let cost = call(|index| with_new_weight(&first, &key, 1 + index as u32 % 9));
    report.add("snapshot", None, "one scheduler edited", cost);
    let (mut publisher, mut adopters) = publication(first.clone(), 1);
    let cost = call(|_| adopters[0].adopt());
    report.add("snapshot", None, "nothing to adopt", cost);
    let cost = call(|_| publisher.publish(first.clone()) && adopters[0].adopt());
    report.add("snapshot", None, "copy, publish, adopt", cost);
}

fn edited(first: &Snapshot, index: usize) -> Snapshot {
    let mut next = first.clone();
    let slot = index * BURST % 100_000;
    let mut destination = *next.destinations.get(slot).expect("one of 100,000");
    destination.address = IpAddr::V4(Ipv4Addr::from_bits(index as u32));
    next.destinations.set(slot, destination);
    next
}

fn with_new_weight(first: &Snapshot, key: &ServiceKey, weight: u32) -> usize {
    let service = first.services.get(key).expect("one of 10,000");
    let mut candidates = service.scheduler.candidates().to_vec();
    candidates[0].weight = weight;
    let change = Change::Edited(candidates[0].id);
    service.scheduler.changed(candidates, change).candidates().len()
}
