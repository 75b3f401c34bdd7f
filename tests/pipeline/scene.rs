//! Test setup with one service, server and client, and packets between them.

use crate::support::{
    LAN_MAC, ROUTER_MAC, TestDirector, TestSnapshot, VIP, VIP6, WAN_MAC, server_mac,
};
use director::model::{DestinationId, ForwardMethod, Protocol, SchedulerKind, Tunnel};
use director::testing::{PacketBuilder, frame};

pub const CLIENT: &str = "77.1.2.3";
pub const CLIENT6: &str = "2001:db8::3";
pub const SERVER: &str = "10.1.0.11";
pub const SERVER6: &str = "fd00:b::11";
/// The only server of [`one`].
pub const ONLY: DestinationId = DestinationId(0);

/// A snapshot with a service of this protocol on port 80 of the IPv4 and IPv6 VIP, and destinations at `servers`,
/// forwarded by `method`.
pub fn snapshot(protocol: Protocol, servers: &[&str], method: ForwardMethod) -> TestSnapshot {
    let mut snapshot = TestSnapshot::new();
    let is_ipv6_service =
        servers.iter().all(|server| server.starts_with('[')) && !servers.is_empty();
    let at = if is_ipv6_service { "[fd00:a::100]:80" } else { "10.0.0.100:80" };
    let service = snapshot.service(protocol, at, SchedulerKind::Rr);
    for server in servers {
        snapshot.destination(service, server, method);
    }
    snapshot
}

/// A director with one server.
pub fn one(protocol: Protocol, server: &str, method: ForwardMethod) -> TestDirector {
    TestDirector::new(snapshot(protocol, &[server], method))
}

/// A director with an IPv4 or IPv6 service and one server behind a tunnel.
pub fn tunnelled(is_ipv6_service: bool, server: &str, tunnel: Tunnel) -> TestDirector {
    let mut snapshot = TestSnapshot::new();
    let at = if is_ipv6_service { "[fd00:a::100]:80" } else { "10.0.0.100:80" };
    let service = snapshot.service(Protocol::Tcp, at, SchedulerKind::Rr);
    let id = snapshot.destination(service, server, ForwardMethod::Tunnel);
    snapshot.edit_destination(id, |spec| spec.tunnel = tunnel);
    TestDirector::new(snapshot)
}

/// From the client to the VIP, as the router sends it.
pub fn request() -> PacketBuilder<u32> {
    frame().macs(WAN_MAC, ROUTER_MAC).ipv4(CLIENT, VIP)
}

pub fn request6() -> PacketBuilder<u128> {
    frame().macs(WAN_MAC, ROUTER_MAC).ipv6(CLIENT6, VIP6)
}

/// From a server to the client, as the server sends it.
pub fn answer(from: &str) -> PacketBuilder<u32> {
    frame().macs(LAN_MAC, server_mac(11)).ipv4(from, CLIENT)
}

pub fn answer6(from: &str) -> PacketBuilder<u128> {
    frame().macs(LAN_MAC, server_mac(11)).ipv6(from, CLIENT6)
}

/// To the first server from the client, as the director sends it.
pub fn to_server(address: &str) -> PacketBuilder<u32> {
    frame().macs(server_mac(11), LAN_MAC).ipv4(CLIENT, address)
}

pub fn to_server6(address: &str) -> PacketBuilder<u128> {
    frame().macs(server_mac(11), LAN_MAC).ipv6(CLIENT6, address)
}

/// To the client from this address, as the director sends it to the router.
pub fn to_client(address: &str) -> PacketBuilder<u32> {
    frame().macs(ROUTER_MAC, WAN_MAC).ipv4(address, CLIENT)
}

pub fn to_client6(address: &str) -> PacketBuilder<u128> {
    frame().macs(ROUTER_MAC, WAN_MAC).ipv6(address, CLIENT6)
}

/// Server that a frame went to: the last octet of its address.
pub fn server_of(frame: &[u8]) -> u8 {
    assert_eq!(frame[..5], server_mac(0)[..5], "not to a server");
    frame[5]
}
