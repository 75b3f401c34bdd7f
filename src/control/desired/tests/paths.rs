//! Next hops, MTU and tunnel source of destinations after changes of routes, neighbours, path MTUs and own addresses.

use super::*;
use crate::snapshot::{NextHop, UNROUTED};
use crate::testing::logged;

impl Fixture {
    fn hop(&self, key: &ServiceKey) -> NextHop {
        *self.desired.next.next_hops.get(self.newest(key).next_hop.0 as usize).unwrap()
    }
}

#[test]
fn routes_decide_next_hop_mtu_and_tunnel_source() {
    // (server, next hop, its interface, MTU, tunnel source)
    let cases = [
        ("10.0.0.11", "10.0.0.11", 0, 1500, "10.0.0.1"),
        ("10.1.0.11", "10.1.0.11", 1, 9000, "10.1.0.1"),
        ("10.9.0.11", "10.1.0.254", 1, 1400, "10.1.0.1"),
        ("fd00:a::11", "fd00:a::11", 0, 1500, "fd00:a::1"),
    ];
    for (address, next_hop, interface, mtu, source) in cases {
        let mut fixture = Fixture::with_service();
        let spec = DestinationSpec { method: ForwardMethod::Tunnel, ..server(address) };
        fixture.ok(add(key(80), spec));
        let (row, hop) = (fixture.newest(&key(80)), fixture.hop(&key(80)));
        assert_eq!(
            (hop.address, hop.interface),
            (ip(next_hop), InterfaceId(interface)),
            "{address}"
        );
        assert_eq!((row.mtu, row.tunnel_source), (mtu, ip(source)), "{address}");
        assert!(!row.is_local && !hop.resolved, "{address}");
        let gateway = (InterfaceId(1), ip("10.1.0.254"));
        assert_eq!(
            *fixture.wanted(),
            BTreeSet::from([gateway, (InterfaceId(interface), ip(next_hop))]),
            "{address}"
        );
    }
}

#[test]
fn new_routes_move_destinations() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("172.16.0.1")));
    let row = fixture.newest(&key(80));
    assert_eq!((row.next_hop, row.mtu), (UNROUTED, 0));
    let default = ((ip("0.0.0.0"), 0), InterfaceId(0), Some(ip("10.0.0.254")), 0);
    let nowhere = ((ip("10.1.0.0"), 24), InterfaceId(7), None, 0);
    fixture.desired.set_routes(Arc::new(Routes::build([default, nowhere])));
    fixture.desired.sweep(|| true);
    assert_eq!(fixture.newest(&key(80)).mtu, 1500);
    assert_eq!(fixture.hop(&key(80)).address, ip("10.0.0.254"));
    assert_eq!(*fixture.wanted(), BTreeSet::from([(InterfaceId(0), ip("10.0.0.254"))]));
    fixture.ok(add(key(80), server("10.1.0.11")));
    assert_eq!(fixture.newest(&key(80)).mtu, 0, "over a interface that does not exist");
}

#[test]
fn neighbours_reach_next_hops_and_the_table() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let (interface, address) = (InterfaceId(1), ip("10.1.0.11"));
    let mac = [2, 9, 9, 9, 9, 9];
    fixture.desired.neighbour_changed(interface, address, Some(mac));
    fixture.desired.sweep(|| true);
    let hop = fixture.hop(&key(80));
    assert!(hop.resolved);
    assert_eq!(hop.adjacency.header[..14], [2, 9, 9, 9, 9, 9, 2, 0, 0, 0, 0, 1, 8, 0]);
    let neighbours = |fixture: &Fixture| fixture.desired.next.neighbours.get(interface, address);
    assert_eq!(neighbours(&fixture), Some(fixture.newest(&key(80)).next_hop));
    let before = fixture.desired.generation();
    fixture.desired.neighbour_changed(interface, address, Some(mac));
    fixture.desired.sweep(|| true);
    fixture.desired.neighbour_changed(interface, ip("10.1.0.99"), None);
    fixture.desired.sweep(|| true);
    assert_eq!(fixture.desired.generation(), before, "no news");
    // The destination is removed while the neighbour stays; then the neighbour too.
    fixture.ok(delete(key(80), &server("10.1.0.11")));
    fixture.pass(1..=300);
    assert!(neighbours(&fixture).is_some());
    fixture.desired.neighbour_changed(interface, address, None);
    fixture.desired.sweep(|| true);
    assert_eq!(neighbours(&fixture), None);
    fixture.ok(add(key(80), server("10.1.0.11")));
    assert!(!fixture.hop(&key(80)).resolved);
}

