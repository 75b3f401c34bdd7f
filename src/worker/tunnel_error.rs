//! ICMP errors about the director's own tunnel packets: they belong to the connection whose request is inside.

use super::engine::Engine;
use super::related::is_sound;
use super::tables::Flows;
use super::verdict::{Verdict, Visit};
use crate::conn::Direction;
use crate::model::{ForwardMethod, PortId};
use crate::packet::ethernet::ETHERNET;
use crate::packet::tunnelled::{self, Tunnelled};
use crate::packet::{Address, Packet, Role, Tuple, icmp};
use crate::port::Frame;
use crate::service::{Destination, Encapsulation, Snapshot};
use crate::stop::{DropReason, PuntReason};
use std::net::IpAddr;

impl<F: Frame> Engine<F> {
    /// Counts the error as a packet to the client and has the control thread tell it again, about the packet inside.
    /// `None`: it is about no tunnel packet of a connection.
    #[cold]
    pub(super) fn tunnel_error<A: Flows>(
        &mut self,
        world: &Snapshot,
        frame: &F,
        packet: &Packet<A>,
        port: PortId,
        visit: Visit,
    ) -> Option<Verdict> {
        if packet.role != Role::IcmpError || !world.services.serves(A::FAMILY) {
            return None;
        }
        let quoted = frame.bytes().get(ETHERNET..ETHERNET + usize::from(packet.length))?;
        let inner = tunnelled::open(quoted.get(usize::from(packet.quoted)..)?)?;
        let request = flow::<A>(&inner.tuple)?;
        let table = A::table(&self.tables);
        let found = table.find(table.hash(&request), &request);
        let Some((id, Direction::Original)) = found else {
            return self.elsewhere(world, &request, true, false, port, visit);
        };
        let slot = table.get(id).destination;
        let destination = world.destinations.get(slot as usize)?;
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
            && let Some(line) = self.line(slot)
        {
            line.count_out(inner.bytes.len() as u16);
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
