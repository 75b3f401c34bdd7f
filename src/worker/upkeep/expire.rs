//! Removes expired connections and held fragments.

use crate::conn::Expiry;
use crate::io::Queue;
use crate::reason::DropReason;
use crate::snapshot::Snapshot;
use crate::worker::egress::Egress;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;

/// Wheel slots and entries visited per poll.
const EXPIRE_BUDGET: usize = 64;

/// Removes expired connections and drops expired fragments.
pub(super) fn expire<Q: Queue>(
    engine: &mut Engine<Q::Frame>,
    snapshot: &Snapshot,
    egress: &Egress<Q>,
) {
    expire_connections::<Q::Frame, u32>(engine, snapshot);
    expire_connections::<Q::Frame, u128>(engine, snapshot);
    let now_ms = engine.clock.now_ms;
    while let Some(ingress) = engine.fragments.timed_out(now_ms) {
        egress.drop_frame(ingress.port(), DropReason::FragmentTimedOut);
    }
}

fn expire_connections<F, A: WorkerFamily>(engine: &mut Engine<F>, snapshot: &Snapshot) {
    let Engine { tables, accounts, clock, .. } = engine;
    A::table_mut(tables).expire(clock.now_ms, EXPIRE_BUDGET, |_, connection| {
        accounts.conn_removed(snapshot, connection, clock.now);
        Expiry::Remove
    });
}
