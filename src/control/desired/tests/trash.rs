//! Removed destinations: kept, restored, forgotten; and their slots.

use super::*;

#[test]
fn a_restored_destination_keeps_its_slot_and_connections() {
    let mut fixture = Fixture::with_service();
    let one = server("10.1.0.11");
    fixture.ok(add(key(80), one));
    let id = fixture.slots(&key(80))[0];
    fixture.stats(1, id).conn_added(true);
    fixture.ok(delete(key(80), &one));
    assert!(!fixture.row(id).available);
    assert_eq!(fixture.desired.destinations_len(), 0);
    // Restored with other attributes, after hours, at the head of the list.
    fixture.pass(1..=7200);
    fixture.ok(add(key(80), server("10.1.0.12")));
    fixture.ok(add(key(80), DestinationSpec { weight: 9, ..one }));
    assert_eq!(fixture.slots(&key(80))[0], id);
    let row = fixture.newest(&key(80));
    assert_eq!((row.available, row.weight), (true, 9));
}

#[test]
fn a_service_added_again_gets_its_removed_destinations() {
    let mut fixture = Fixture::with_service();
    fixture.ok(Command::AddService(service(81)));
    fixture.ok(add(key(80), server("10.1.0.11")));
    let (service_slot, _) = fixture.desired.service(&key(80)).unwrap();
    let id = fixture.slots(&key(80))[0];
    fixture.ok(Command::Flush);
    // Neither another service nor another destination gets the slots.
    fixture.ok(Command::AddService(service(82)));
    fixture.ok(add(key(82), server("10.1.0.11")));
    assert_ne!(fixture.desired.service(&key(82)).unwrap().0, service_slot);
    assert_ne!(fixture.slots(&key(82))[0], id);
    fixture.ok(Command::AddService(service(80)));
    assert_eq!(fixture.desired.service(&key(80)).unwrap().0, service_slot);
    assert_eq!(fixture.slots(&key(80)), [], "destinations are not restored automatically");
    fixture.ok(add(key(80), server("10.1.0.11")));
    assert_eq!(fixture.slots(&key(80)), [id]);
}

#[test]
fn slots_are_free_when_unused_and_after_a_time() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let id = fixture.slots(&key(80))[0];
    fixture.stats(0, id).template_added();
    fixture.ok(Command::DeleteService(key(80)));
    fixture.pass(1..=1000);
    assert_eq!((fixture.desired.trash.len(), fixture.desired.by_key.len()), (1, 1));
    // Another worker removes the template than the one that created it.
    fixture.stats(1, id).template_removed();
    // Found unused at 1020, so it may be forgotten from 1140 on.
    fixture.pass(1001..=1139);
    assert_eq!(fixture.desired.trash.len(), 1);
    fixture.pass(1140..=1140);
    assert_eq!((fixture.desired.trash.len(), fixture.desired.by_key.len()), (0, 0));
    assert_eq!(fixture.wanted().len(), 1, "only the gateway");
    fixture.ok(Command::AddService(service(90)));
    fixture.ok(add(key(90), server("10.1.0.12")));
    assert_eq!(fixture.slots(&key(90)), [id]);
}

/// From here on every worker uses the newest generation.
fn acknowledge(fixture: &mut Fixture) {
    fixture.desired.acknowledged(fixture.desired.generation());
}

#[test]
fn full_tables_accept_new_ones_at_once_after_deleting_all() {
    let mut fixture = Fixture::new();
    let fill = |fixture: &mut Fixture, first: u16| {
        for port in (first..).take(CAPACITY.services) {
            fixture.ok(Command::AddService(service(port)));
            for last in 0..CAPACITY.destinations / CAPACITY.services {
                fixture.ok(add(key(port), server(&format!("10.1.0.{}", 10 + last))));
            }
        }
    };
    for round in 0..3 {
        fill(&mut fixture, 80 + 10 * round);
        fixture.ok(Command::Flush);
        acknowledge(&mut fixture);
    }
}

#[test]
fn slots_that_connections_use_are_not_given_to_others() {
    let mut fixture = Fixture::new();
    for port in 80..84 {
        fixture.ok(Command::AddService(service(port)));
        fixture.ok(add(key(port), server("10.1.0.11")));
        fixture.ok(add(key(port), server("10.1.0.12")));
    }
    let used = fixture.slots(&key(80))[0];
    let (service_slot, _) = fixture.desired.service(&key(80)).unwrap();
    fixture.stats(0, used).conn_added(true);
    fixture.ok(Command::Flush);
    acknowledge(&mut fixture);
    for port in 90..93 {
        fixture.ok(Command::AddService(service(port)));
        assert_ne!(fixture.desired.service(&key(port)).unwrap().0, service_slot);
    }
    assert_eq!(fixture.apply(Command::AddService(service(93))), Err(RefusalCode::ENOMEM));
    for last in 1..CAPACITY.destinations {
        fixture.ok(add(key(90), server(&format!("10.1.0.{}", 10 + last))));
    }
    assert!(!fixture.slots(&key(90)).contains(&used));
    let one_more = add(key(90), server("10.1.0.99"));
    assert_eq!(fixture.apply(one_more.clone()), Err(RefusalCode::ENOMEM));
    // When the last connection ends, both slots are free at once.
    fixture.stats(1, used).conn_removed(true);
    fixture.ok(Command::AddService(service(93)));
    fixture.ok(one_more);
}

