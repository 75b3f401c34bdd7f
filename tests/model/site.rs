//! The network of the model test: a director between clients (port 0) and servers (port 1), both on its links.

use director::model::{DestinationAddress, Family, InterfaceId, PortId, Protocol, ServiceKey};
use std::net::{IpAddr, SocketAddr};

/// Tick of the clock in milliseconds, the resolution of the director's timers.
pub const TICK_MS: u64 = 64;

pub const MTU: u16 = 1500;

pub const CLIENT_SIDE: PortId = PortId(0);
pub const SERVER_SIDE: PortId = PortId(1);

/// The interface on a port.
pub const fn on(port: PortId) -> InterfaceId {
    InterfaceId(port.0)
}

/// The director's own addresses with prefix lengths, by port.
pub const OWN: [[(&str, u8); 2]; 2] =
    [[("10.0.0.1", 16), ("fd00:a::1", 64)], [("10.1.0.1", 24), ("fd00:b::1", 64)]];

/// Addresses of the director, with or without a service.
pub const VIPS: [&str; 3] = ["10.0.0.100", "10.0.0.101", "fd00:a::100"];

pub const CLIENTS: [&str; 6] =
    ["10.0.0.2", "10.0.0.3", "10.0.9.4", "fd00:a::2", "fd00:a::3", "fd00:a::1:4"];

pub const SERVERS: [&str; 6] =
    ["10.1.0.11", "10.1.0.12", "10.1.0.13", "10.1.0.14", "fd00:b::11", "fd00:b::12"];

/// Mark of a packet: 1 for TCP and UDP to this port of any address, 0 otherwise.
pub const MARKED_PORT: u16 = 7000;
pub const MARK: u32 = 1;

/// Destination ports of clients' packets.
pub const PORTS: [u16; 5] = [80, 53, 21, 5000, MARKED_PORT];

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address of the site")
}

pub fn is_own(address: IpAddr) -> bool {
    VIPS.iter().chain(OWN.iter().flatten().map(|(own, _)| own)).any(|own| ip(own) == address)
}

/// The director's address on a port.
pub fn own(port: PortId, family: Family) -> IpAddr {
    let [ipv4, ipv6] = OWN[port.index()];
    match family {
        Family::Ipv4 => ip(ipv4.0),
        Family::Ipv6 => ip(ipv6.0),
    }
}

/// The port towards a client or a server.
pub fn port_towards(address: IpAddr) -> PortId {
    match SERVERS.iter().any(|server| ip(server) == address) {
        true => SERVER_SIDE,
        false => CLIENT_SIDE,
    }
}

/// All hosts on the links with their MAC addresses.
pub fn neighbours() -> impl Iterator<Item = (IpAddr, [u8; 6])> {
    let everybody = CLIENTS.iter().chain(&SERVERS).enumerate();
    everybody.map(|(index, text)| (ip(text), [2, 0, 0, 0, 0x10, index as u8]))
}

/// The director's MAC address on a port.
pub fn mac(port: PortId) -> [u8; 6] {
    [2, 0, 0, 0, 0, port.0 as u8 + 1]
}

pub fn mark_of(protocol: Protocol, port: u16) -> u32 {
    match protocol {
        Protocol::Tcp | Protocol::Udp if port == MARKED_PORT => MARK,
        _ => 0,
    }
}

/// The services that commands are about.
pub fn service_keys() -> Vec<ServiceKey> {
    let mut keys = Vec::new();
    for vip in VIPS {
        for (protocol, port) in [
            (Protocol::Tcp, 80),
            (Protocol::Udp, 53),
            (Protocol::Tcp, 0),
            (Protocol::Udp, 5000),
            (Protocol::Tcp, 21),
        ] {
            keys.push(ServiceKey::Address { protocol, address: ip(vip), port });
        }
    }
    keys.push(ServiceKey::Fwmark { mark: MARK, family: Family::Ipv4 });
    keys.push(ServiceKey::Fwmark { mark: MARK, family: Family::Ipv6 });
    keys
}

/// The destinations that commands are about.
pub fn destination_addresses(family: Family) -> Vec<DestinationAddress> {
    let servers = SERVERS.iter().map(|server| ip(server));
    servers
        .filter(|server| Family::of(*server) == family)
        .flat_map(|address| [0, 80, 8080].map(|port| DestinationAddress { address, port }))
        .collect()
}

/// A client's port for a virtual address and port. It differs for each, so that a server can tell the flows of one
/// client apart.
pub fn client_port(virtual_end: SocketAddr, flow: u16) -> u16 {
    let vip = VIPS.iter().position(|vip| ip(vip) == virtual_end.ip()).unwrap_or(9) as u16;
    let port = PORTS.iter().position(|port| *port == virtual_end.port()).unwrap_or(9) as u16;
    2000 + 100 * vip + 10 * port + flow
}
