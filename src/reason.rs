//! Why a packet leaves the fast path: dropped, or punted to the control thread. Each reason is counted per worker
//! and queue, so every frame that came in is accounted for.

use crate::limits::{
    BURST, PUNT_RING_HOST, PUNT_RING_NEIGHBOUR_GROUP, PUNT_RING_NEIGHBOUR_UNICAST,
    PUNT_RING_UNRESOLVED,
};
use crate::model::InterfaceId;
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

            /// The word in listings.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// One sentence for people.
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
        NotContiguous "not-contiguous" "The frame spans several buffers, which the director does not take.",
        BadEthernet "bad-ethernet" "An Ethernet type or destination the director never takes.",
        NotForUs "not-for-us" "The frame's link-layer destination is another host.",
        BadIpHeader "bad-ip-header" "Wrong IP version, header length or extension header chain.",
        BadIpChecksum "bad-ip-checksum" "The IPv4 header checksum is wrong.",
        BadIpLength "bad-ip-length" "The IP length exceeds the frame.",
        BadTransport "bad-transport" "The transport header is cut off or contradicts itself.",
        BadIcmpChecksum "bad-icmp-checksum" "The checksum of an ICMP message is wrong.",
        Martian "martian" "Its addresses are loopback's, a group's or the director's own as the source, or of another link.",
        TtlExpired "ttl-expired" "TTL or hop limit ran out and no error may be sent for the packet.",
        NoRoute "no-route" "No route leads to the packet's next address.",
        NeighbourUnresolved "neighbour-unresolved" "The next hop did not answer ARP or neighbour discovery.",
        DestinationUnavailable "destination-unavailable" "The connection's destination was removed.",
        NoDestination "no-destination" "No usable destination, and no error may be sent for the packet.",
        ConnectionTableFull "connection-table-full" "The worker's connection table has no free entry.",
        TemplateTableFull "template-table-full" "The table of persistence templates has no free entry.",
        DropPacket "drop-packet" "Refused by the drop_packet defence.",
        FragmentTableFull "fragment-table-full" "Too many fragments wait for the first of their datagrams, or one datagram has too many gaps.",
        FragmentTimedOut "fragment-timed-out" "The first fragment of the datagram did not come in time.",
        FragmentOverlap "fragment-overlap" "Fragments of one datagram overlap, exceed its length, or came twice.",
        FragmentedSctp "fragmented-sctp" "A fragment of an SCTP packet whose port NAT changes: the checksum covers all fragments.",
        TooBig "too-big" "Larger than the next link's MTU, and no error may be sent for the packet.",
        NoHeadroom "no-headroom" "No room in the buffer for the tunnel header.",
        NoBuffer "no-buffer" "The buffer pool is empty.",
        PuntRingFull "punt-ring-full" "The control thread does not keep up.",
        PuntRateLimited "punt-rate-limited" "The control thread was to answer it, but packets of this kind come faster than they are answered.",
        HandoffRingFull "handoff-ring-full" "The worker the packet belongs to does not keep up.",
        TransmitRingFull "transmit-ring-full" "The port does not take frames as fast as they come.",
        IcmpRateLimited "icmp-rate-limited" "An ICMP answer was due, but their rate is limited.",
        UnservedPort "unserved-port" "A local address, but a port no service has, and such packets are dropped silently.",
        NeighbourQueueFull "neighbour-queue-full" "Too many packets wait for this next hop's address.",
        NoCallId "no-call-id" "For a service that tells SIP calls apart, and it does not name its call.",
        NoPort "no-port" "The port it was to leave by does not exist.",
        NoLocalHandler "no-local-handler" "A packet for the director itself that nothing here answers.",
    }
}

