//! What others change on the host's interfaces: addresses that an operator or a daemon adds or removes.

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::net::IpAddr;

/// Multicast groups of rtnetlink(7): addresses of both families.
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;

/// An address of an interface of the host was added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressChange {
    /// The host's number of the interface.
    pub(super) index: u32,
    pub(super) address: IpAddr,
    pub(super) length: u8,
    pub(super) is_added: bool,
}

/// Hears of all changes of addresses.
pub(super) struct Monitor {
    socket: Socket,
}

impl Monitor {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))?;
        socket.set_non_blocking(true)?;
        // Too many changes at once are lost silently: the next one is heard again.
        socket.set_no_enobufs(true)?;
        Ok(Monitor { socket })
    }

    /// The changes since the last call.
    pub(super) fn changes(&mut self) -> Vec<AddressChange> {
        let mut changes = Vec::new();
        while let Ok((datagram, _)) = self.socket.recv_from_full() {
            let mut rest = datagram.as_slice();
            while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
                let length = (message.header.length as usize).next_multiple_of(4);
                if let NetlinkPayload::InnerMessage(message) = message.payload {
                    changes.extend(change(&message));
                }
                rest = match rest.get(length..) {
                    Some(rest) if length > 0 && !rest.is_empty() => rest,
                    _ => break,
                };
            }
        }
        changes
    }
}

fn change(message: &RouteNetlinkMessage) -> Option<AddressChange> {
    let (message, is_added) = match message {
        RouteNetlinkMessage::NewAddress(message) => (message, true),
        RouteNetlinkMessage::DelAddress(message) => (message, false),
        _ => return None,
    };
    Some(AddressChange {
        index: message.header.index,
        address: address(message)?,
        length: message.header.prefix_len,
        is_added,
    })
}

/// The interface's own address. On a point-to-point link `Address` is the peer's.
fn address(message: &AddressMessage) -> Option<IpAddr> {
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| {
        message.attributes.iter().find_map(wanted)
    };
    find(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    })
    .or_else(|| {
        find(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}
