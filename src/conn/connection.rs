//! One entry of the table: a cache line for IPv4, two for IPv6.

use super::flags::{Flags, Method};
use super::step::{Side, Step};
use crate::model::ReplySource;
use crate::packet::{Address, Tuple};
use std::mem::offset_of;

/// [`Connection::destination`] of a connection without destination (cache bypass).
pub const NO_DESTINATION: u32 = u32::MAX;

/// [`Connection::template`] of a connection without persistence template.
pub const NO_TEMPLATE: u32 = 0;

/// Slot of a connection in its worker's table: 1 to the capacity. It names the connection until that is removed; then
/// the slot may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u32);

impl ConnectionId {
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the virtual address.
    Original,
    /// To the client: with NAT from the destination, otherwise from the virtual address.
    Reply,
}

/// A connection. The index finds it by addresses, ports, protocol and method, which never change after the insertion.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Connection<A> {
    pub client: A,
    pub virtual_address: A,
    /// Zero if the destination has the other address family (tunnel).
    pub destination_address: A,
    pub client_port: u16,
    pub virtual_port: u16,
    pub destination_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// State, numbered as in `conn::tcp`, `conn::udp` or `conn::sctp`.
    pub state: u8,
    /// `DestinationId`, or [`NO_DESTINATION`].
    pub destination: u32,
    /// `ServiceId`.
    pub service: u32,
    /// Its persistence template, or [`NO_TEMPLATE`].
    pub template: u32,
    /// Timeout in seconds after the last packet. Set by `Table::set_timeout`.
    pub timeout_s: u32,
    /// Time of the last packet in wrapping milliseconds.
    pub stamp: u32,
    /// Packets from the client, saturating.
    pub in_packets: u32,
    pub flags: Flags,
    /// Slot of the timer wheel plus one; zero while the entry is vacant.
    pub(super) filed: u16,
    pub(super) links: Links,
    pub(super) cached_reply_route: CachedReplyRoute,
}

/// Route of a connection's replies, cached from an earlier reply. The default never matches.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CachedReplyRoute {
    /// Version of routes, neighbours and local addresses: in it the client's address was not the director's. Zero if that
    /// is not known.
    pub forwarding: u32,
    /// Slot of the next hop, and MTU of the route; zero for none.
    pub next_hop: u16,
    pub mtu: u16,
}

/// Position in a list of the timer wheel; used only by the table.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Links {
    /// Previous and next entry in the wheel slot's list (`next` also links vacant entries); zero ends it.
    pub(super) previous: u32,
    pub(super) next: u32,
}

const _: () = assert!(size_of::<Connection<u32>>() == 64 && align_of::<Connection<u32>>() == 64);
const _: () = assert!(size_of::<Connection<u128>>() == 128);
// IPv6: the fields compared with a packet and the destination are in the first of two cache lines.
const _: () = assert!(offset_of!(Connection<u128>, destination) + size_of::<u32>() <= 64);
const _: () = assert!(offset_of!(Connection<u128>, state) < 64);

/// A longer idle time means that the stamp is ahead of the clock, not 46 days behind it.
const STAMP_AHEAD: u32 = 0xf000_0000;

impl<A: Address> Connection<A> {
    /// A connection from `tuple`'s source to its destination, in state 0, without a destination.
    pub fn new(tuple: Tuple<A>, method: Method) -> Self {
        Connection {
            client: tuple.source,
            virtual_address: tuple.destination,
            destination_address: A::default(),
            client_port: tuple.source_port,
            virtual_port: tuple.destination_port,
            destination_port: 0,
            protocol: tuple.protocol,
            state: 0,
            destination: NO_DESTINATION,
            service: 0,
            template: NO_TEMPLATE,
            timeout_s: 3,
            stamp: 0,
            in_packets: 0,
            flags: Flags::born(method),
            filed: 0,
            links: Links::default(),
            cached_reply_route: CachedReplyRoute::default(),
        }
    }

    /// The tuple of the client's packets.
    #[inline]
    pub fn original_tuple(&self) -> Tuple<A> {
        Tuple {
            source: self.client,
            destination: self.virtual_address,
            source_port: self.client_port,
            destination_port: self.virtual_port,
            protocol: self.protocol,
        }
    }

    /// The tuple of replies as the director receives them.
    #[inline]
    pub fn reply_tuple(&self) -> Tuple<A> {
        let (source, source_port) = match self.flags.method().replies_from() {
            ReplySource::Destination => (self.destination_address, self.destination_port),
            ReplySource::VirtualAddress => (self.virtual_address, self.virtual_port),
        };
        Tuple {
            source,
            destination: self.client,
            source_port,
            destination_port: self.client_port,
            protocol: self.protocol,
        }
    }