#[test]
fn a_next_hop_that_is_lost_is_logged() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let mut changed = |mac| {
        let desired = &mut fixture.desired;
        logged(|| desired.neighbour_changed(InterfaceId(1), ip("10.1.0.11"), mac))
    };
    assert_eq!(changed(Some([2; 6])), ["debug: next hop 10.1.0.11 has a MAC address"]);
    let lost = "warn: next hop 10.1.0.11 is unreachable: it has no MAC address any more";
    assert_eq!(changed(None), [lost]);
    assert!(changed(None).is_empty(), "no news");
}

#[test]
fn changes_of_forwarding_change_its_number() {
    let mut fixture = Fixture::with_service();
    let mut last = 0;
    let mut changed = |fixture: &Fixture| {
        let now = fixture.desired.next.forwarding;
        std::mem::replace(&mut last, now) != now
    };
    assert!(changed(&fixture), "it is never 0");
    fixture.ok(add(key(80), server("10.1.0.11")));
    assert!(!changed(&fixture), "no next hop has changed");
    let (interface, address) = (InterfaceId(1), ip("10.1.0.11"));
    for (mac, is_other) in [(Some([2; 6]), true), (Some([4; 6]), false), (None, true)] {
        fixture.desired.neighbour_changed(interface, address, mac);
        fixture.desired.sweep(|| true);
        assert_eq!(changed(&fixture), is_other, "{mac:?}: the next hop's slot keeps its number");
    }
    let default = ((ip("0.0.0.0"), 0), InterfaceId(0), Some(ip("10.0.0.254")), 0);
    fixture.desired.set_routes(Arc::new(Routes::build([default])));
    fixture.desired.sweep(|| true);
    assert!(changed(&fixture));
    // Nothing is routed to a new address of the director any more.
    fixture.ok(Command::AddService(service(81)));
    assert!(!changed(&fixture), "it has the address already");
    let address = ip("10.0.0.101");
    let other = ServiceKey::Address { protocol: Protocol::Tcp, address, port: 80 };
    fixture.ok(Command::AddService(spec(other)));
    assert!(changed(&fixture));
    fixture.desired.set_vip_networks(vec!["10.7.0.0/24".parse().unwrap()]);
    assert!(changed(&fixture));
}

#[test]
fn published_snapshots_stay_as_they_were() {
    let mut fixture = Fixture::with_service();
    fixture.ok(add(key(80), server("10.1.0.11")));
    let id = fixture.slots(&key(80))[0].index();
    let before = fixture.desired.snapshot();
    fixture.ok(Command::Flush);
    let after = fixture.desired.snapshot();
    assert!(before.services.get(&key(80)).is_some() && after.services.get(&key(80)).is_none());
    assert!(before.destinations.get(id).unwrap().available);
    assert!(!after.destinations.get(id).unwrap().available);
    let vip = u32::from_be_bytes([10, 0, 0, 100]);
    assert!(before.local.contains(vip) && !after.local.contains(vip));
}

#[test]
fn path_mtus_are_used_for_ten_minutes() {
    let mut fixture = Fixture::with_service();
    let address = ip("10.9.0.11");
    let mtu_at = |fixture: &mut Fixture, second| {
        fixture.desired.expire_path_mtus(Instant::from_secs(second));
        fixture.desired.sweep(|| true);
        fixture.newest(&key(80)).mtu
    };
    fixture.desired.path_mtu_learned(address, 1000, Instant::START);
    fixture.desired.sweep(|| true);
    fixture.ok(add(key(80), server("10.9.0.11")));
    assert_eq!(mtu_at(&mut fixture, 0), 1400, "there was no destination");
    fixture.desired.path_mtu_learned(address, 1401, Instant::START);
    fixture.desired.sweep(|| true);
    assert_eq!(mtu_at(&mut fixture, 0), 1400);
    fixture.desired.path_mtu_learned(address, 1000, Instant::START);
    fixture.desired.sweep(|| true);
    assert_eq!(mtu_at(&mut fixture, 599), 1000);
    fixture.desired.path_mtu_learned(address, 1200, Instant::from_secs(300));
    fixture.desired.sweep(|| true);
    assert_eq!(mtu_at(&mut fixture, 599), 1000, "a larger one does not raise it");
    assert_eq!(mtu_at(&mut fixture, 600), 1400);
    fixture.desired.path_mtu_learned(address, 68, Instant::from_secs(600));
    fixture.desired.sweep(|| true);
    assert_eq!(mtu_at(&mut fixture, 600), 552);
}

