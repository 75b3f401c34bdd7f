//! ICMP errors about packets of flows: from the clients' side, from the servers' side, about tunnel packets.

use super::Random;
use super::packet::{Fault, Packet, Upper};
use super::service::{Destination, Method, Service};
use super::traffic::Flow;
use std::net::IpAddr;

/// Routers that only send ICMP errors.
const ROUTERS: [(&str, &str); 2] =
    [("198.51.100.9", "2001:db8:ffff::9"), ("192.168.10.254", "fd00:b::13")];

const MOST_QUOTED: usize = 528;

/// Where an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Clients,
    Servers,
}

/// An error about a reply on its way to the client.
pub fn about_answer(
    random: &mut Random,
    flow: &Flow,
    service: &Service,
    by: &Destination,
) -> Packet {
    let mut answer = flow.answer(random, service, by);
    answer.source = service.vip;
    set_source_port(&mut answer.upper, flow.port);
    let from = if random.chance(50) { flow.client } else { router(Side::Clients, service.vip) };
    error(random, from, service.vip, answer)
}

/// An error about a request on its way to the server. With NAT it quotes the server's address, otherwise the VIP.
pub fn about_request(
    random: &mut Random,
    flow: &Flow,
    service: &Service,
    by: &Destination,
) -> Packet {
    let mut request = flow.request(random, service, false);
    if by.method == Method::Nat {
        request.destination = by.address;
        set_destination_port(&mut request.upper, if by.port == 0 { flow.port } else { by.port });
    }
    let near = router(Side::Servers, service.vip);
    let from = if random.chance(60) && by.method == Method::Nat { by.address } else { near };
    error(random, from, flow.client, request)
}

/// An error to the director about an IPIP tunnel packet.
pub fn about_tunnel(
    random: &mut Random,
    flow: &Flow,
    service: &Service,
    by: &Destination,
) -> Option<Packet> {
    let plain = by.method == Method::Tunnel && !by.options.contains("--tun-type");
    let own: IpAddr = "192.168.10.1".parse().expect("an address");
    if !plain
        || by.address.is_ipv6()
        || service.vip.is_ipv6()
        || by.address.to_string().starts_with("10.")
    {
        return None;
    }
    let inner = flow.request(random, service, false);
    let mut outer = Packet::new(own, by.address, Upper::Other { protocol: 4 });
    outer.payload = inner.bytes();
    Some(error(random, router(Side::Servers, own), own, outer))
}

fn router(side: Side, like: IpAddr) -> IpAddr {
    let (ipv4, ipv6) = ROUTERS[side as usize];
    let text = if like.is_ipv4() { ipv4 } else { ipv6 };
    text.parse().expect("a valid address")
}

fn error(random: &mut Random, from: IpAddr, to: IpAddr, mut about: Packet) -> Packet {
    about.fault = Fault::None;
    about.ttl = 63;
    let (message, code) = match from {
        IpAddr::V4(_) => random.weighted(&[
            (4, (3, 1)),
            (2, (3, 3)),
            (1, (3, 0)),
            (1, (3, 13)),
            (3, (3, 4)),
            (3, (11, 0)),
            (1, (4, 0)),
            (1, (12, 0)),
        ]),
        IpAddr::V6(_) => {
            random.weighted(&[(3, (1, 0)), (2, (1, 4)), (3, (2, 0)), (3, (3, 0)), (1, (4, 1))])
        }
    };
    let path_mtu = if from.is_ipv4() { (3, 4) } else { (2, 0) };
    let rest = if (message, code) == path_mtu { random.pick(&[1400, 1280, 1000]) } else { 0 };
    let header = if about.source.is_ipv4() { 20 } else { 40 };
    // Routers send errors of up to 576 bytes (RFC 1812 section 4.3.2.3); an error about a tunnel packet must quote the
    // whole inner header.
    let quoted = match about.upper {
        Upper::Other { .. } => MOST_QUOTED,
        _ => random.weighted(&[(6, MOST_QUOTED), (4, header + 8), (1, header + 28), (1, header)]),
    };
    let upper = Upper::Error { message, code, rest, about: Box::new(about), quoted };
    let mut packet = Packet::new(from, to, upper);
    packet.fault = random.weighted(&[(15, Fault::None), (1, Fault::UpperChecksum)]);
    packet.ttl = random.weighted(&[(10, 64), (1, 1), (1, 2)]);
    packet
}

fn set_source_port(upper: &mut Upper, port: u16) {
    match upper {
        Upper::Tcp { source, .. } | Upper::Udp { source, .. } | Upper::Sctp { source, .. } => {
            *source = port;
        }
        _ => {}
    }
}

fn set_destination_port(upper: &mut Upper, port: u16) {
    match upper {
        Upper::Tcp { destination, .. }
        | Upper::Udp { destination, .. }
        | Upper::Sctp { destination, .. } => *destination = port,
        _ => {}
    }
}