    /// Direction of a packet with `tuple`, or `None` if it does not belong to the connection.
    #[inline]
    pub(super) fn direction(&self, tuple: &Tuple<A>) -> Option<Direction> {
        if self.is_original(tuple) {
            Some(Direction::Original)
        } else if self.is_reply(tuple) {
            Some(Direction::Reply)
        } else {
            None
        }
    }

    /// True if a packet with `tuple` comes from the client. Adjacent fields are compared together.
    #[inline(always)]
    pub(super) fn is_original(&self, tuple: &Tuple<A>) -> bool {
        let addresses = match A::BYTES {
            4 => {
                joined(self.client, self.virtual_address) == joined(tuple.source, tuple.destination)
            }
            _ => (self.client == tuple.source) & (self.virtual_address == tuple.destination),
        };
        let ports = |source, destination| u32::from(source) | u32::from(destination) << 16;
        addresses
            && ports(self.client_port, self.virtual_port)
                == ports(tuple.source_port, tuple.destination_port)
            && self.protocol == tuple.protocol
    }

    /// True if a packet with `tuple` goes to the client.
    #[inline]
    pub(super) fn is_reply(&self, tuple: &Tuple<A>) -> bool {
        self.reply_tuple() == *tuple
    }

    /// True if a packet with `tuple` is the reply of a NAT connection, which comes from its destination.
    pub(super) fn is_masq_reply(&self, tuple: &Tuple<A>) -> bool {
        self.flags.method().replies_from() == ReplySource::Destination && self.is_reply(tuple)
    }

    /// Milliseconds since the last packet.
    #[inline]
    pub fn idle_ms(&self, now_ms: u32) -> u32 {
        match now_ms.wrapping_sub(self.stamp) {
            idle if idle > STAMP_AHEAD => 0,
            idle => idle,
        }
    }

    /// Milliseconds until it expires without a packet; zero if it has expired.
    #[inline]
    pub fn remaining_ms(&self, now_ms: u32) -> u64 {
        (u64::from(self.timeout_s) * 1000).saturating_sub(u64::from(self.idle_ms(now_ms)))
    }

    /// Rows of the state tables that apply to a packet. A reply removes NOOUTPUT.
    #[inline]
    pub fn side(&mut self, direction: Direction) -> Side {
        match direction {
            Direction::Reply => {
                self.flags.remove(Flags::NOOUTPUT);
                Side::Output
            }
            Direction::Original if self.flags.contains(Flags::NOOUTPUT) => Side::InputOnly,
            Direction::Original => Side::Input,
        }
    }

    /// Applies a step at `now_ms` that changes only the state. False if the timeout, the active or inactive count, or
    /// the template must change too.
    #[inline(always)]
    pub fn apply_step(&mut self, step: &Step, now_ms: u32) -> bool {
        self.state = step.state;
        self.stamp = now_ms;
        // Timeout and count are compared together, the template separately: changes are rare.
        let other_timeout = self.timeout_s ^ step.timeout_s;
        let other_count = (self.flags ^ step.count).intersection(Flags::INACTIVE);
        let is_all = other_timeout | u32::from(other_count.bits()) == 0;
        is_all && !(step.assures_template && self.template != NO_TEMPLATE)
    }

    /// The route of an earlier reply.
    #[inline(always)]
    pub fn cached_reply_route(&self) -> CachedReplyRoute {
        self.cached_reply_route
    }

    /// Caches a reply's route for the next reply, unless the connection must take the full path.
    #[inline]
    pub fn cache_reply_route(&mut self, route: CachedReplyRoute) {
        let is_kept = !self.flags.contains(Flags::FULL_PATH);
        self.cached_reply_route = if is_kept { route } else { CachedReplyRoute::default() };
    }

    /// The client's address is not the director's in this version of the local addresses. No route is cached yet.
    #[inline]
    pub fn client_is_elsewhere(&mut self, forwarding: u32) {
        self.cached_reply_route.forwarding = forwarding;
    }

    /// All later packets of the connection take the full path.
    pub fn require_full_path(&mut self) {
        self.flags.insert(Flags::FULL_PATH);
        self.cached_reply_route = CachedReplyRoute::default();
    }

    #[inline]
    pub fn is_active(&self) -> bool {
        !self.flags.contains(Flags::INACTIVE)
    }

    /// True if the entry holds a connection.
    #[inline]
    pub(super) fn is_filed(&self) -> bool {
        self.filed != 0
    }
}
/// Two IPv4 addresses as one 64-bit number.
#[inline(always)]
fn joined<A: Address>(low: A, high: A) -> u64 {
    low.bits() as u64 | (high.bits() as u64) << 32
}
