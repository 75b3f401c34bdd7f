//! Events: what tasks of the control thread tell each other.

use crate::host::NextHopKey;
use crate::model::InterfaceId;
use std::net::IpAddr;

/// Something has happened that tasks may have to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The director started (`is_active`) or stopped answering for this virtual address.
    VipChanged { address: IpAddr, is_active: bool },
    /// A destination or gateway started (`is_wanted`) to use this next hop, or none uses it any more. The MAC address of a
    /// wanted next hop is kept resolved.
    NextHopChanged { next_hop: NextHopKey, is_wanted: bool },
    /// The usable MAC address of a neighbour changed. `None`: it has none.
    NeighbourChanged { next_hop: NextHopKey, mac: Option<[u8; 6]> },
    /// An interface joined (`is_member`) or left a multicast group.
    MembershipChanged { interface: InterfaceId, group: IpAddr, is_member: bool },
    /// The addresses or networks of the interfaces changed. Also sent at the start.
    NetworksChanged,
    /// The static neighbours of the configuration changed. Also sent at the start.
    StaticNeighboursChanged,
    /// Every worker uses the newest snapshot.
    SnapshotSettled,
    /// Jobs wait for the workers' tables.
    JobsWaiting,
}