/// Observed on a kernel: the cached route of a destination keeps its MTU until the next packet, and an edit empties the
/// cache.
#[test]
fn a_client_is_told_the_mtu_of_the_cached_route() {
    let mut fixture = Fixture::with_service();
    let spec = DestinationSpec { method: ForwardMethod::Tunnel, ..server("10.9.0.11") };
    fixture.ok(Command::AddService(service(81)));
    fixture.ok(add(key(80), spec));
    fixture.ok(add(key(81), spec));
    let [one, other] = [80, 81].map(|port| fixture.slots(&key(port))[0]);
    let packet = |fixture: &Fixture, id| fixture.stats(0, id).count_in(40);
    let told = |fixture: &mut Fixture, id, mtu| {
        let address = ip("10.9.0.11");
        let told = fixture.desired.tunnel_mtu_learned(id, address, mtu, Instant::START);
        fixture.desired.sweep(|| true);
        told
    };
    assert_eq!(told(&mut fixture, one, 100), 100, "nothing is cached: the reported one");
    fixture.desired.expire_path_mtus(Instant::from_secs(600));
    fixture.desired.sweep(|| true);
    packet(&fixture, one);
    packet(&fixture, other);
    assert_eq!(told(&mut fixture, one, 1500), 1400, "above the route's MTU: nothing is learned");
    for _ in 0..2 {
        assert_eq!(told(&mut fixture, one, 1000), 1400, "the cached route is older");
    }
    assert_eq!(fixture.newest(&key(80)).mtu, 1000);
    packet(&fixture, one);
    assert_eq!(told(&mut fixture, one, 1000), 1000);
    assert_eq!(told(&mut fixture, one, 900), 900, "the exception itself is cached");
    assert_eq!(told(&mut fixture, one, 300), 552);
    assert_eq!(told(&mut fixture, other, 800), 1400, "it had no packet since then");
    fixture.ok(edit(key(80), spec));
    assert_eq!(told(&mut fixture, one, 300), 300);
    fixture.stats(1, one).count_in(40);
    assert_eq!(told(&mut fixture, one, 700), 552, "packets of every worker count");
    fixture.ok(delete(key(81), &spec));
    assert_eq!(told(&mut fixture, other, 800), 1400);
    fixture.ok(add(key(81), spec));
    assert_eq!(told(&mut fixture, other, 800), 800);
}

#[test]
fn own_addresses_follow_services_and_configuration() {
    let mut fixture = Fixture::with_service();
    fixture.ok(Command::AddService(service(81)));
    assert_eq!(*fixture.vips(), BTreeSet::from([ip("10.0.0.100")]));
    // A real server that is the director itself.
    fixture.desired.set_vips(BTreeSet::from([ip("10.0.0.200"), ip("10.0.0.100")]));
    fixture.desired.sweep(|| true);
    fixture.ok(add(key(80), server("10.0.0.200")));
    let row = fixture.newest(&key(80));
    assert_eq!((row.is_local, row.next_hop), (true, UNROUTED));
    assert_eq!(fixture.vips().len(), 2);
    let local = |fixture: &Fixture, last| {
        fixture.desired.next.local.contains(u32::from_be_bytes([10, 0, 0, last]))
    };
    fixture.desired.set_vips(BTreeSet::new());
    fixture.desired.sweep(|| true);
    assert!(!fixture.newest(&key(80)).is_local && !local(&fixture, 200));
    fixture.ok(Command::DeleteService(key(80)));
    assert!(local(&fixture, 100), "the other service has it");
    fixture.ok(Command::DeleteService(key(81)));
    assert!(!local(&fixture, 100) && local(&fixture, 1));
    assert!(fixture.vips().is_empty());
}

#[test]
fn every_address_of_a_vip_network_is_local() {
    let mut fixture = Fixture::with_service();
    let inside = server("10.1.0.65");
    fixture.ok(add(key(80), inside));
    let id = fixture.slots(&key(80))[0];
    let hop = (InterfaceId(1), inside.at.address);
    assert!(!fixture.row(id).is_local && fixture.wanted().contains(&hop));
    let networks = ["10.1.0.64/26", "fd00:c::/64"].map(|text| text.parse().unwrap());
    fixture.desired.set_vip_networks(networks.to_vec());
    fixture.desired.sweep(|| true);
    assert!(fixture.row(id).is_local && !fixture.wanted().contains(&hop));
    for (address, expected) in [
        ("10.1.0.63", false),
        ("10.1.0.64", true),
        ("10.1.0.127", true),
        ("10.1.0.128", false),
        ("fd00:c::9", true),
        ("fd00:d::9", false),
    ] {
        assert_eq!(fixture.desired.is_local(ip(address)), expected, "{address}");
    }
    fixture.desired.set_vip_networks(Vec::new());
    fixture.desired.sweep(|| true);
    assert!(!fixture.row(id).is_local && fixture.wanted().contains(&hop));
    assert!(!fixture.desired.is_local(ip("10.1.0.100")));
}

