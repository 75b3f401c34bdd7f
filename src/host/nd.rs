//! Neighbour discovery (RFC 4861 section 7.2): answers for local addresses, learns neighbours, solicits next hops.

use super::neighbours::Claim;
use super::{IpHost, Outbox};
use crate::io::Frame;
use crate::model::InterfaceId;
use crate::packet::ethernet::{self, ETHERNET};
use crate::packet::ndp::{self, Flags, Kind, Neighbour};
use crate::packet::parse;
use crate::reason::{DropReason, Punt};
use crate::time::Instant;
use std::net::{IpAddr, Ipv6Addr};

/// The director forwards packets, so its advertisements have the router flag, as Linux sends them with forwarding.
const ROUTER: bool = true;

impl<F: Frame> IpHost<F> {
    pub(super) fn nd(&mut self, punt: &Punt<F>, now: Instant, out: &mut impl Outbox<F>) {
        let bytes = &punt.frame.bytes()[ETHERNET..];
        let packet = match parse::ipv6(bytes) {
            Ok(packet) => packet,
            Err(reason) => return self.drop(reason),
        };
        let Some(message) = Neighbour::parse(&packet, bytes) else {
            return self.drop(DropReason::NoLocalHandler);
        };
        let source = packet.source();
        // From one of our own IP or MAC addresses: an address conflict, a forgery or our own frame.
        let is_own_mac = message.mac.is_some_and(|mac| self.local.is_own_mac(mac));
        if is_own_mac || self.local.is_local(Ipv6Addr::from_bits(source).into()) {
            return self.drop(DropReason::NoLocalHandler);
        }
        match message.kind {
            Kind::Solicitation => self.nd_answer(punt, source, &message, now, out),
            Kind::Advertisement(flags) => self.nd_learn(punt.interface, &message, flags, now),
        }
    }

    fn nd_answer(
        &mut self,
        punt: &Punt<F>,
        source: u128,
        message: &Neighbour,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        if !self.local.answers(punt.interface, Ipv6Addr::from_bits(message.target).into()) {
            return;
        }
        let Some(interface) = self.local.interface(punt.interface) else { return };
        let mac = interface.mac;
        let asker = IpAddr::V6(Ipv6Addr::from_bits(source));
        let group = message.mac.is_some_and(ethernet::is_multicast);
        if source != 0 && message.mac.is_some() && !group {
            let creates = self.is_neighbour(punt.interface, asker);
            let claim = Claim { mac: message.mac, solicited: false, overrides: true, creates };
            self.neighbours.claim((punt.interface, asker), claim, now);
        }
        let asker_mac =
            message.mac.filter(|_| !group).unwrap_or_else(|| ethernet::source(punt.frame.bytes()));
        let (answer, route) = message.answer(source, asker_mac, mac, ROUTER);
        let write = |out: &mut [u8]| answer.write(out, &route);
        self.send_frame(punt.interface, ndp::FRAME, write, out);
    }

    fn nd_learn(
        &mut self,
        interface: InterfaceId,
        message: &Neighbour,
        flags: Flags,
        now: Instant,
    ) {
        let target = IpAddr::V6(Ipv6Addr::from_bits(message.target));
        if self.local.is_local(target) || message.mac.is_some_and(ethernet::is_multicast) {
            return self.drop(DropReason::NoLocalHandler);
        }
        let claim = Claim {
            mac: message.mac,
            solicited: flags.solicited,
            overrides: flags.override_entry,
            creates: false,
        };
        self.neighbours.claim((interface, target), claim, now);
    }

    /// Solicits `address`: unicast to `mac`, or its solicited-node group.
    pub(super) fn nd_solicit(
        &mut self,
        interface: InterfaceId,
        address: Ipv6Addr,
        mac: Option<[u8; 6]>,
        out: &mut impl Outbox<F>,
    ) {
        let Some(own) = self.local.interface(interface) else { return };
        let Some(IpAddr::V6(source)) = self.local.source(interface, address.into()) else { return };
        let target = address.to_bits();
        let (question, mut route) = Neighbour::solicitation(own.mac, source.to_bits(), target);
        if let Some(mac) = mac {
            (route.destination_mac, route.destination) = (mac, target);
        }
        let write = |out: &mut [u8]| question.write(out, &route);
        self.send_frame(interface, ndp::FRAME, write, out);
    }

    pub(super) fn nd_announce(
        &mut self,
        interface: InterfaceId,
        address: Ipv6Addr,
        out: &mut impl Outbox<F>,
    ) {
        let Some(own) = self.local.interface(interface) else { return };
        let (news, route) = Neighbour::announcement(own.mac, address.to_bits(), ROUTER);
        let write = |out: &mut [u8]| news.write(out, &route);
        self.send_frame(interface, ndp::FRAME, write, out);
    }
}
