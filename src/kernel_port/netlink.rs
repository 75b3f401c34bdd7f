//! Addresses, routes and links of the host by rtnetlink (rtnetlink(7)). Each request waits for the kernel's answer, which
//! comes at once.

use crate::model::Prefix;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// Metric of the routes that the director gives the host: the host's own routes come first.
const METRIC: u32 = 4096;

/// A connection to the kernel's configuration of links, addresses and routes.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Sets MAC address and MTU of a link, and sets it up.
    pub(super) fn set_up(&mut self, index: u32, mac: [u8; 6], mtu: u16) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes =
            vec![LinkAttribute::Address(mac.to_vec()), LinkAttribute::Mtu(mtu.into())];
        self.ask(RouteNetlinkMessage::SetLink(link), 0)?;
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.ask(RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Tells the host whether the link has a carrier.
    pub(super) fn set_carrier(&mut self, index: u32, is_up: bool) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes = vec![LinkAttribute::Carrier(is_up.into())];
        self.ask(RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Adds an address; it may be there already. IPv6: without duplicate address detection, because the director has the
    /// address, and nobody would answer the host's probe for it.
    pub(super) fn add_address(
        &mut self,
        index: u32,
        address: IpAddr,
        length: u8,
    ) -> io::Result<()> {
        let message = RouteNetlinkMessage::NewAddress(of_address(index, address, length));
        unless(libc::EEXIST, self.ask(message, NLM_F_CREATE | NLM_F_EXCL))
    }

    /// Removes an address; it may be gone already.
    pub(super) fn remove_address(
        &mut self,
        index: u32,
        address: IpAddr,
        length: u8,
    ) -> io::Result<()> {
        let message = RouteNetlinkMessage::DelAddress(of_address(index, address, length));
        unless(libc::EADDRNOTAVAIL, self.ask(message, 0))
    }

    /// Adds a route by a router on the link; it may be there already.
    pub(super) fn add_route(&mut self, index: u32, to: Prefix, router: IpAddr) -> io::Result<()> {
        let message = RouteNetlinkMessage::NewRoute(of_route(index, to, router));
        unless(libc::EEXIST, self.ask(message, NLM_F_CREATE | NLM_F_EXCL))
    }

    /// Removes a route; it may be gone already.
    pub(super) fn remove_route(
        &mut self,
        index: u32,
        to: Prefix,
        router: IpAddr,
    ) -> io::Result<()> {
        let message = RouteNetlinkMessage::DelRoute(of_route(index, to, router));
        unless(libc::ESRCH, self.ask(message, 0))
    }

    /// Sends a request and waits for its acknowledgement.
    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            let (answer, _) = self.socket.recv_from_full()?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
                .map_err(|error| io::Error::other(error.to_string()))?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            if let NetlinkPayload::Error(error) = answer.payload {
                return match error.code {
                    None => Ok(()),
                    Some(code) => Err(io::Error::from_raw_os_error(code.get().abs())),
                };
            }
        }
    }
}

/// Success also if the error is this one.
fn unless(errno: i32, outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.raw_os_error() == Some(errno) => Ok(()),
        outcome => outcome,
    }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn of_address(index: u32, address: IpAddr, length: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = length;
    message.header.index = index;
    message.header.scope = match address {
        IpAddr::V6(address) if address.is_unicast_link_local() => AddressScope::Link,
        _ => AddressScope::Universe,
    };
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    match address {
        IpAddr::V4(address) if length < 31 => {
            let broadcast = Ipv4Addr::from_bits(address.to_bits() | u32::MAX >> length);
            message.attributes.push(AddressAttribute::Broadcast(broadcast));
        }
        IpAddr::V4(_) => {}
        IpAddr::V6(_) => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
    }
    message
}

fn of_route(index: u32, to: Prefix, router: IpAddr) -> RouteMessage {
    let of = |address| match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    let mut message = RouteMessage::default();
    message.header.address_family = family(router);
    message.header.destination_prefix_length = to.length();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    // The router is on the link, also where its network is not known yet.
    message.header.flags = RouteFlags::Onlink;
    message.attributes = vec![
        RouteAttribute::Gateway(of(router)),
        RouteAttribute::Oif(index),
        RouteAttribute::Priority(METRIC),
    ];
    if to.length() > 0 {
        message.attributes.push(RouteAttribute::Destination(of(to.address())));
    }
    message
}
