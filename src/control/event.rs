//! What tasks of the control thread hear of each other.

use crate::host::NextHop;
use crate::model::InterfaceId;
use std::net::IpAddr;

/// Something has happened that tasks may have to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The director answers for this virtual address from now on and announces it, or (false) no longer.
    VipChanged { address: IpAddr, is_active: bool },
    /// A destination or a gateway is behind this next hop, whose address is to be kept resolved, or (false) none is any more.
    NextHopChanged { next_hop: NextHop, is_wanted: bool },
    /// The usable Ethernet address of a neighbour; `None`: it has none.
    NeighbourChanged { next_hop: NextHop, mac: Option<[u8; 6]> },
    /// An interface has become a member of a multicast group, or (false) is no longer one.
    MembershipChanged { interface: InterfaceId, group: IpAddr, is_member: bool },
    /// The interfaces have other addresses, or other networks are around them; at the start too.
    NetworksChanged,
    /// The configuration lists other neighbours; at the start too.
    StaticNeighboursChanged,
    /// Every worker uses the newest snapshot.
    SnapshotSettled,
    /// Jobs wait for the workers' tables.
    JobsWaiting,
}
