//! ICMP errors about the director's tunnel packets: routers on the way to a real server know only the outer header, so
//! the director sends the client an error about the inner packet.

use super::errors::Quoted;
use super::network::{Message, Network};
use super::{IpHost, Outbox, local};
use crate::io::Frame;
use crate::model::{Family, InterfaceId};
use crate::packet::tunnelled::{self, Tunnelled};
use crate::packet::{Address, Packet, Role, ethernet, icmp, ipv4};
use crate::reason::{DropReason, Punt};
use crate::time::{Duration, Instant};
use std::net::{IpAddr, Ipv4Addr};

/// Maximum path MTUs stored until they are taken.
const PATH_MTUS_MAX: usize = 256;
/// Minimum path MTU that is accepted (Linux's route/min_pmtu): forged errors could slow a service down.
const NARROWEST_V4: u16 = 552;
/// RFC 8200 section 5.
const NARROWEST_V6: u16 = 1280;
/// How long a learned path MTU is remembered (Linux's route/mtu_expires).
const LEARNED_FOR: Duration = Duration::from_secs(600);

/// Path MTU reported by a router on the way to a tunnel's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathMtu {
    /// The real server.
    pub destination: IpAddr,
    /// Maximum IP packet in bytes, with the outer header.
    pub mtu: u16,
}

impl<F: Frame> IpHost<F> {
    pub(super) fn tunnel_error<A: Network>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        // The quoted packet must be from this director.
        let ours =
            packet.role == Role::IcmpError && self.local.is_local(packet.flow.source.to_ip());
        if !ours {
            return self.drop(DropReason::NoLocalHandler);
        }
        let bytes = &punt.frame.bytes()[ethernet::ETHERNET..][..usize::from(packet.length)];
        let mtu = path_mtu(packet, bytes);
        if let Some(mtu) = mtu
            && self.path_mtus.len() < PATH_MTUS_MAX
        {
            self.path_mtus.push(PathMtu { destination: packet.flow.destination.to_ip(), mtu });
        }
        if A::FAMILY == Family::Ipv6 {
            return;
        }
        let outer = &bytes[usize::from(packet.quoted)..];
        // Bytes before the inner packet: 20 for IPIP, 28 for GRE with a checksum.
        let overhead = tunnelled::open(outer).map_or(0, |inner| outer.len() - inner.bytes.len());
        let overhead = overhead as u16;
        let rest = match mtu.map(|mtu| self.reported_mtu(packet.flow.destination.to_ip(), mtu, now))
        {
            // At least 68 bytes are left, the minimum MTU.
            Some(mtu) if mtu > 68 + overhead => mtu - overhead,
            Some(mtu) => mtu,
            None => 0,
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

impl<F: Frame> IpHost<F> {
    /// The MTU for the client. As in the kernel, whose cached route ends with the first error, the first error reports
    /// the path's old MTU and later ones the learned one.
    fn reported_mtu(&mut self, destination: IpAddr, mtu: u16, now: Instant) -> u16 {
        self.reported_paths.retain(|_, since| now.since(*since) < LEARNED_FOR);
        let is_known = self.reported_paths.contains_key(&destination);
        if is_known || self.reported_paths.len() < PATH_MTUS_MAX {
            self.reported_paths.insert(destination, now);
        }
        match self.way(None, destination) {
            Some(way) if !is_known => way.mtu.max(mtu),
            _ => mtu,
        }
    }
}

/// The MTU in the error, if it reports one.
fn path_mtu<A: Network>(packet: &Packet<A>, bytes: &[u8]) -> Option<u16> {
    let reported = icmp::rest(&bytes[usize::from(packet.header)..]);
    let unreachable = icmp::v4::DESTINATION_UNREACHABLE;
    match (A::FAMILY, packet.icmp_type, packet.icmp_code) {
        (Family::Ipv4, kind, icmp::v4::FRAGMENTATION_NEEDED) if kind == unreachable => {
            Some((reported as u16).max(NARROWEST_V4))
        }
        (Family::Ipv6, icmp::v6::PACKET_TOO_BIG, _) => {
            Some(u16::try_from(reported).unwrap_or(u16::MAX).max(NARROWEST_V6))
        }
        _ => None,
    }
}
