//! What the control thread asks of a worker's tables: done a bounded piece per poll, and handoff_rings back.

use crate::conn::Connection;
use crate::io::{Frame, Queue};
use crate::model::Family;
use crate::snapshot::Snapshot;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::{JOB_BUDGET, Worker};
use std::net::IpAddr;

/// See the module.
#[derive(Debug)]
pub enum TableJob {
    /// Fill a piece of a listing.
    List(ConnectionPiece),
    /// End every connection whose destination was removed (`expire_nodest_conn`). `cursor` starts at 0.
    SweepRemoved { family: Family, cursor: u32 },
    /// The drop_entry defence looks at this many entries, from a place of its choice.
    DropEntries { family: Family, entries: u32 },
}

/// Rows of a listing. The asker makes the room; the worker fills it and does not allocate.
#[derive(Debug)]
pub struct ConnectionPiece {
    pub family: Family,
    /// Where to go on; 0 to begin.
    pub cursor: u32,
    /// As many as it has capacity for.
    pub rows: Vec<RawConnection>,
    /// The walk is over.
    pub is_last: bool,
}

/// A connection as the table has it.
#[derive(Clone, Copy, Debug)]
pub struct RawConnection {
    pub protocol: u8,
    pub state: u8,
    pub is_bypass: bool,
    pub remaining_ms: u64,
    pub client: (IpAddr, u16),
    pub virtual_address: (IpAddr, u16),
    /// The destination's slot, and what the connection itself remembers of it.
    pub destination: u32,
    pub destination_address: (IpAddr, u16),
}

impl<Q: Queue> Worker<Q> {
    /// Does a piece of the chore at hand, or takes the next one.
    pub(in crate::worker) fn run_jobs(&mut self) {
        let Some(mut job) = self.job.take().or_else(|| self.jobs.pop().ok()) else { return };
        let snapshot: &Snapshot = self.snapshot.current();
        let finished = match &mut job {
            TableJob::List(piece) => match piece.family {
                Family::Ipv4 => self.engine.list::<u32>(piece),
                Family::Ipv6 => self.engine.list::<u128>(piece),
            },
            TableJob::SweepRemoved { family: Family::Ipv4, cursor } => {
                self.engine.sweep_removed::<u32>(snapshot, cursor)
            }
            TableJob::SweepRemoved { family: Family::Ipv6, cursor } => {
                self.engine.sweep_removed::<u128>(snapshot, cursor)
            }
            TableJob::DropEntries { family: Family::Ipv4, entries } => {
                self.engine.drop_entries::<u32>(snapshot, entries)
            }
            TableJob::DropEntries { family: Family::Ipv6, entries } => {
                self.engine.drop_entries::<u128>(snapshot, entries)
            }
        };
        if !finished {
            self.job = Some(job);
        } else if let Err(rtrb::PushError::Full(job)) = self.done.push(job) {
            // Control has not collected the last ones; this one waits.
            self.job = Some(job);
        }
    }
}

impl<F: Frame> Engine<F> {
    /// True once the piece is full or the walk over.
    fn list<A: WorkerFamily>(&self, piece: &mut ConnectionPiece) -> bool {
        let room = piece.rows.capacity() - piece.rows.len();
        if room == 0 || piece.is_last {
            return true;
        }
        let (connections, next) =
            A::table(&self.tables).iter_from(piece.cursor, JOB_BUDGET.min(room));
        piece.rows.extend(connections.map(|(_, connection)| self.row(connection)));
        match next {
            Some(next) => piece.cursor = next,
            None => piece.is_last = true,
        }
        piece.is_last || piece.rows.len() == piece.rows.capacity()
    }

    fn row<A: WorkerFamily>(&self, connection: &Connection<A>) -> RawConnection {
        RawConnection {
            protocol: connection.protocol,
            state: connection.state,
            is_bypass: connection.flags.method() == crate::conn::Method::Bypass,
            remaining_ms: connection.remaining_ms(self.now_ms),
            client: (connection.client.to_ip(), connection.client_port),
            virtual_address: (connection.virtual_address.to_ip(), connection.virtual_port),
            destination: connection.destination,
            destination_address: (
                connection.destination_address.to_ip(),
                connection.destination_port,
            ),
        }
    }

    /// True once the whole table was looked at.
    fn sweep_removed<A: WorkerFamily>(&mut self, snapshot: &Snapshot, cursor: &mut u32) -> bool {
        let mut removed = arrayvec::ArrayVec::<_, JOB_BUDGET>::new();
        let (connections, next) = A::table(&self.tables).iter_from(*cursor, JOB_BUDGET);
        for (id, connection) in connections {
            let destination = Self::destination_of(snapshot, connection);
            if destination.is_some_and(|destination| !destination.available) {
                removed.push(id);
            }
        }
        for id in removed {
            let template = A::table(&self.tables).get(id).template;
            self.remove_connection::<A>(snapshot, id);
            // A controller goes with the last connection it controlled.
            self.end_template(template, |_| true);
        }
        match next {
            Some(next) => {
                *cursor = next;
                false
            }
            None => true,
        }
    }
}
