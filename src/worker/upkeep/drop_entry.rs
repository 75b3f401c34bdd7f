//! The `drop_entry` defence: removes connections that IPVS would remove when memory is short.

use crate::conn::{Connection, sctp, tcp};
use crate::model::Protocol;
use crate::snapshot::Snapshot;
use crate::time::Duration;
use crate::worker::defence::IdleSampler;
use crate::worker::engine::Engine;
use crate::worker::tables::WorkerFamily;
use crate::worker::track;
use crate::worker::upkeep::JOB_BUDGET;
use arrayvec::ArrayVec;

/// Visits entries from a random position on, up to a budget, and removes those that `drop_entry` selects. True when
/// `left` is used up or the end of the table is reached.
pub(super) fn drop_entries<F, A: WorkerFamily>(
    engine: &mut Engine<F>,
    snapshot: &Snapshot,
    left: &mut u32,
) -> bool {
    let Engine { tables, defence, clock, .. } = engine;
    let table = A::table(tables);
    let start = ((u64::from(defence.random()) * table.capacity() as u64) >> 32) as u32;
    let look_at = (*left as usize).min(JOB_BUDGET);
    let mut victims = ArrayVec::<_, JOB_BUDGET>::new();
    for (id, connection) in table.iter_from(start, look_at).0 {
        if is_expendable(connection, clock.now_ms, &mut defence.idle_sampler) {
            victims.push(id);
        }
    }
    for id in victims {
        let template = A::table(&engine.tables).get(id).template;
        track::remove_connection::<F, A>(engine, snapshot, id);
        engine.accounts.counters.entries_dropped.add(1);
        engine.accounts.end_template(template, |template| !template.assured);
    }
    *left -= look_at as u32;
    *left == 0
}

/// True for connections that `drop_entry` may remove: half-open ones always, established and stateless ones if idle,
/// others never.
fn is_expendable<A: WorkerFamily>(
    connection: &Connection<A>,
    now_ms: u32,
    idle_sampler: &mut IdleSampler,
) -> bool {
    let mut is_idle = || {
        let idle = Duration::from_millis(connection.idle_ms(now_ms).into());
        idle_sampler.takes(connection.in_packets, idle)
    };
    match Protocol::from_number(connection.protocol) {
        Some(Protocol::Tcp) => match tcp::TcpState::from_number(connection.state) {
            tcp::TcpState::SynReceived | tcp::TcpState::SynAck => true,
            tcp::TcpState::Established => is_idle(),
            _ => false,
        },
        Some(Protocol::Sctp) => match sctp::SctpState::from_number(connection.state) {
            sctp::SctpState::Init1 | sctp::SctpState::Init => true,
            sctp::SctpState::Established => is_idle(),
            _ => false,
        },
        Some(Protocol::Udp) | None => is_idle(),
    }
}
