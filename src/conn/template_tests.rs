//! Rules of persistence templates, and several workers at once.

use super::template::*;
use super::template_key::TemplateKey;
use crate::time::Instant;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

fn key(client: u32) -> TemplateKey {
    TemplateKey {
        protocol: 6,
        client: IpAddr::from(Ipv4Addr::from_bits(client)),
        virtual_address: [192, 0, 2, 1].into(),
        virtual_port: 80,
        call: 0,
    }
}

fn to(destination: u32, timeout_s: u32) -> Option<NewTemplate<'static>> {
    Some(NewTemplate {
        destination,
        destination_port: 8080,
        service: 3,
        timeout_s,
        call_id: b"",
        half_open: false,
    })
}

fn seconds(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

/// Binds a template whose destination is usable; no template may have expired unnoticed.
fn bind(
    templates: &Templates,
    client: u32,
    now: Instant,
    new: Option<NewTemplate<'static>>,
) -> Option<Bound> {
    templates
        .bind(&key(client), Use::Connection, now, |_| true, || new, |_| ())
        .expect("there is room")
}

fn sweep_all(templates: &Templates, now: Instant) -> Vec<u32> {
    let mut gone = Vec::new();
    let everything = 1 << 20;
    templates.sweep(
        &mut SweepCursor::default(),
        everything,
        now,
        |_| false,
        |template| {
            gone.push(template.destination);
        },
    );
    gone
}

#[test]
fn the_second_connection_gets_the_same_destination() {
    let templates = Templates::new(100);
    let first = bind(&templates, 1, seconds(0), to(7, 300)).unwrap();
    let second = bind(&templates, 1, seconds(299), to(8, 300)).unwrap();
    assert!(first.created && !second.created);
    assert_eq!((second.id, second.template.destination), (first.id, 7));
    assert_eq!(second.template.controlled, 2);
    let other = bind(&templates, 2, seconds(299), to(8, 300)).unwrap();
    assert!(other.created && other.template.destination == 8);
    assert_eq!(templates.len(), 2);
    assert!(bind(&templates, 3, seconds(299), None).is_none());
    assert_eq!(templates.len(), 2);
}

#[test]
fn an_unused_template_expires() {
    let templates = Templates::new(100);
    let bound = bind(&templates, 1, seconds(10), to(7, 300)).unwrap();
    assert_eq!(templates.release(bound.id, seconds(20)).unwrap().controlled, 0);
    assert!(sweep_all(&templates, Instant::from_millis(309_999)).is_empty());
    assert_eq!(sweep_all(&templates, seconds(310)), [7]);
    assert!(templates.is_empty());
    assert!(templates.get(bound.id, seconds(310)).is_none());
    assert!(bind(&templates, 1, seconds(310), to(8, 300)).unwrap().created);
}

#[test]
fn expired_templates_are_not_found_before_the_sweep() {
    let templates = Templates::new(100);
    let first = bind(&templates, 1, seconds(0), to(7, 5)).unwrap();
    templates.release(first.id, seconds(1));
    let mut ended = None;
    let gone = |template: &Template| ended = Some(template.destination);
    let second = templates
        .bind(&key(1), Use::Connection, seconds(5), |_| true, || to(8, 5), gone)
        .unwrap()
        .unwrap();
    assert!(second.created);
    assert_eq!((ended, second.template.destination, templates.len()), (Some(7), 8, 1));
}

/// Measured on a kernel: a template of 3 s with a connection of 100 s shows 59 s after 3.6 s, and 59 s again after the
/// next new connection.
#[test]
fn a_template_with_connections_is_extended_by_a_minute_and_keeps_that_timeout() {
    let templates = Templates::new(100);
    let bound = bind(&templates, 1, seconds(0), to(7, 3)).unwrap();
    let template = templates.get(bound.id, Instant::from_millis(3600)).unwrap();
    assert_eq!(template.remaining(Instant::from_millis(3600)).as_millis(), 59_400);
    assert!(sweep_all(&templates, seconds(4)).is_empty());
    let again = bind(&templates, 1, seconds(5), to(8, 300)).unwrap();
    assert_eq!((again.template.destination, again.template.timeout_s), (7, 60));
    assert_eq!(again.template.remaining(Instant::from_millis(5400)).as_millis(), 59_600);
    // Extended at 65 and 125; then the connections are gone and it expires at the next deadline.
    templates.release(bound.id, seconds(70));
    assert_eq!(templates.release(bound.id, seconds(130)).unwrap().controlled, 0);
    assert!(sweep_all(&templates, seconds(184)).is_empty());
    assert_eq!(sweep_all(&templates, seconds(185)), [7]);
}

/// As in the kernel, a connection that ends together with its template ends first.
#[test]
fn a_connection_that_ends_with_its_template_does_not_extend_it() {
    let templates = Templates::new(10);
    let bound = bind(&templates, 1, seconds(0), to(7, 300)).unwrap();
    let late = Instant::from_millis(300_130);
    assert!(sweep_all(&templates, late).is_empty(), "the end of the connection is not noticed yet");
    templates.release(bound.id, late);
    assert_eq!(sweep_all(&templates, late), [7]);
}

#[test]
fn an_unusable_template_is_invalidated() {
    let templates = Templates::new(100);
    let first = bind(&templates, 1, seconds(0), to(7, 300)).unwrap();
    let usable = |template: &Template| template.destination != 7;
    let second = templates
        .bind(&key(1), Use::Connection, seconds(100), usable, || to(8, 300), |_| ())
        .unwrap()
        .unwrap();
    assert!(second.created && second.id != first.id);
    let old = templates.get(first.id, seconds(100)).unwrap();
    assert_eq!((old.key.virtual_port, old.destination_port), (65535, 65535));
    assert_eq!((old.destination, old.remaining(seconds(100)).as_secs()), (7, 200));
    assert_eq!(bind(&templates, 1, seconds(101), to(9, 300)).unwrap().id, second.id);
    templates.release(first.id, seconds(102));
    assert_eq!(sweep_all(&templates, seconds(300)), [7]);
    assert_eq!(bind(&templates, 1, seconds(300), to(9, 300)).unwrap().id, second.id);
}

#[test]
fn one_packet_connections_are_counted_only() {
    let templates = Templates::new(100);
    for packets in 1..4 {
        let bound = templates
            .bind(&key(1), Use::OnePacket, seconds(0), |_| true, || to(7, 30), |_| ())
            .unwrap()
            .unwrap();
        assert_eq!((bound.template.in_packets, bound.template.controlled), (packets, 0));
    }
    assert_eq!(sweep_all(&templates, seconds(30)), [7]);
}

#[test]
fn only_idle_templates_can_be_removed() {
    let templates = Templates::new(100);
    let bound = bind(&templates, 1, seconds(0), to(7, 300)).unwrap();
    assert!(templates.remove_if(bound.id, |_| true).is_none());
    templates.release(bound.id, seconds(1));
    templates.assure(bound.id);
    assert!(templates.remove_if(bound.id, |template| !template.assured).is_none());
    assert_eq!(templates.get(bound.id, seconds(1)).unwrap().state_name(), "ASSURED");
    assert_eq!(templates.remove_if(bound.id, |_| true).unwrap().destination, 7);
    assert!(templates.is_empty());
    assert!(templates.remove_if(TemplateId(0), |_| true).is_none());
    assert!(templates.remove_if(TemplateId(u32::MAX), |_| true).is_none());
}

#[test]
fn the_defence_removes_unwanted_unused_templates() {
    let templates = Templates::new(100);
    let idle = bind(&templates, 1, seconds(0), to(1, 300)).unwrap();
    templates.release(idle.id, seconds(0));
    bind(&templates, 2, seconds(0), to(2, 300)).unwrap();
    let mut gone = Vec::new();
    let note = |template: &Template| gone.push(template.destination);
    templates.sweep(&mut SweepCursor::default(), 1 << 20, seconds(1), |_| true, note);
    assert_eq!(gone, [1]);
}

#[test]
fn bounded_and_reusable() {
    const CAPACITY: u32 = 10_000;
    let templates = Templates::new(CAPACITY as usize);
    let fill = || {
        let mut clients = 0;
        let full = |client| {
            let bound = templates.bind(
                &key(client),
                Use::OnePacket,
                seconds(0),
                |_| true,
                || to(7, 30),
                |_| (),
            );
            // Known clients, which nothing replaces.
            bound.map(|bound| templates.confirm(bound.unwrap().id)).is_err()
        };
        while !full(clients) {
            clients += 1;
        }
        clients
    };
    for _ in 0..3 {
        let clients = fill();
        assert!((CAPACITY..2 * CAPACITY).contains(&clients), "{clients}");
        assert_eq!(templates.len(), clients as usize);
        assert_eq!(sweep_all(&templates, seconds(30)).len(), clients as usize);
        assert!(templates.is_empty());
    }
}

#[test]
fn listings_show_each_once_and_sweeps_visit_all() {
    let templates = Templates::new(5000);
    for client in 0..5000 {
        bind(&templates, client, seconds(0), to(client, 300)).unwrap();
    }
    for piece in [1, 7, 1000, 100_000] {
        let mut seen = BTreeSet::new();
        let mut cursor = Some(SweepCursor::default());
        while let Some(from) = cursor {
            let (rows, next) = templates.rows_from(from, piece, seconds(1));
            assert!(rows.len() <= piece);
            assert!(rows.iter().all(|(id, template)| seen.insert((*id, template.destination))));
            cursor = next;
        }
        assert_eq!(seen.len(), 5000);
    }
    for (id, _) in templates.rows_from(SweepCursor::default(), 5000, seconds(1)).0 {
        templates.release(id, seconds(1));
    }
    let mut cursor = SweepCursor::default();
    let mut gone = 0;
    for _ in 0..5000usize.div_ceil(100) + 64 {
        templates.sweep(&mut cursor, 100, seconds(300), |_| false, |_| gone += 1);
    }
    assert_eq!(gone, 5000);
}

#[test]
fn workers_bind_the_same_destination() {
    let templates = &Templates::new(1000);
    let given = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                scope.spawn(move || {
                    (0..500)
                        .map(|client| {
                            let new = to(worker, 300);
                            bind(templates, client, seconds(1), new).unwrap().template.destination
                        })
                        .collect::<Vec<u32>>()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(given.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(templates.len(), 500);
    let (rows, _) = templates.rows_from(SweepCursor::default(), 1000, seconds(1));
    assert!(rows.iter().all(|(_, template)| template.controlled == 4));
}

#[test]
fn calls_of_one_client_have_their_own_templates() {
    let templates = Templates::new(100);
    let bind = |call_id: &'static [u8], destination| {
        let key = TemplateKey { call: templates.call(call_id), ..key(1) };
        let new = to(destination, 300).map(|new| NewTemplate { call_id, ..new });
        let bound = templates.bind(&key, Use::OnePacket, seconds(0), |_| true, || new, |_| ());
        (key, bound.unwrap().unwrap())
    };
    let (key, one) = bind(b"one", 1);
    assert_eq!(bind(b"two", 2).1.template.destination, 2);
    assert_eq!(bind(b"one", 3).1.template.destination, 1);
    assert_eq!(templates.call_id(one.id, &key).as_deref(), Some(&b"one"[..]));
    assert_eq!(sweep_all(&templates, seconds(300)).len(), 2);
    assert_eq!(templates.call_id(one.id, &key), None);
    let (key, three) = bind(b"three", 3);
    assert_eq!(templates.call_id(three.id, &key).as_deref(), Some(&b"three"[..]));
}

/// Binds a template of `service` for a half-open connection.
fn bind_half_open(templates: &Templates, client: u32, service: u32) -> Option<Bound> {
    let new = to(service, 300).map(|new| NewTemplate { service, half_open: true, ..new });
    templates
        .bind(&key(client), Use::Connection, seconds(0), |_| true, || new, |_| ())
        .ok()
        .flatten()
}

/// A SYN flood to a service replaces only its own half-open templates. Clients of this service that completed the
/// handshake, and clients of other services, keep their templates.
#[test]
fn a_flood_replaces_its_own_half_open_templates() {
    const CAPACITY: u32 = 3000;
    let templates = Templates::new(CAPACITY as usize);
    let through: Vec<Bound> = (0..100)
        .map(|client| {
            let bound = bind_half_open(&templates, client, 1).unwrap();
            templates.assure(bound.id);
            bound
        })
        .collect();
    let flood: Vec<Bound> =
        (100..20_000).filter_map(|client| bind_half_open(&templates, client, 1)).collect();
    assert!(flood.len() > 19_000, "{} of 19,900 found a place", flood.len());
    assert!(templates.len() <= CAPACITY as usize);
    for bound in &through {
        assert!(templates.get(bound.id, seconds(1)).is_some_and(|template| template.assured));
    }
    for client in 20_000..20_300 {
        assert!(bind_half_open(&templates, client, 2).is_some(), "another service's {client}");
    }
    // Numbers of replaced templates are no longer valid.
    let left = flood.iter().filter(|bound| templates.get(bound.id, seconds(1)).is_some()).count();
    assert!(left < CAPACITY as usize);
    for bound in &flood {
        if templates.release(bound.id, seconds(1)).is_some() {
            continue;
        }
        templates.assure(bound.id);
        assert!(templates.remove_if(bound.id, |_| true).is_none());
    }
    let (rows, _) = templates.rows_from(SweepCursor::default(), 10_000, seconds(1));
    let assured = rows.iter().filter(|(_, template)| template.assured).count();
    assert_eq!(assured, through.len(), "the flood assured nothing");
    assert!(rows.iter().all(|(_, template)| template.controlled <= 1));
}

/// Binds a template of `service` for a packet of UDP.
fn bind_packet(templates: &Templates, client: u32, service: u32) -> Option<Bound> {
    let new = to(service, 300).map(|new| NewTemplate { service, ..new });
    let udp = TemplateKey { protocol: 17, ..key(client) };
    templates.bind(&udp, Use::Connection, seconds(0), |_| true, || new, |_| ()).ok().flatten()
}

/// Floods of UDP packets with forged sources to two services fill the table. New clients find a place, and clients that
/// sent a second packet or were answered keep theirs.
#[test]
fn floods_of_udp_replace_their_own_templates() {
    const CAPACITY: u32 = 20_000;
    let templates = Templates::new(CAPACITY as usize);
    let through: Vec<Bound> = (0..300)
        .map(|client| {
            let bound = bind_packet(&templates, client, 1 + client % 2).unwrap();
            match client % 3 {
                0 => templates.assure(bound.id),
                1 => templates.confirm(bound.id),
                _ => assert!(!bind_packet(&templates, client, 1 + client % 2).unwrap().created),
            }
            bound
        })
        .collect();
    let served = |clients: std::ops::Range<u32>, service| {
        clients.filter_map(|client| bind_packet(&templates, client, service)).count()
    };
    assert!(served(100_000..130_000, 1) > 29_000);
    // At its limit a service replaces its own, and a bounded search may find none.
    assert!(served(200_000..230_000, 2) > 29_000);
    for client in 500_000..500_300 {
        assert!(bind_half_open(&templates, client, 3).is_some(), "another service's {client}");
    }
    assert_eq!((served(300_000..300_100, 1), served(400_000..400_100, 2)), (100, 100));
    for bound in &through {
        assert!(templates.get(bound.id, seconds(1)).is_some(), "{bound:?}");
    }
}

#[test]
fn half_open_connections_are_replaced_before_packets_of_udp() {
    let templates = Templates::new(2000);
    let packets: Vec<Bound> =
        (0..1000).filter_map(|client| bind_packet(&templates, client, 1)).collect();
    assert!((0..1000).all(|client| bind_half_open(&templates, client, 1).is_some()));
    assert_eq!(templates.len(), 2000);
    (1000..1064).for_each(|client| assert!(bind_packet(&templates, client, 1).is_some()));
    assert_eq!((templates.len(), packets.len()), (2000, 1000));
    assert!(packets.iter().all(|bound| templates.get(bound.id, seconds(1)).is_some()));
}

/// Two services whose clients are all there have filled the table. A third one gets its share of it, and no more.
#[test]
fn a_service_that_is_short_gets_its_share() {
    const CAPACITY: u32 = 20_000;
    let templates = Templates::new(CAPACITY as usize);
    let assured = |clients: std::ops::Range<u32>, service| {
        let bound = clients.filter_map(|client| bind_half_open(&templates, client, service));
        bound.map(|bound| templates.assure(bound.id)).count()
    };
    assert_eq!(assured(100_000..120_000, 1), CAPACITY as usize);
    assured(200_000..220_000, 2);
    let full = templates.len();
    assert_eq!(assured(300_000..301_000, 3), 1000);
    assured(400_000..440_000, 3);
    let (rows, _) = templates.rows_from(SweepCursor::default(), 100_000, seconds(1));
    let of = |service| rows.iter().filter(|(_, template)| template.service == service).count();
    let counts = [1, 2, 3].map(of);
    assert!(counts.iter().all(|count| count * 3 > full / 10 * 9), "{counts:?} of {full}");
}

/// A service leaves room for others, even if all its clients complete the handshake.
#[test]
fn a_service_has_no_more_than_its_limit() {
    const CAPACITY: u32 = 2000;
    let templates = Templates::new(CAPACITY as usize);
    let assured = |client, service| {
        bind_half_open(&templates, client, service).map(|bound| templates.assure(bound.id))
    };
    let served = (0..5000).filter_map(|client| assured(client, 1)).count();
    assert_eq!(served, CAPACITY as usize);
    let served = (5000..5200).filter_map(|client| assured(client, 2)).count();
    assert_eq!(served, 200);
    // Later the first service gets room again, even without a sweep.
    let (rows, _) = templates.rows_from(SweepCursor::default(), 10_000, seconds(1));
    for (id, _) in rows {
        templates.release(id, seconds(1));
    }
    let new = to(1, 300).map(|new| NewTemplate { service: 1, ..new });
    let again = templates.bind(&key(9999), Use::Connection, seconds(400), |_| true, || new, |_| ());
    assert!(again.is_ok());
}
