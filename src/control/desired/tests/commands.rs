//! Refused commands and their codes, and which code comes first if several apply.

use super::*;
use crate::api::SyncDaemon;
use crate::model::{Timeouts, TunnelChecksum};
use RefusalCode::{EEXIST, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP, ERANGE, ESRCH};
use std::net::Ipv4Addr;

fn with_engine(engine: &str) -> ServiceSpec {
    ServiceSpec { persistence_engine: Some(engine.to_owned()), ..service(81) }
}

fn with_mask(key: ServiceKey, mask: PersistenceMask) -> ServiceSpec {
    ServiceSpec { persistence: Some(Persistence { timeout_s: 360, mask }), ..spec(key) }
}

fn key_ipv6() -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: ip("fd00:a::100"), port: 80 }
}

#[test]
fn services() {
    use PersistenceMask::{Ipv4, Ipv6};
    let mark = |mark| spec(ServiceKey::Fwmark { mark, family: Family::Ipv4 });
    let any = Ipv4(Ipv4Addr::UNSPECIFIED);
    let cases = [
        (Command::AddService(service(80)), Err(EEXIST)),
        // An existing service is refused before anything else is checked.
        (Command::AddService(ServiceSpec { key: key(80), ..with_engine("none") }), Err(EEXIST)),
        (Command::AddService(with_engine("none")), Err(ENOENT)),
        (Command::AddService(with_engine("sip")), Ok(())),
        (Command::AddService(mark(0)), Err(EINVAL)),
        (Command::AddService(mark(1)), Ok(())),
        (Command::AddService(with_mask(key(82), any)), Ok(())),
        (Command::AddService(with_mask(key(82), Ipv6(64))), Err(EINVAL)),
        (Command::AddService(with_mask(key_ipv6(), Ipv6(0))), Err(EINVAL)),
        (Command::AddService(with_mask(key_ipv6(), Ipv6(129))), Err(EINVAL)),
        (Command::AddService(with_mask(key_ipv6(), any)), Err(EINVAL)),
        (Command::AddService(with_mask(key_ipv6(), Ipv6(1))), Ok(())),
        (Command::AddService(with_mask(key_ipv6(), Ipv6(128))), Ok(())),
        (Command::EditService(service(81)), Err(ESRCH)),
        (Command::EditService(with_engine("none")), Err(ESRCH)),
        (Command::EditService(ServiceSpec { key: key(80), ..with_engine("none") }), Err(ENOENT)),
        (Command::EditService(with_mask(key(80), Ipv6(64))), Err(EINVAL)),
        (Command::EditService(with_mask(key(80), any)), Ok(())),
        (Command::DeleteService(key(81)), Err(ESRCH)),
        (Command::DeleteService(key(80)), Ok(())),
        (Command::Zero(Some(key(81))), Err(ESRCH)),
        (Command::Zero(Some(key(80))), Ok(())),
        (Command::Zero(None), Ok(())),
        (Command::Flush, Ok(())),
    ];
    for (command, expected) in cases {
        let mut fixture = Fixture::with_service();
        let before = fixture.desired.generation();
        assert_eq!(fixture.apply(command.clone()), expected, "{command:?}");
        let unchanged = fixture.desired.generation() == before;
        assert!(expected.is_ok() || unchanged, "{command:?} was refused and changed something");
    }
}

#[test]
fn destinations() {
    let gue = |port| Tunnel::Gue { port, checksum: TunnelChecksum::None };
    let gre = Tunnel::Gre { checksum: TunnelChecksum::Remote };
    let known = server("10.1.0.11");
    let other = server("10.1.0.12");
    let six = server("fd00:a::11");
    let tunnel = DestinationSpec { method: ForwardMethod::Tunnel, ..six };
    let heavy = DestinationSpec { weight: 1 << 31, ..known };
    let thresholds = |spec, upper, lower| DestinationSpec {
        upper_threshold: upper,
        lower_threshold: lower,
        ..spec
    };
    let cases = [
        (add(key(81), heavy), Err(ESRCH)),
        (add(key(80), known), Err(EEXIST)),
        (add(key(80), other), Ok(())),
        (add(key(80), DestinationSpec { weight: (1 << 31) - 1, ..other }), Ok(())),
        // Checked in this order: weight, thresholds, tunnel port, existence, address.
        (add(key(80), DestinationSpec { tunnel: gue(0), ..thresholds(heavy, 0, 1) }), Err(ERANGE)),
        (add(key(80), DestinationSpec { tunnel: gue(0), ..thresholds(known, 1, 2) }), Err(ERANGE)),
        (add(key(80), thresholds(other, 0, 1)), Err(ERANGE)),
        (add(key(80), thresholds(other, 2, 2)), Ok(())),
        (add(key(80), thresholds(other, u32::MAX, 0)), Ok(())),
        (add(key(80), DestinationSpec { tunnel: gue(0), ..known }), Err(EINVAL)),
        (add(key(80), DestinationSpec { tunnel: gue(1), ..known }), Err(EEXIST)),
        (add(key(80), DestinationSpec { tunnel: gue(1), ..other }), Ok(())),
        (add(key(80), DestinationSpec { tunnel: gre, ..other }), Err(EINVAL)),
        (add(key(80), six), Err(EINVAL)),
        (add(key(80), DestinationSpec { weight: 1 << 31, ..six }), Err(EINVAL)),
        (add(key(80), tunnel), Ok(())),
        (edit(key(81), heavy), Err(ESRCH)),
        (edit(key(80), other), Err(ENOENT)),
        (edit(key(80), DestinationSpec { weight: 1 << 31, ..other }), Err(ERANGE)),
        (edit(key(80), thresholds(other, 1, 2)), Err(ERANGE)),
        (edit(key(80), DestinationSpec { tunnel: gue(0), ..other }), Err(EINVAL)),
        (edit(key(80), six), Err(EINVAL)),
        (edit(key(80), tunnel), Err(ENOENT)),
        (edit(key(80), thresholds(known, 9, 3)), Ok(())),
        // An edit does not check the address.
        (edit(key(80), server("224.0.0.1")), Err(ENOENT)),
        (delete(key(81), &known), Err(ESRCH)),
        (delete(key(80), &other), Err(ENOENT)),
        (delete(key(80), &six), Err(ENOENT)),
        (delete(key(80), &known), Ok(())),
    ];
    for (command, expected) in cases {
        let mut fixture = Fixture::with_service();
        fixture.ok(add(key(80), known));
        let before = fixture.desired.generation();
        assert_eq!(fixture.apply(command.clone()), expected, "{command:?}");
        let unchanged = fixture.desired.generation() == before;
        assert!(expected.is_ok() || unchanged, "{command:?} was refused and changed something");
    }
}

