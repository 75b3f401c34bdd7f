//! Packets for the director itself: ARP and neighbour discovery, echo, ICMP errors, resets.
//!
//! A pure state machine: frames come in with the worker's punt reason, frames go out through an [`Outbox`], time is an
//! argument. It answers what the stack of a Linux director would answer, in the same way.
//!
//! * `neighbours`: next hops and their MAC addresses; `arp` and `nd`: their messages
//! * `announcements`: unsolicited announcements of our addresses
//! * `groups`: multicast groups, and reports of membership
//! * `echo`, `errors`, `reject`, `tunnel_errors`: answers to packets
//! * `output`: routing of the host's own packets; `network`: differences between address families
//! * `reassembly`: fragmented datagrams
//! * `local`: our addresses; `rate_limit`: limits of answers

mod announcements;
mod arp;
mod echo;
mod errors;
mod groups;
mod local;
mod nd;
mod neighbours;
mod network;
mod output;
mod rate_limit;
mod reassembly;
mod reject;
mod settings;
mod tunnel_errors;

#[cfg(test)]
mod tests;

use crate::io::Frame;
use crate::model::Unserved;
use crate::model::{Interface, InterfaceId, Prefix};
use crate::packet::ethernet::{self, Payload};
use crate::packet::membership::Membership;
use crate::reason::{DropReason, Punt, PuntDetail, PuntReason};
use crate::route::Routes;
use crate::time::Instant;
use announcements::Announcements;
use errors::ErrorCause;
use groups::Groups;
use local::Local;
use neighbours::{Effect, Neighbours};
use network::HostFamily;
use output::Outgoing;
use rate_limit::Limiter;
use reassembly::Reassembly;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub use neighbours::{Neighbour, NeighbourState, NextHopKey};
pub use rate_limit::Limit;
pub use settings::Settings;
pub use tunnel_errors::PathMtu;

/// Where the host gets empty frames and sends frames.
pub trait Outbox<F> {
    /// An empty frame to send on `interface`; `None` if the pool is empty.
    fn allocate(&mut self, interface: InterfaceId) -> Option<F>;
    /// Sends a complete Ethernet frame.
    fn send(&mut self, interface: InterfaceId, frame: F);
    /// Sends a frame whose IP packet the director has made. Where it answers a packet of a connection, that connection is to
    /// learn of it.
    fn send_own_packet(&mut self, interface: InterfaceId, frame: F) {
        self.send(interface, frame);
    }
}

impl<F, O: Outbox<F> + ?Sized> Outbox<F> for &mut O {
    fn allocate(&mut self, interface: InterfaceId) -> Option<F> {
        (**self).allocate(interface)
    }

    fn send(&mut self, interface: InterfaceId, frame: F) {
        (**self).send(interface, frame);
    }

    fn send_own_packet(&mut self, interface: InterfaceId, frame: F) {
        (**self).send_own_packet(interface, frame);
    }
}

/// The director as a host in its networks.
#[derive(Debug)]
pub struct IpHost<F> {
    local: Local,
    routes: Arc<Routes>,
    settings: Settings,
    neighbours: Neighbours<Outgoing<F>>,
    announcements: Announcements,
    groups: Groups,
    limiters: Limiters,
    reassembly: Reassembly,
    /// Identification of the last IPv4 packet of the host.
    identification: u16,
    drops: [u64; DropReason::COUNT],
}

#[derive(Debug)]
struct Limiters {
    errors_v4: Limiter,
    errors_v6: Limiter,
    echo: Limiter,
    unlimited_by_linux: Limiter,
}

impl<F: Frame> IpHost<F> {
    pub fn new(interfaces: Vec<Interface>, routes: Arc<Routes>, settings: Settings) -> Self {
        IpHost {
            local: Local::new(interfaces),
            routes,
            neighbours: Neighbours::default(),
            announcements: Announcements::new(settings.announcements),
            groups: Groups::default(),
            limiters: Limiters {
                errors_v4: Limiter::new(settings.errors_v4),
                errors_v6: Limiter::new(settings.errors_v6),
                echo: Limiter::new(settings.echo),
                unlimited_by_linux: Limiter::new(settings.others),
            },
            settings,
            reassembly: Reassembly::default(),
            identification: 0,
            drops: [0; DropReason::COUNT],
        }
    }

    /// Sets how packets for unserved ports are answered.
    pub fn set_unserved(&mut self, unserved: Unserved) {
        self.settings.unserved = unserved;
    }