/// A worker with the old snapshot may still create a connection with the slot.
#[test]
fn a_slot_is_reused_only_after_every_worker_knows_of_the_removal() {
    let mut fixture = Fixture::with_service();
    for last in 0..CAPACITY.destinations {
        fixture.ok(add(key(80), server(&format!("10.1.0.{}", 10 + last))));
    }
    acknowledge(&mut fixture);
    assert!(!fixture.desired.is_room_to_come());
    fixture.ok(delete(key(80), &server("10.1.0.10")));
    let other = add(key(80), server("10.1.0.99"));
    assert_eq!(fixture.apply(other.clone()), Err(RefusalCode::ENOMEM));
    assert!(fixture.desired.is_room_to_come());
    acknowledge(&mut fixture);
    fixture.ok(other);
}

/// ICMP errors about the connections of a removed destination are still sent to it, so it keeps its next hop. That is
/// solicited only for such a packet, also after a reload.
#[test]
fn a_removed_destination_keeps_its_next_hop_but_does_not_need_it_resolved() {
    let mut fixture = Fixture::with_service();
    let one = server("10.1.0.11");
    fixture.ok(add(key(80), one));
    let id = fixture.slots(&key(80))[0];
    fixture.stats(0, id).conn_added(true);
    fixture.ok(Command::AddService(service(81)));
    fixture.ok(add(key(81), one));
    let wanted = fixture.wanted().clone();
    let next_hop = fixture.row(id).next_hop;
    fixture.ok(delete(key(80), &one));
    assert_eq!(*fixture.wanted(), wanted, "the other service still needs it");
    fixture.ok(delete(key(81), &one));
    let gateway = BTreeSet::from([(InterfaceId(1), ip("10.1.0.254"))]);
    assert_eq!(*fixture.wanted(), gateway);
    let routes = Arc::clone(&fixture.desired.snapshot().routes);
    fixture.desired.set_routes(routes);
    fixture.desired.sweep(|| true);
    assert_eq!(*fixture.wanted(), gateway);
    assert_eq!(fixture.row(id).next_hop, next_hop);
    fixture.ok(add(key(80), one));
    assert_eq!(*fixture.wanted(), wanted);
    assert_eq!(fixture.row(id).next_hop, next_hop);
}

#[test]
fn nat_replies_are_registered_while_there_may_be_connections() {
    let mut fixture = Fixture::with_service();
    let one = server("10.1.0.11");
    let reply = crate::packet::Tuple::<u32> {
        source: u32::from_be_bytes([10, 1, 0, 11]),
        destination: u32::from_be_bytes([10, 0, 0, 2]),
        source_port: 80,
        destination_port: 4000,
        protocol: 6,
    };
    let known =
        |fixture: &Fixture| fixture.desired.next.replies.request_addresses(&reply).next().is_some();
    let is_server = |fixture: &Fixture| fixture.desired.next.replies.has_server(&reply);
    fixture.ok(add(key(80), DestinationSpec { method: ForwardMethod::Route, ..one }));
    assert!(!known(&fixture));
    fixture.ok(edit(key(80), one));
    assert!(known(&fixture) && is_server(&fixture));
    fixture.ok(edit(key(80), DestinationSpec { method: ForwardMethod::Route, ..one }));
    assert!(known(&fixture), "connections keep their method");
    assert!(!is_server(&fixture), "new connections do not use NAT");
    fixture.ok(delete(key(80), &one));
    assert!(known(&fixture));
    fixture.ok(add(key(80), one));
    fixture.ok(delete(key(80), &one));
    fixture.pass(1..=500);
    assert!(fixture.desired.snapshot().replies.is_empty());
}

#[test]
fn only_destinations_of_sip_services_may_open_calls() {
    let mut fixture = Fixture::new();
    let sip = |engine: Option<&str>| ServiceSpec {
        key: ServiceKey::Address {
            protocol: Protocol::Udp,
            address: "10.0.0.100".parse().unwrap(),
            port: 5060,
        },
        persistence: Some(Persistence {
            timeout_s: 300,
            mask: PersistenceMask::full(Family::Ipv4),
        }),
        persistence_engine: engine.map(str::to_owned),
        ..service(80)
    };
    let at = server("10.1.0.11");
    let datagram = crate::packet::Tuple::<u32> {
        source: u32::from_be_bytes([10, 1, 0, 11]),
        source_port: at.at.port,
        protocol: 17,
        ..Default::default()
    };
    let may_call = |fixture: &Fixture| fixture.desired.next.replies.sip_caller(&datagram).is_some();
    fixture.ok(Command::AddService(sip(None)));
    fixture.ok(add(sip(None).key, at));
    assert!(!may_call(&fixture));
    fixture.ok(Command::EditService(sip(Some("sip"))));
    assert!(may_call(&fixture));
    fixture.ok(edit(sip(None).key, DestinationSpec { method: ForwardMethod::Route, ..at }));
    assert!(!may_call(&fixture));
    fixture.ok(edit(sip(None).key, at));
    assert!(may_call(&fixture));
    fixture.ok(Command::EditService(sip(None)));
    assert!(!may_call(&fixture));
    fixture.ok(Command::EditService(sip(Some("sip"))));
    fixture.ok(delete(sip(None).key, &at));
    assert!(!may_call(&fixture), "it is removed");
}
