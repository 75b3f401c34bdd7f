//! ARP (RFC 826): answers for local addresses, learns neighbours, solicits next hops.

use super::neighbours::Claim;
use super::{IpHost, Outbox, local};
use crate::io::Frame;
use crate::model::InterfaceId;
use crate::packet::arp::{self, Arp, Operation};
use crate::packet::ethernet::{self, ETHERNET};
use crate::reason::{DropReason, Punt};
use crate::time::Instant;
use std::net::{IpAddr, Ipv4Addr};

impl<F: Frame> IpHost<F> {
    pub(super) fn arp(&mut self, punt: &Punt<F>, now: Instant, out: &mut impl Outbox<F>) {
        let frame = punt.frame.bytes();
        let Some(arp) = Arp::parse(&frame[ETHERNET..]) else {
            return self.drop(DropReason::NoLocalHandler);
        };
        let sender = IpAddr::V4(Ipv4Addr::from_bits(arp.sender));
        let for_us = self.local.is_local(Ipv4Addr::from_bits(arp.target).into());
        // From one of our own IP or MAC addresses: an address conflict, a forgery or our own frame.
        if self.local.is_local(sender) || self.local.is_own_mac(arp.sender_mac) {
            return self.drop(DropReason::NoLocalHandler);
        }
        if !local::is_no_host(sender) && !self.local.is_broadcast(sender) {
            let asks_us = for_us && arp.operation == Operation::Request;
            let claim = Claim {
                mac: Some(arp.sender_mac),
                solicited: for_us
                    && arp.operation == Operation::Reply
                    && !ethernet::is_multicast(ethernet::destination(frame)),
                overrides: true,
                creates: asks_us && self.is_neighbour(punt.interface, sender),
            };
            self.neighbours.claim((punt.interface, sender), claim, now);
        }
        // A sender address of zero only checks if the address is in use (RFC 5227); it is answered.
        if for_us
            && arp.operation == Operation::Request
            && (arp.sender == 0 || !local::is_no_host(sender))
            && let Some(interface) = self.local.interface(punt.interface)
        {
            let answer = arp.answer(interface.mac);
            let write = |out: &mut [u8]| answer.write(out, arp.sender_mac);
            self.send_frame(punt.interface, arp::FRAME, write, out);
        }
    }

    /// Requests the MAC address of `address`: unicast to `mac`, or by broadcast.
    pub(super) fn arp_request(
        &mut self,
        interface: InterfaceId,
        address: Ipv4Addr,
        mac: Option<[u8; 6]>,
        out: &mut impl Outbox<F>,
    ) {
        let Some(own) = self.local.interface(interface) else { return };
        let sender = match self.local.source(interface, address.into()) {
            Some(IpAddr::V4(own)) => own.to_bits(),
            _ => 0,
        };
        let request = Arp::request(own.mac, sender, address.to_bits());
        let write = |out: &mut [u8]| request.write(out, mac.unwrap_or(ethernet::BROADCAST));
        self.send_frame(interface, arp::FRAME, write, out);
    }

    pub(super) fn arp_announce(
        &mut self,
        interface: InterfaceId,
        address: Ipv4Addr,
        out: &mut impl Outbox<F>,
    ) {
        let Some(own) = self.local.interface(interface) else { return };
        let announcement = Arp::announcement(own.mac, address.to_bits());
        let write = |out: &mut [u8]| announcement.write(out, ethernet::BROADCAST);
        self.send_frame(interface, arp::FRAME, write, out);
    }

    /// True if the routes have `address` on the interface's own link.
    pub(super) fn is_neighbour(&self, interface: InterfaceId, address: IpAddr) -> bool {
        self.way(Some(interface), address)
            .is_some_and(|way| way.interface == interface && way.next_hop == address)
    }
}
