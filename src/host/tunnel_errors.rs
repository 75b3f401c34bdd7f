//! ICMP errors about the director's tunnel packets: routers on the way to a real server know only the outer header, so
//! the director sends the client an error about the inner packet.

use super::errors::Quoted;
use super::network::{HostFamily, Message};
use super::{IpHost, Outbox, local};
use crate::io::Frame;
use crate::model::{Family, InterfaceId};
use crate::packet::ethernet::Payload;
use crate::packet::tunnelled::{self, Tunnelled};
use crate::packet::{Address, Packet, Role, ethernet, icmp, ipv4};
use crate::reason::{DropReason, Punt, PuntDetail, PuntReason};
use crate::time::Instant;
use std::net::{IpAddr, Ipv4Addr};

/// Path MTU reported by a router on the way to a tunnel's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathMtu {
    /// The real server.
    pub destination: IpAddr,
    /// Maximum IP packet in bytes, with the outer header.
    pub mtu: u16,
}

impl<F: Frame> IpHost<F> {
    /// The path MTU that an error about a tunnel packet of the director reports; `None` for any other punt.
    pub fn reported_path_mtu(&self, punt: &Punt<F>) -> Option<PathMtu> {
        if punt.reason != PuntReason::TunnelIcmp {
            return None;
        }
        match ethernet::ethernet(punt.frame.bytes()).ok()? {
            Payload::Ipv4 => self.reported_in::<u32>(punt),
            Payload::Ipv6 => self.reported_in::<u128>(punt),
            Payload::Arp | Payload::Other(_) => None,
        }
    }

    fn reported_in<A: HostFamily>(&self, punt: &Punt<F>) -> Option<PathMtu> {
        let bytes = punt.frame.bytes().get(ethernet::ETHERNET..)?;
        let packet = A::parse(bytes).ok()?;
        let mtu = path_mtu(&packet, bytes).filter(|_| self.is_about_own_packet(&packet))?;
        Some(PathMtu { destination: packet.flow.destination.to_ip(), mtu })
    }

    /// True if the error quotes a packet of the director.
    fn is_about_own_packet<A: HostFamily>(&self, packet: &Packet<A>) -> bool {
        packet.role == Role::IcmpError && self.local.is_local(packet.flow.source.to_ip())
    }

    /// Sends the client an error about the inner packet. If it reports a path MTU, the punt's detail is the MTU of the
    /// tunnel's path for the client.
    pub(super) fn tunnel_error<A: HostFamily>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        if !self.is_about_own_packet(packet) {
            return self.drop(DropReason::NoLocalHandler);
        }
        if A::FAMILY == Family::Ipv6 {
            return;
        }
        let bytes = &punt.frame.bytes()[ethernet::ETHERNET..][..usize::from(packet.length)];
        let outer = &bytes[usize::from(packet.quoted)..];
        // Bytes before the inner packet: 20 for IPIP, 28 for GRE with a checksum.
        let overhead = tunnelled::open(outer).map_or(0, |inner| outer.len() - inner.bytes.len());
        let overhead = overhead as u16;
        let rest = match punt.detail {
            // At least 68 bytes are left, the minimum MTU.
            PuntDetail::Mtu(mtu) if mtu > 68 + overhead => mtu - overhead,
            PuntDetail::Mtu(mtu) => mtu,
            _ => 0,
        };
        let message = Message { message_type: packet.icmp_type, code: packet.icmp_code, rest };
        self.tell_inside(punt.interface, outer, message, now, out);
    }

    /// Sends the client an error about the inner packet of the IPv4 tunnel packet at the start of `outer`. As in the
    /// kernel, the inner packet must be IPv4.
    fn tell_inside(
        &mut self,
        ingress: InterfaceId,
        outer: &[u8],
        message: Message,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let Some(Tunnelled { bytes: inner, dont_fragment, .. }) = tunnelled::open(outer) else {
            return;
        };
        if message.is_about_length(Family::Ipv4) && !dont_fragment {
            return;
        }
        let (client, original_destination) = (ipv4::source(inner), ipv4::destination(inner));
        let is_host = |address: u32| {
            let address = IpAddr::V4(Ipv4Addr::from_bits(address));
            !local::is_no_host(address) && !self.local.is_broadcast(address)
        };
        if !is_host(client) || self.local.is_local(client.to_ip()) {
            return self.drop(DropReason::NoLocalHandler);
        }
        let speaker =
            self.local.is_local(original_destination.to_ip()).then_some(original_destination);
        let about = Quoted { bytes: inner, tos: ipv4::tos(inner), sender: client };
        self.send_error(Some(ingress), speaker, about, message, now, out);
    }
}

/// The MTU in the error, if it reports one. An MTU above 65535 is the same as 65535.
fn path_mtu<A: HostFamily>(packet: &Packet<A>, bytes: &[u8]) -> Option<u16> {
    let reported = icmp::rest(&bytes[usize::from(packet.header)..]);
    let unreachable = icmp::v4::DESTINATION_UNREACHABLE;
    match (A::FAMILY, packet.icmp_type, packet.icmp_code) {
        (Family::Ipv4, kind, icmp::v4::FRAGMENTATION_NEEDED) if kind == unreachable => {
            Some(reported as u16)
        }
        (Family::Ipv6, icmp::v6::PACKET_TOO_BIG, _) => {
            Some(u16::try_from(reported).unwrap_or(u16::MAX))
        }
        _ => None,
    }
}
