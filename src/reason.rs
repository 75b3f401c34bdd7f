//! Why a packet leaves the packet path: drop reasons, and punt reasons for the control thread. Each is counted per
//! worker and queue, so every received frame is accounted for.

use crate::limits::{
    BURST, PUNT_RING_HOST, PUNT_RING_NEIGHBOUR_GROUP, PUNT_RING_NEIGHBOUR_UNICAST,
    PUNT_RING_UNRESOLVED,
};
use crate::model::{DestinationId, InterfaceId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal $help:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[repr(u8)]
        pub enum $name { $(#[doc = $help] $variant,)* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant,)*];
            pub const COUNT: usize = Self::ALL.len();

            /// Name in listings.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// Description, one sentence.
            pub const fn help(self) -> &'static str {
                match self { $($name::$variant => $help,)* }
            }
        }
    };
}

reasons! {
    /// Why a packet was dropped.
    DropReason {
        TooShort "too-short" "The frame ends before the headers it announces.",
        NotContiguous "not-contiguous" "The frame spans several buffers, which is not supported.",
        BadEthernet "bad-ethernet" "The EtherType or destination MAC address is not supported.",
        NotForUs "not-for-us" "The destination MAC address is another host's.",
        BadIpHeader "bad-ip-header" "Wrong IP version, header length or extension header chain.",
        BadIpChecksum "bad-ip-checksum" "The IPv4 header checksum is wrong.",
        BadIpLength "bad-ip-length" "The IP length exceeds the frame, or the device cut the frame to its buffer.",
        BadTransport "bad-transport" "The transport header is cut off or inconsistent.",
        BadIcmpChecksum "bad-icmp-checksum" "The checksum of an ICMP message is wrong.",
        Martian "martian" "The source or destination address is invalid: loopback, multicast source, own source, or of another link.",
        TtlExpired "ttl-expired" "The TTL or hop limit expired, and no error may be sent for the packet.",
        NoRoute "no-route" "There is no route to the packet's destination.",
        NeighbourUnresolved "neighbour-unresolved" "The next hop did not answer ARP or neighbour discovery.",
        DestinationUnavailable "destination-unavailable" "The connection's destination was removed.",
        NoDestination "no-destination" "No usable destination, and no error may be sent for the packet.",
        ConnectionTableFull "connection-table-full" "The worker's connection table has no free entry.",
        TemplateTableFull "template-table-full" "The table of persistence templates has no free entry.",
        DropPacket "drop-packet" "Refused by the drop_packet defence.",
        FragmentTableFull "fragment-table-full" "Too many fragments wait for their first one, or the datagram has too many gaps.",
        FragmentTimedOut "fragment-timed-out" "The first fragment of the datagram did not arrive in time.",
        FragmentOverlap "fragment-overlap" "Fragments of one datagram overlap, exceed its length, or arrived twice.",
        FragmentedSctp "fragmented-sctp" "A fragment of an SCTP packet whose port NAT would change: the checksum covers all fragments.",
        TooBig "too-big" "Larger than the next link's MTU, and no error may be sent for the packet.",
        NoHeadroom "no-headroom" "The buffer has no room for the tunnel header.",
        NoBuffer "no-buffer" "The buffer pool is empty.",
        PuntRingFull "punt-ring-full" "The control thread does not keep up.",
        PuntRateLimited "punt-rate-limited" "Packets of this kind arrive faster than the control thread may answer them.",
        HandoffRingFull "handoff-ring-full" "The worker that owns the packet's flow does not keep up.",
        TransmitRingFull "transmit-ring-full" "The port does not send frames as fast as they arrive.",
        HostRateLimited "host-rate-limited" "Packets for the host's stack arrive faster than its budget allows.",
        HostRingFull "host-ring-full" "The kernel-port thread does not keep up.",
        IcmpRateLimited "icmp-rate-limited" "An ICMP answer was not sent because of its rate limit.",
        UnservedPort "unserved-port" "No service has this port of a local address, and such packets are dropped silently.",
        NeighbourQueueFull "neighbour-queue-full" "Too many packets wait for the MAC address of this next hop.",
        NoCallId "no-call-id" "The service has the sip engine, and the packet has no Call-ID.",
        NoPort "no-port" "The port to send it on does not exist.",
        NoLocalHandler "no-local-handler" "A packet for the director itself that is never answered.",
    }
}

