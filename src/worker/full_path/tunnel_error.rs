//! ICMP errors about the director's own tunnel packets: they belong to the connection whose request is inside.

use crate::conn::Direction;
use crate::io::Frame;
use crate::model::{ForwardMethod, PortId};
use crate::packet::ethernet::ETHERNET;
use crate::packet::tunnelled::{self, Tunnelled};
use crate::packet::{Address, Packet, Role, Tuple, icmp};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::{Destination, Encapsulation, Snapshot};
use crate::worker::engine::Engine;
use crate::worker::full_path::icmp_error::is_sound;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::{Handoff, Verdict};
use std::net::IpAddr;

impl<F: Frame> Engine<F> {
    /// Counts the error as a packet to the client and has the control thread tell it again, about the packet inside.
    /// `None`: it is about no tunnel packet of a connection.
    #[cold]
    pub(in crate::worker) fn tunnel_error<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        frame: &F,
        packet: &Packet<A>,
        port: PortId,
        handoff: Handoff,
    ) -> Option<Verdict> {
        if packet.role != Role::IcmpError || !snapshot.services.serves(A::FAMILY) {
            return None;
        }
        let quoted = frame.bytes().get(ETHERNET..ETHERNET + usize::from(packet.length))?;
        let inner = tunnelled::open(quoted.get(usize::from(packet.quoted)..)?)?;
        let request = flow::<A>(&inner.tuple)?;
        let table = A::table(&self.tables);
        let found = table.find(table.hash(&request), &request);
        let Some((id, Direction::Original)) = found else {
            return self.next_owner(snapshot, &request, true, false, port, handoff);
        };
        let slot = table.get(id).destination;
        let destination = snapshot.destinations.get(slot as usize)?;
        if !is_end_of(&inner, destination) {
            return None;
        }
        if !is_sound(frame, packet) {
            return Some(Verdict::Drop(DropReason::BadIcmpChecksum));
        }
        let is_about_length = (packet.icmp_type, packet.icmp_code)
            == (icmp::v4::DESTINATION_UNREACHABLE, icmp::v4::FRAGMENTATION_NEEDED);
        let is_told = inner.dont_fragment || !is_about_length;
        if is_told
            && destination.available
            && let Some(stats) = self.stats_of(slot)
        {
            stats.count_out(inner.bytes.len() as u16);
        }
        Some(Verdict::Punt(PuntReason::TunnelIcmp))
    }
}

/// The quoted tuple as the family at hand has it: errors of IPv6 are about no tunnel that is opened here.
fn flow<A: Address>(tuple: &Tuple<u32>) -> Option<Tuple<A>> {
    Some(Tuple {
        source: A::from_ip(tuple.source.to_ip())?,
        destination: A::from_ip(tuple.destination.to_ip())?,
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        protocol: tuple.protocol,
    })
}

/// The tunnel packet was one to this destination.
fn is_end_of(inner: &Tunnelled<'_>, destination: &Destination) -> bool {
    let port = match destination.encapsulation {
        Encapsulation::Gue { port, .. } => Some(port),
        Encapsulation::Ipip | Encapsulation::Gre { .. } => None,
    };
    destination.method == ForwardMethod::Tunnel
        && destination.address == IpAddr::V4(inner.end.into())
        && port == inner.port
}
