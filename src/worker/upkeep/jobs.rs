//! Jobs of the control thread for a worker's tables: done in a bounded slice per poll, then returned.

use super::{JOB_BUDGET, drop_entry};
use crate::conn::{Connection, Method};
use crate::model::Family;
use crate::packet::Address;
use crate::snapshot::Snapshot;
use crate::worker::engine::{Engine, destination_of};
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use arrayvec::ArrayVec;
use rtrb::{Consumer, Producer, PushError};
use std::net::IpAddr;

/// A job for the tables of one worker.
#[derive(Debug)]
pub enum TableJob {
    /// Fill a part of a listing.
    List(ConnectionPiece),
    /// Remove all connections of removed destinations (`expire_nodest_conn`). `cursor` starts at 0.
    SweepRemoved { family: Family, cursor: u32 },
    /// Run the `drop_entry` defence over this many entries, from a random position on.
    DropEntries { family: Family, entries: u32 },
}

/// Rows of a listing. The sender provides the capacity; the worker fills it and does not allocate.
#[derive(Debug)]
pub struct ConnectionPiece {
    pub family: Family,
    /// Where to continue; 0 to begin.
    pub cursor: u32,
    /// At most the vector's capacity.
    pub rows: Vec<RawConnection>,
    /// The walk has reached the end.
    pub is_last: bool,
}

/// A connection as stored in the table.
#[derive(Clone, Copy, Debug)]
pub struct RawConnection {
    pub protocol: u8,
    pub state: u8,
    pub is_bypass: bool,
    pub remaining_ms: u64,
    pub client: (IpAddr, u16),
    pub virtual_address: (IpAddr, u16),
    /// The destination's slot, and its address and port stored in the connection.
    pub destination: u32,
    pub destination_address: (IpAddr, u16),
}

/// A worker's ends of the job rings, and the current job.
pub(in crate::worker) struct JobQueue {
    incoming: Consumer<TableJob>,
    at_hand: Option<TableJob>,
    done: Producer<TableJob>,
}

impl JobQueue {
    pub(in crate::worker) fn new(incoming: Consumer<TableJob>, done: Producer<TableJob>) -> Self {
        JobQueue { incoming, at_hand: None, done }
    }

    /// Does a slice of the current job, or takes the next one.
    pub(super) fn run<F>(&mut self, engine: &mut Engine<F>, snapshot: &Snapshot) {
        let Some(mut job) = self.at_hand.take().or_else(|| self.incoming.pop().ok()) else {
            return;
        };
        if !run_slice(engine, snapshot, &mut job) {
            self.at_hand = Some(job);
        } else if let Err(PushError::Full(job)) = self.done.push(job) {
            // Control has not collected earlier results, so this one waits.
            self.at_hand = Some(job);
        }
    }
}

/// True once the job is done.
fn run_slice<F>(engine: &mut Engine<F>, snapshot: &Snapshot, job: &mut TableJob) -> bool {
    match job {
        TableJob::List(piece) => match piece.family {
            Family::Ipv4 => list::<F, u32>(engine, piece),
            Family::Ipv6 => list::<F, u128>(engine, piece),
        },
        TableJob::SweepRemoved { family, cursor } => match family {
            Family::Ipv4 => sweep_removed::<F, u32>(engine, snapshot, cursor),
            Family::Ipv6 => sweep_removed::<F, u128>(engine, snapshot, cursor),
        },
        TableJob::DropEntries { family, entries } => match family {
            Family::Ipv4 => drop_entry::drop_entries::<F, u32>(engine, snapshot, entries),
            Family::Ipv6 => drop_entry::drop_entries::<F, u128>(engine, snapshot, entries),
        },
    }
}

/// True once the part is full or the walk has ended.
fn list<F, A: WorkerFamily>(engine: &Engine<F>, piece: &mut ConnectionPiece) -> bool {
    let room = piece.rows.capacity() - piece.rows.len();
    if room == 0 || piece.is_last {
        return true;
    }
    let now_ms = engine.clock.now_ms;
    let (connections, next) =
        A::table(&engine.tables).iter_from(piece.cursor, JOB_BUDGET.min(room));
    piece.rows.extend(connections.map(|(_, connection)| row(connection, now_ms)));
    match next {
        Some(next) => piece.cursor = next,
        None => piece.is_last = true,
    }
    piece.is_last || piece.rows.len() == piece.rows.capacity()
}

fn row<A: Address>(connection: &Connection<A>, now_ms: u32) -> RawConnection {
    RawConnection {
        protocol: connection.protocol,
        state: connection.state,
        is_bypass: connection.flags.method() == Method::Bypass,
        remaining_ms: connection.remaining_ms(now_ms),
        client: (connection.client.to_ip(), connection.client_port),
        virtual_address: (connection.virtual_address.to_ip(), connection.virtual_port),
        destination: connection.destination,
        destination_address: (connection.destination_address.to_ip(), connection.destination_port),
    }
}

/// True once the whole table was visited.
fn sweep_removed<F, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    cursor: &mut u32,
) -> bool {
    let mut removed = ArrayVec::<_, JOB_BUDGET>::new();
    let (connections, next) = A::table(&engine.tables).iter_from(*cursor, JOB_BUDGET);
    for (id, connection) in connections {
        let destination = destination_of(snapshot, connection);
        if destination.is_some_and(|destination| !destination.available) {
            removed.push(id);
        }
    }
    for id in removed {
        let template = A::table(&engine.tables).get(id).template;
        track::remove_connection::<F, A>(engine, snapshot, id);
        // A template is removed with its last connection.
        engine.accounts.end_template(template, |_| true);
    }
    match next {
        Some(next) => {
            *cursor = next;
            false
        }
        None => true,
    }
}
