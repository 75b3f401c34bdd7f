//! Start of a worker: it receives no frame before its first snapshot.

use crate::scene::*;
use crate::support::{TestSnapshot, VIP, WAN};
use director::io::{MemoryFrame, MemoryQueue};
use director::model::{ForwardMethod, Protocol, SchedulerKind};
use director::packet::tcp::SYN;
use director::snapshot::Snapshot;
use director::time::Instant;
use director::worker::steering::{Placement, Steering};
use director::worker::{Sizing, connect_rings};
use std::rc::Rc;

#[test]
fn frames_wait_for_the_first_snapshot() {
    let sizing = Sizing {
        workers: 1,
        ports: 2,
        connections_ipv4: 64,
        connections_ipv6: 64,
        services: 8,
        destinations: 8,
        templates: 8,
    };
    let steering = Steering::new(1, vec![Placement::Software; 2]);
    let (mut control, builders, shared) = connect_rings(sizing, Snapshot::default(), steering);
    let queues: Vec<MemoryQueue> = (0..2).map(|_| MemoryQueue::default()).collect();
    let wires: Vec<_> = queues.iter().map(|queue| Rc::clone(&queue.wire)).collect();
    let mut worker = builders.into_iter().next().unwrap().build(queues).unwrap();
    let syn = MemoryFrame::new(&request().tcp(3000, 80).flags(SYN).build());
    wires[WAN.index()].borrow_mut().to_receive.push_back(syn);

    assert_eq!(worker.poll(Instant::from_secs(1)), 0);
    assert_eq!(wires[WAN.index()].borrow().to_receive.len(), 1, "it waits");
    assert_eq!(shared.counters[0].queues[0].rx_packets.get(), 0);

    let mut first = TestSnapshot::new();
    let service = first.service(Protocol::Tcp, &format!("{VIP}:80"), SchedulerKind::Rr);
    first.destination(service, "10.1.0.11:80", ForwardMethod::Route);
    assert!(control.publisher.publish(first.snapshot()));
    assert_eq!(worker.poll(Instant::from_secs(2)), 1);
    assert_eq!(wires[1].borrow().sent.len(), 1);
}