    /// Replaces the interfaces and their own addresses; [`Self::announce`] announces them.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.local.set_interfaces(interfaces);
    }

    /// The interfaces with all their addresses, including link-local ones.
    pub fn interfaces(&self) -> &[Interface] {
        self.local.interfaces()
    }

    pub fn set_routes(&mut self, routes: Arc<Routes>) {
        self.routes = routes;
    }

    /// Replaces the static neighbours; no message changes them.
    pub fn set_static_neighbours(
        &mut self,
        list: &BTreeMap<NextHopKey, [u8; 6]>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        self.neighbours.set_permanent(list, now);
        self.settle(now, out);
    }

    /// Adds (true) or removes (false) virtual addresses. The host answers for a virtual address on every interface, and
    /// announces it.
    pub fn change_virtual_addresses(
        &mut self,
        changes: impl IntoIterator<Item = (IpAddr, bool)>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        for (address, is_virtual) in changes {
            self.set_virtual_address(address, is_virtual, now);
        }
        self.send_reports(now, out);
        self.send_announcements(now, out);
    }

    /// Adds (true) or removes (false) one virtual address. Its reports and announcements are due at once, but not sent
    /// here: see [`Self::send_reports`] and [`Self::send_announcements`].
    pub fn set_virtual_address(&mut self, address: IpAddr, is_virtual: bool, now: Instant) {
        let was_virtual = self.local.is_virtual(address);
        if self.local.set_virtual(address, is_virtual) {
            self.announcements.add_virtual(&self.local, address, now);
        }
        if was_virtual != is_virtual {
            match is_virtual {
                true => log::info!("virtual address {address} added: announced"),
                false => log::info!("virtual address {address} removed"),
            }
            self.groups.virtual_changed(&self.local, address, is_virtual, now);
        }
    }

    /// Replaces the networks of virtual addresses. All their addresses are answered, none is announced.
    pub fn set_virtual_networks(&mut self, networks: Vec<Prefix>) {
        self.local.set_virtual_networks(networks);
    }

    /// Announces the interfaces' own addresses; called when the links are up.
    pub fn announce(&mut self, now: Instant, out: &mut impl Outbox<F>) {
        self.announcements.add_own(&self.local, now);
        self.follow_groups(now, out);
        self.send_announcements(now, out);
    }

    /// Keeps the address of a destination or gateway resolved: solicits it now and confirms it as long as it is wanted.
    /// The director's own addresses are never solicited, because no other host has them.
    pub fn want(&mut self, next_hop: NextHopKey, now: Instant, out: &mut impl Outbox<F>) {
        if self.local.is_local(next_hop.1) {
            self.neighbours.unwant(next_hop);
        } else {
            self.neighbours.want(next_hop, now);
            self.settle(now, out);
        }
    }

    /// Ends one [`Self::want`].
    pub fn unwant(&mut self, next_hop: NextHopKey) {
        self.neighbours.unwant(next_hop);
    }

    /// Handles one frame from a worker.
    pub fn input(&mut self, mut punt: Punt<F>, now: Instant, out: &mut impl Outbox<F>) {
        match (punt.reason, ethernet::ethernet(punt.frame.bytes())) {
            (PuntReason::NeighbourUnresolved, Ok(_)) => match punt.detail {
                // Nobody else has an address of the director: it is neither solicited nor sent to.
                PuntDetail::NextHop { next_hop, .. } if self.local.is_local(next_hop.1) => {
                    self.drop(DropReason::NoLocalHandler);
                }
                PuntDetail::NextHop { next_hop, original_destination } => {
                    let frame = punt.frame;
                    let outgoing = Outgoing { frame, original_destination, is_own: false };
                    self.neighbours.send(next_hop, outgoing, now);
                }
                _ => self.drop(DropReason::NoRoute),
            },
            (_, Ok(Payload::Arp)) => self.arp(&punt, now, out),
            (_, Ok(Payload::Ipv4)) => self.ip::<u32>(&mut punt, now, out),
            (PuntReason::NeighbourDiscovery, Ok(Payload::Ipv6)) => self.nd(&punt, now, out),
            (_, Ok(Payload::Ipv6)) => self.ip::<u128>(&mut punt, now, out),
            (_, Ok(Payload::Other(_))) => self.drop(DropReason::BadEthernet),
            (_, Err(reason)) => self.drop(reason),
        }
        self.settle(now, out);
    }

    /// Sends retransmissions and announcements that are due, and removes expired state. Called about every 100 ms.
    pub fn tick(&mut self, now: Instant, out: &mut impl Outbox<F>) {
        self.tick_neighbours(now, out);
        self.expire_fragments(now);
        self.send_announcements(now, out);
        self.send_reports(now, out);
    }

    /// Asks again for neighbours, and forgets those that do not answer. A part of [`Self::tick`].
    pub fn tick_neighbours(&mut self, now: Instant, out: &mut impl Outbox<F>) {
        self.neighbours.tick(now);
        self.settle(now, out);
    }

    /// Drops fragments whose datagram was not complete in time. A part of [`Self::tick`].
    pub fn expire_fragments(&mut self, now: Instant) {
        let drops = &mut self.drops;
        self.reassembly.expire(now, |reason| drops[reason as usize] += 1);
    }

    /// When the next announcement is due; `None` if all are sent.
    pub fn next_announcement(&self) -> Option<Instant> {
        self.announcements.due()
    }

    /// The neighbours, sorted by interface and address.
    pub fn neighbours(&self) -> impl Iterator<Item = Neighbour> + '_ {
        self.neighbours.iter()
    }

    /// Changes whenever a usable MAC address appears, changes or disappears, i.e. when workers need a new snapshot.
    pub fn generation(&self) -> u64 {
        self.neighbours.generation()
    }

    /// Neighbours whose usable MAC address may have changed since the last call, with their present one.
    pub fn take_neighbour_changes(&mut self) -> Vec<(NextHopKey, Option<[u8; 6]>)> {
        self.neighbours.take_changes()
    }

    /// Frames dropped here since the start for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    fn ip<A: HostFamily + Membership>(
        &mut self,
        punt: &mut Punt<F>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let packet = match A::parse(&punt.frame.bytes()[ethernet::ETHERNET..]) {
            Ok(packet) => packet,
            Err(reason) => return self.drop(reason),
        };
        let trouble = match punt.reason {
            PuntReason::IcmpEcho => return self.echo(punt, &packet, now, out),
            PuntReason::GroupMembership => return self.membership(punt, &packet, now),
            PuntReason::UnservedPort => return self.reject(punt, &packet, now, out),
            PuntReason::TunnelIcmp => return self.tunnel_error(punt, &packet, now, out),
            PuntReason::NoDestination => ErrorCause::NoDestination,
            PuntReason::NatIcmpSend => ErrorCause::NoConnection,
            PuntReason::TtlExpired => ErrorCause::TtlExpired,
            PuntReason::FragmentationNeeded => match punt.detail {
                PuntDetail::Mtu(mtu) => ErrorCause::TooBig(mtu),
                _ => return self.drop(DropReason::NoLocalHandler),
            },
            PuntReason::NoRoute => ErrorCause::NoRoute,
            PuntReason::DestinationUnreachable => ErrorCause::DestinationUnreachable,
            PuntReason::Arp
            | PuntReason::NeighbourDiscovery
            | PuntReason::LocalOther
            | PuntReason::HostStack
            | PuntReason::NeighbourUnresolved => return self.drop(DropReason::NoLocalHandler),
        };
        if matches!(trouble, ErrorCause::TooBig(_))
            && self.local.is_local(packet.destination().to_ip())
        {
            // Towards a destination IPVS decrements the TTL before it checks the length, so the error quotes the lower
            // TTL. For replies forwarding checks the length first.
            A::lower_ttl(&mut punt.frame.bytes_mut()[ethernet::ETHERNET..]);
        }
        self.error(Some(punt.interface), punt.frame.bytes(), &packet, trouble, now, out);
    }

    fn drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// Performs the effects of the neighbours' state machine. It terminates, because an error is never answered by
    /// another.
    fn settle(&mut self, now: Instant, out: &mut impl Outbox<F>) {
        while let Some(effect) = self.neighbours.next_effect() {
            match effect {
                Effect::Solicit { next_hop: (interface, address), mac } => {
                    self.solicit(interface, address, mac, out);
                }
                Effect::Send { interface, mac, frame } => {
                    self.send_to(interface, mac, frame, out);
                }
                Effect::Unreachable { frame } => self.host_unreachable(frame, now, out),
                Effect::Drop(reason) => self.drop(reason),
            }
        }
    }

    fn solicit(
        &mut self,
        interface: InterfaceId,
        address: IpAddr,
        mac: Option<[u8; 6]>,
        out: &mut impl Outbox<F>,
    ) {
        match address {
            IpAddr::V4(address) => self.arp_request(interface, address, mac, out),
            IpAddr::V6(address) => self.nd_solicit(interface, address, mac, out),
        }
    }
}
