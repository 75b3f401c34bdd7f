//! Packets that the director itself sends. IPVS sees them on their way out: a reset or an ICMP error about a client's
//! packet counts as a packet back to the client, and a reset takes the connection to its next state.

use crate::conn::{Connection, Direction};
use crate::io::Frame;
use crate::model::ReplySource;
use crate::packet::ethernet::{self, ETHERNET, Payload};
use crate::packet::{Fragment, Role};
use crate::snapshot::Snapshot;
use crate::worker::engine::{Engine, destination_of};
use crate::worker::tables::WorkerFamily;
use crate::worker::track;

/// Counts a packet that the director has made, if it answers a packet of a connection in this worker's table.
#[cold]
pub(super) fn count_own_packet<F: Frame>(engine: &mut Engine<F>, snapshot: &Snapshot, frame: &F) {
    match ethernet::ethernet(frame.bytes()) {
        Ok(Payload::Ipv4) => count_in_family::<F, u32>(engine, snapshot, frame),
        Ok(Payload::Ipv6) => count_in_family::<F, u128>(engine, snapshot, frame),
        Ok(_) | Err(_) => {}
    }
}

fn count_in_family<F: Frame, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    frame: &F,
) {
    // Without services IPVS does not see packets.
    if !snapshot.services.serves(A::FAMILY) {
        return;
    }
    let Ok(packet) = A::parse(&frame.bytes()[ETHERNET..]) else { return };
    let request = match packet.role {
        Role::Transport if packet.fragment == Fragment::Whole => packet.flow.reversed(),
        Role::IcmpError => packet.flow,
        _ => return,
    };
    let table = A::table(&engine.tables);
    let Some((id, Direction::Original)) = table.find(table.hash(&request), &request) else {
        return;
    };
    let connection = table.get(id);
    if !answers_itself(snapshot, connection) {
        return;
    }
    engine.accounts.count_reply(snapshot, connection.destination, packet.length);
    if packet.role == Role::Transport {
        track::advance(engine, frame, &packet, id, Direction::Reply);
    }
}

/// A packet from the virtual address is one back to the client. By NAT it comes from the destination: that is the
/// director only if the destination is local.
fn answers_itself<A: WorkerFamily>(snapshot: &Snapshot, connection: &Connection<A>) -> bool {
    match connection.flags.method().replies_from() {
        ReplySource::VirtualAddress => true,
        ReplySource::Destination => {
            destination_of(snapshot, connection).is_some_and(|destination| destination.is_local)
        }
    }
}