#[test]
fn addresses_of_destinations() {
    let cases = [
        ("10.1.0.11", Ok(())),
        ("127.0.0.1", Ok(())),
        ("10.0.0.1", Ok(())),
        ("240.0.0.1", Ok(())),
        ("0.0.0.0", Err(EINVAL)),
        ("0.0.0.1", Ok(())),
        ("0.1.2.3", Ok(())),
        ("224.0.0.1", Err(EINVAL)),
        ("255.255.255.255", Err(EINVAL)),
        ("10.0.0.255", Err(EINVAL)),
        ("fd00:a::11", Ok(())),
        ("2001:db8::1", Ok(())),
        ("::1", Ok(())),
        // The director's own link-local address.
        ("fe80::1", Ok(())),
        ("fe80::2", Err(EINVAL)),
        ("ff02::1", Err(EINVAL)),
        ("::", Err(EINVAL)),
        ("::ffff:10.1.0.11", Err(EINVAL)),
    ];
    for (address, expected) in cases {
        let mut fixture = Fixture::with_service();
        fixture.ok(Command::AddService(spec(key_ipv6())));
        let key = if address.contains(':') { key_ipv6() } else { key(80) };
        assert_eq!(fixture.apply(add(key, server(address))), expected, "{address}");
    }
}

#[test]
fn full_tables() {
    let mut fixture = Fixture::new();
    for port in 0..CAPACITY.services as u16 {
        fixture.ok(Command::AddService(service(port)));
    }
    assert_eq!(fixture.apply(Command::AddService(service(80))), Err(ENOMEM));
    assert_eq!(fixture.apply(Command::AddService(service(0))), Err(EEXIST));
    for last in 0..CAPACITY.destinations {
        fixture.ok(add(key(0), server(&format!("10.1.0.{}", 10 + last))));
    }
    assert_eq!(fixture.apply(add(key(0), server("10.1.0.99"))), Err(ENOMEM));
    assert_eq!(fixture.apply(add(key(0), server("224.0.0.1"))), Err(EINVAL));
    // A removed destination keeps its slot while workers may not know of the removal.
    fixture.ok(delete(key(0), &server("10.1.0.10")));
    assert_eq!(fixture.apply(add(key(0), server("10.1.0.99"))), Err(ENOMEM));
    fixture.ok(add(key(0), server("10.1.0.10")));
    // The slot of a service without destinations is free at once.
    fixture.ok(Command::DeleteService(key(1)));
    fixture.ok(Command::AddService(service(80)));
}

#[test]
fn timeouts() {
    let timeouts = |tcp, tcp_fin, udp| Timeouts { tcp, tcp_fin, udp };
    let too_long = Timeouts::MAX_S + 1;
    let cases = [
        (timeouts(1, 2, 3), Ok(()), timeouts(1, 2, 3)),
        (timeouts(0, 0, 0), Ok(()), Timeouts::default()),
        (timeouts(0, 7, 0), Ok(()), timeouts(900, 7, 300)),
        (timeouts(1, Timeouts::MAX_S, 1), Ok(()), timeouts(1, Timeouts::MAX_S, 1)),
        (timeouts(1, 1, too_long), Err(EINVAL), Timeouts::default()),
        (timeouts(too_long, 1, 1), Err(EINVAL), Timeouts::default()),
    ];
    for (new, expected, after) in cases {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.apply(Command::SetTimeouts(new)), expected, "{new:?}");
        assert_eq!(fixture.desired.snapshot().settings.timeouts, after, "{new:?}");
    }
}

#[test]
fn synchronisation_daemons() {
    let mut fixture = Fixture::new();
    for role in [SyncRole::Master, SyncRole::Backup] {
        let daemon = SyncDaemon {
            role,
            interface: "eth0".to_owned(),
            sync_id: 0,
            max_length: None,
            group: None,
            port: None,
            ttl: None,
        };
        assert_eq!(fixture.apply(Command::StartSyncDaemon(daemon)), Err(EOPNOTSUPP));
        assert_eq!(fixture.apply(Command::StopSyncDaemon(role)), Err(ESRCH));
    }
}
