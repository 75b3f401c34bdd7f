//! ICMP errors about the director's own tunnel packets. They belong to the connection of the inner packet.

use crate::conn::Direction;
use crate::io::Frame;
use crate::model::DestinationId;
use crate::packet::ethernet::ETHERNET;
use crate::packet::tunnelled;
use crate::packet::{Address, Tuple, icmp, icmp_error};
use crate::reason::DropReason;
use crate::snapshot::Snapshot;
use crate::worker::batch::Rx;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::verdict::Verdict;

/// Counts the error as a packet to the client and punts it: the control thread sends the client an error about the
/// inner packet. As in the kernel, that one counts too when it is sent.
///
/// `None` if the error is not about a tunnel packet of a connection.
#[cold]
pub(super) fn tunnel_error<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &F,
    rx: &Rx<A>,
) -> Option<Verdict> {
    let packet = &rx.packet;
    if !snapshot.services.serves(A::FAMILY) {
        return None;
    }
    let error = frame.bytes().get(ETHERNET..ETHERNET + usize::from(packet.length))?;
    let inner = tunnelled::open(error.get(usize::from(packet.quoted)..)?)?;
    let request = flow::<A>(&inner.tuple)?;
    let table = A::table(&engine.tables);
    let found = table.find(table.hash(&request), &request);
    let Some((id, Direction::Original)) = found else {
        return engine.owners.next(snapshot, &request, true, false, rx.port(), rx.handoff);
    };
    let slot = table.get(id).destination;
    // As in the kernel: any service's tunnel will do, and that of a removed destination is none.
    if !snapshot.replies.has_tunnel_end(inner.end.to_ip(), inner.kind) {
        return None;
    }
    if !icmp_error::has_valid_checksum(error, packet) {
        return Some(Verdict::Drop(DropReason::BadIcmpChecksum));
    }
    let is_about_length = (packet.icmp_type, packet.icmp_code)
        == (icmp::v4::DESTINATION_UNREACHABLE, icmp::v4::FRAGMENTATION_NEEDED);
    if inner.dont_fragment || !is_about_length {
        engine.accounts.count_reply(snapshot, slot, inner.bytes.len() as u16);
    }
    Some(Verdict::TunnelError(DestinationId(slot)))
}

/// The quoted tuple in family `A`. `None` for IPv6, whose tunnel errors are not handled.
fn flow<A: Address>(tuple: &Tuple<u32>) -> Option<Tuple<A>> {
    Some(Tuple {
        source: A::from_ip(tuple.source.to_ip())?,
        destination: A::from_ip(tuple.destination.to_ip())?,
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        protocol: tuple.protocol,
    })
}