#[test]
fn a_vip_that_another_host_has_is_present_but_not_active() {
    let mut fixture = Fixture::with_service();
    let at = |address: &str| ServiceKey::Address {
        protocol: Protocol::Tcp,
        address: ip(address),
        port: 80,
    };
    let real = server("10.1.0.11");
    fixture.ok(add(key(80), real));
    let id = fixture.slots(&key(80))[0];
    for address in ["10.1.0.11", "10.1.0.254", "10.1.0.255"] {
        fixture.ok(Command::AddService(spec(at(address))));
        let bits: std::net::Ipv4Addr = address.parse().unwrap();
        assert!(fixture.desired.snapshot().local.contains(bits.to_bits()), "{address} is served");
        assert!(!fixture.desired.is_local(ip(address)), "{address}");
    }
    assert_eq!(*fixture.vips(), BTreeSet::from([ip("10.0.0.100")]));
    let expected = [(InterfaceId(1), ip("10.1.0.11")), (InterfaceId(1), ip("10.1.0.254"))];
    assert_eq!(*fixture.wanted(), BTreeSet::from(expected), "they are still kept resolved");
    assert!(!fixture.row(id).is_local);
    assert_eq!(fixture.desired.warnings().count(), 3);
    // Real server and router are removed, so the VIPs become active.
    fixture.ok(delete(key(80), &real));
    fixture.desired.set_routes(Arc::new(Routes::build([(
        (ip("10.1.0.0"), 24),
        InterfaceId(1),
        None,
        0,
    )])));
    fixture.desired.sweep(|| true);
    let active = ["10.0.0.100", "10.1.0.11", "10.1.0.254"].map(ip);
    assert_eq!(*fixture.vips(), BTreeSet::from(active));
    // A destination that is added at an active VIP is the director itself.
    fixture.ok(add(key(80), real));
    assert!(fixture.newest(&key(80)).is_local && fixture.vips().contains(&ip("10.1.0.11")));
    fixture.ok(Command::DeleteService(at("10.1.0.255")));
    assert_eq!(fixture.desired.warnings().count(), 0);
}

#[test]
fn a_vip_that_nobody_may_answer_for_is_present_but_not_active() {
    let mut fixture = Fixture::with_capacity(Capacity { services: 8, ..CAPACITY });
    fixture.ok(Command::AddService(service(80)));
    let at = |address: &str| ServiceKey::Address {
        protocol: Protocol::Tcp,
        address: ip(address),
        port: 80,
    };
    fixture.desired.set_static_neighbours(BTreeSet::from([ip("10.0.0.50")]));
    let cases = [
        ("10.0.0.50", "the address of a static neighbour"),
        ("240.0.0.1", "a reserved address"),
        ("fd00:a::", "the subnet-router anycast address of a link"),
    ];
    for (address, reason) in cases {
        fixture.ok(Command::AddService(spec(at(address))));
        let local = fixture.desired.snapshot().local;
        let is_present = match ip(address) {
            IpAddr::V4(address) => local.contains(address.to_bits()),
            IpAddr::V6(address) => local.contains(address.to_bits()),
        };
        assert!(is_present, "{address} is served");
        assert!(!fixture.desired.is_local(ip(address)), "{address}");
        let told = fixture.desired.warnings().any(|warning| warning.contains(reason));
        assert!(told, "{address}");
    }
    assert_eq!(*fixture.vips(), BTreeSet::from([ip("10.0.0.100")]));
    // The kernel takes these too; no host can be asked for them.
    for address in ["224.0.0.1", "255.255.255.255"] {
        fixture.ok(Command::AddService(spec(at(address))));
    }
    fixture.desired.set_static_neighbours(BTreeSet::from([ip("10.0.0.100")]));
    assert_eq!(*fixture.vips(), BTreeSet::from([ip("10.0.0.50")]));
}

#[test]
fn a_real_server_in_a_network_of_vips_is_warned_of() {
    let mut fixture = Fixture::with_service();
    let warnings = |fixture: &Fixture| fixture.desired.warnings().collect::<Vec<_>>();
    let network = "10.1.0.0/26".parse().unwrap();
    fixture.desired.set_vip_networks(vec![network]);
    fixture.ok(add(key(80), server("10.1.0.1")));
    assert!(warnings(&fixture).is_empty(), "the director itself");
    fixture.ok(add(key(80), server("10.1.0.65")));
    assert!(warnings(&fixture).is_empty(), "outside");
    let lines = logged(|| fixture.ok(add(key(80), server("10.1.0.11"))));
    let told = "real server 10.1.0.11 is in the network 10.1.0.0/26 of director.vips, so the director keeps its packets";
    assert_eq!((lines, warnings(&fixture)), (vec![format!("warn: {told}")], vec![told.to_owned()]));
    fixture.ok(delete(key(80), &server("10.1.0.11")));
    assert!(warnings(&fixture).is_empty());
}