reasons! {
    /// Why a packet was punted to the control thread.
    PuntReason {
        Arp "arp" "An ARP packet.",
        NeighbourDiscovery "neighbour-discovery" "An ICMPv6 neighbour solicitation or advertisement.",
        IcmpEcho "icmp-echo" "An echo request for a local address, or a fragment that may belong to one.",
        GroupMembership "group-membership" "A query for members of multicast groups (MLD, IGMP).",
        LocalOther "local-other" "Any other packet for a local address.",
        UnservedPort "unserved-port" "A transport packet for a local address that no service or connection takes.",
        NoDestination "no-destination" "The service has no usable destination: answered with port unreachable.",
        TtlExpired "ttl-expired" "The TTL or hop limit expired: answered with time exceeded.",
        FragmentationNeeded "fragmentation-needed" "Larger than the next link's MTU: answered with fragmentation needed or packet too big.",
        NeighbourUnresolved "neighbour-unresolved" "Ready to send, but the MAC address of the next hop is unknown.",
        TunnelIcmp "tunnel-icmp" "An ICMP error about a tunnel packet of the director.",
        NatIcmpSend "nat-icmp-send" "A real server's packet without a connection: answered with port unreachable.",
        NoRoute "no-route" "There is no route to the packet's destination: answered with network unreachable.",
        DestinationUnreachable "destination-unreachable" "There is no route to a connection's destination: answered with host unreachable.",
        HostStack "host-stack" "A packet for the host's own stack: passed to its kernel interface.",
    }
}

impl PuntReason {
    /// The drop reason if such a packet gets no answer.
    pub const fn drop_reason(self) -> DropReason {
        match self {
            PuntReason::UnservedPort => DropReason::UnservedPort,
            PuntReason::NoDestination | PuntReason::NatIcmpSend => DropReason::NoDestination,
            PuntReason::TtlExpired => DropReason::TtlExpired,
            PuntReason::FragmentationNeeded => DropReason::TooBig,
            PuntReason::NeighbourUnresolved => DropReason::NeighbourUnresolved,
            PuntReason::NoRoute | PuntReason::DestinationUnreachable => DropReason::NoRoute,
            PuntReason::Arp
            | PuntReason::NeighbourDiscovery
            | PuntReason::IcmpEcho
            | PuntReason::GroupMembership
            | PuntReason::LocalOther
            | PuntReason::TunnelIcmp
            | PuntReason::HostStack => DropReason::NoLocalHandler,
        }
    }
}

/// A frame from a worker to the control thread.
#[derive(Debug)]
pub struct Punt<F> {
    /// The interface that received the frame.
    pub interface: InterfaceId,
    pub reason: PuntReason,
    pub detail: PuntDetail,
    /// As received, with Ethernet header. For [`PuntReason::NeighbourUnresolved`]: ready to send, except for the MAC
    /// addresses.
    pub frame: F,
}

/// Additional data of some reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuntDetail {
    /// No additional data.
    None,
    /// [`PuntReason::FragmentationNeeded`]: the MTU to report, in bytes. [`PuntReason::TunnelIcmp`], added by control: the
    /// MTU of the tunnel's path for the client.
    Mtu(u16),
    /// [`PuntReason::TunnelIcmp`]: the destination of the inner packet's connection.
    Destination(DestinationId),
    /// [`PuntReason::NeighbourUnresolved`]: the next hop, and the client's destination address and port if NAT has
    /// replaced them.
    NextHop { next_hop: (InterfaceId, IpAddr), original_destination: Option<(IpAddr, u16)> },
}