reasons! {
    /// Why a packet went to the control thread.
    PuntReason {
        Arp "arp" "An ARP packet.",
        NeighbourDiscovery "neighbour-discovery" "An ICMPv6 neighbour solicitation or advertisement.",
        IcmpEcho "icmp-echo" "An echo request for a local address, or a fragment that may be one's.",
        GroupMembership "group-membership" "A question about the members of multicast groups (MLD, IGMP).",
        LocalOther "local-other" "Something else for a local address.",
        UnservedPort "unserved-port" "A transport packet for a local address that no service or connection takes.",
        NoDestination "no-destination" "A service without a usable destination: port unreachable is due.",
        TtlExpired "ttl-expired" "TTL or hop limit ran out: time exceeded is due.",
        FragmentationNeeded "fragmentation-needed" "Larger than the next link's MTU: fragmentation needed or packet too big is due.",
        NeighbourUnresolved "neighbour-unresolved" "Ready to be sent, but the next hop's address is not known yet.",
        TunnelIcmp "tunnel-icmp" "An ICMP error about a packet the director tunnelled.",
        NatIcmpSend "nat-icmp-send" "A real server's packet without a connection: port unreachable is due.",
        NoRoute "no-route" "No route to the packet's address: network unreachable is due.",
        DestinationUnreachable "destination-unreachable" "No route to a connection's destination: host unreachable is due.",
    }
}

impl PuntReason {
    /// The reason that is counted where such a packet gets no answer.
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
            | PuntReason::TunnelIcmp => DropReason::NoLocalHandler,
        }
    }
}

/// A frame on its way from a worker to the control thread.
#[derive(Debug)]
pub struct Punt<F> {
    /// The interface the frame came in by.
    pub interface: InterfaceId,
    pub reason: PuntReason,
    pub detail: PuntDetail,
    /// As it was received, Ethernet header included. For [`PuntReason::NeighbourUnresolved`]: ready to be sent, its Ethernet
    /// header in place but for the addresses.
    pub frame: F,
}

/// What only some reasons have to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuntDetail {
    /// The reason is all.
    None,
    /// [`PuntReason::FragmentationNeeded`]: the MTU to report, in bytes.
    Mtu(u16),
    /// [`PuntReason::NeighbourUnresolved`]: where the frame goes, and the address and port that the client had sent it to, if
    /// NAT has replaced them.
    NextHop { next_hop: (InterfaceId, IpAddr), original_destination: Option<(IpAddr, u16)> },
}

/// Which part of the control thread handles a punt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuntConsumer {
    /// ARP, neighbour discovery and questions about group membership.
    Neighbours,
    /// Frames that wait for the address of a next hop.
    Unresolved,
    /// The director as a host: echo, ICMP errors, resets. Strangers can cause all of these, so their rate is limited.
    Host,
}

/// The rings from one worker to the control thread. Each has room and a budget of its own, so a flood in one does not starve
/// another. The order is control's: the first are emptied first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PuntClass {
    /// ARP and neighbour discovery to a port's own Ethernet address.
    NeighbourUnicast,
    /// ARP and neighbour discovery to a group of hosts.
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
        }
    }

    /// The ring for this reason. `to_group`: the frame was sent to a group of hosts.
    pub const fn class(self, to_group: bool) -> PuntClass {
        match (self.consumer(), to_group) {
            // A question about groups that is not sent to a group may come from anywhere.
            (PuntConsumer::Neighbours, false) if matches!(self, PuntReason::GroupMembership) => {
                PuntClass::Host
            }
            (PuntConsumer::Neighbours, false) => PuntClass::NeighbourUnicast,
            (PuntConsumer::Neighbours, true) => PuntClass::NeighbourGroup,
            (PuntConsumer::Unresolved, _) => PuntClass::Unresolved,
            (PuntConsumer::Host, _) => PuntClass::Host,
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

    /// Frames the ring holds.
    pub const fn room(self) -> usize {
        match self {
            PuntClass::NeighbourUnicast => PUNT_RING_NEIGHBOUR_UNICAST,
            PuntClass::NeighbourGroup => PUNT_RING_NEIGHBOUR_GROUP,
            PuntClass::Unresolved => PUNT_RING_UNRESOLVED,
            PuntClass::Host => PUNT_RING_HOST,
        }
    }

    /// Frames that control takes from the ring of one worker in one turn.
    pub const fn budget(self) -> usize {
        match self {
            // Control asks for hundreds of addresses at once, and an answer that is lost costs a second.
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
        assert!(PuntClass::ALL.iter().enumerate().all(|(index, class)| *class as usize == index));
    }
}