/// The part of the control thread that handles a punt, or the thread beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuntConsumer {
    /// ARP, neighbour discovery and group membership queries.
    Neighbours,
    /// Frames to unresolved next hops.
    Unresolved,
    /// The host: echo, ICMP errors, resets. Anyone can cause these, so their rate is limited.
    Host,
    /// The kernel-port thread, which has rings of its own.
    KernelPort,
}

impl PuntConsumer {
    pub const ALL: [PuntConsumer; 4] = [
        PuntConsumer::Neighbours,
        PuntConsumer::Unresolved,
        PuntConsumer::Host,
        PuntConsumer::KernelPort,
    ];
}

/// The rings from one worker to the control thread. Each has room and a budget of its own, so a flood in one does not starve
/// another. The order is control's: the first are emptied first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PuntClass {
    /// ARP and neighbour discovery to a port's own MAC address.
    NeighbourUnicast,
    /// ARP and neighbour discovery to a broadcast or multicast address.
    NeighbourGroup,
    Unresolved,
    Host,
}

impl PuntReason {
    /// The part of the control thread that handles punts for this reason.
    pub const fn consumer(self) -> PuntConsumer {
        match self {
            PuntReason::Arp | PuntReason::NeighbourDiscovery | PuntReason::GroupMembership => {
                PuntConsumer::Neighbours
            }
            PuntReason::NeighbourUnresolved => PuntConsumer::Unresolved,
            PuntReason::IcmpEcho
            | PuntReason::LocalOther
            | PuntReason::UnservedPort
            | PuntReason::NoDestination
            | PuntReason::TtlExpired
            | PuntReason::FragmentationNeeded
            | PuntReason::TunnelIcmp
            | PuntReason::NatIcmpSend
            | PuntReason::NoRoute
            | PuntReason::DestinationUnreachable => PuntConsumer::Host,
            PuntReason::HostStack => PuntConsumer::KernelPort,
        }
    }

    /// The ring to control for this reason. `to_group`: the frame was broadcast or multicast.
    pub const fn class(self, to_group: bool) -> PuntClass {
        match (self.consumer(), to_group) {
            // A unicast membership query may come from anywhere.
            (PuntConsumer::Neighbours, false) if matches!(self, PuntReason::GroupMembership) => {
                PuntClass::Host
            }
            (PuntConsumer::Neighbours, false) => PuntClass::NeighbourUnicast,
            (PuntConsumer::Neighbours, true) => PuntClass::NeighbourGroup,
            (PuntConsumer::Unresolved, _) => PuntClass::Unresolved,
            // Packets for the host's stack have rings of their own.
            (PuntConsumer::Host | PuntConsumer::KernelPort, _) => PuntClass::Host,
        }
    }
}

impl PuntClass {
    pub const ALL: [PuntClass; 4] = [
        PuntClass::NeighbourUnicast,
        PuntClass::NeighbourGroup,
        PuntClass::Unresolved,
        PuntClass::Host,
    ];

    /// Size of the ring in frames.
    pub const fn capacity(self) -> usize {
        match self {
            PuntClass::NeighbourUnicast => PUNT_RING_NEIGHBOUR_UNICAST,
            PuntClass::NeighbourGroup => PUNT_RING_NEIGHBOUR_GROUP,
            PuntClass::Unresolved => PUNT_RING_UNRESOLVED,
            PuntClass::Host => PUNT_RING_HOST,
        }
    }

    /// Frames that control takes from one worker's ring in one iteration.
    pub const fn budget(self) -> usize {
        match self {
            // Control solicits hundreds of addresses at once, and a lost answer costs a second.
            PuntClass::NeighbourUnicast => 4 * BURST,
            PuntClass::NeighbourGroup | PuntClass::Unresolved | PuntClass::Host => BURST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_in_the_order_of_all() {
        assert!(
            DropReason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index)
        );
        assert!(
            PuntReason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index)
        );
        assert!(
            PuntConsumer::ALL
                .iter()
                .enumerate()
                .all(|(index, consumer)| *consumer as usize == index)
        );
        assert!(PuntClass::ALL.iter().enumerate().all(|(index, class)| *class as usize == index));
    }
}
