//! Decides which measures against floods are in force, and puts `drop_entry` to work.

use super::SECOND;
use crate::control::defence::{Room, drops_everywhere};
use crate::control::state::State;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::model::Family;
use crate::time::Instant;
use crate::worker::TableJob;
use crate::worker::stats::counters::WorkerCounters;
use std::sync::Arc;

/// `drop_entry` looks at this part of a table each second, as IPVS does of its buckets.
pub(super) const DROP_ENTRY_SHARE: usize = 32;

pub(super) struct DefenceTask;

impl<F: Frame> Task<F> for DefenceTask {
    fn name(&self) -> &'static str {
        "defence"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        defend(context.state);
        Some(context.now + SECOND)
    }
}

/// Decides about the measures, each second and after a change of a setting. `drop_entry` works on the tables that are short
/// of room. If templates are short of room, it works on all tables, because a template stays while it has connections.
pub(in crate::control) fn defend<F: Frame>(state: &mut State<F>) {
    let tables = connection_tables(state);
    let all = tables.iter().map(|(.., room)| room.capacity).sum();
    let templates = Room::new(state.sizing.templates, state.shared.templates.len() as u64);
    let rooms = tables.iter().map(|(.., room)| *room).chain([templates]);
    state.desired.defend(rooms.map(|room| room.weighted(all)).min().unwrap_or(all));
    if !state.desired.settings().drop_entry {
        return;
    }
    let sysctls = *state.desired.sysctls();
    let everywhere = drops_everywhere(&sysctls) || templates.is_short(all, &sysctls);
    for (worker, family, room) in tables {
        if everywhere || room.is_short(all, &sysctls) {
            let entries = (room.capacity as usize / DROP_ENTRY_SHARE).max(1) as u32;
            state.push_job(worker, TableJob::DropEntries { family, entries });
        }
    }
}

/// The connection tables by worker and family.
fn connection_tables<F>(state: &State<F>) -> Vec<(usize, Family, Room)> {
    let of_worker = |(worker, counters): (usize, &Arc<WorkerCounters>)| {
        let (ipv4, ipv6) = (counters.connections_ipv4.get(), counters.connections_ipv6.get());
        [
            (worker, Family::Ipv4, Room::new(state.sizing.connections_ipv4, ipv4)),
            (worker, Family::Ipv6, Room::new(state.sizing.connections_ipv6, ipv6)),
        ]
    };
    state.shared.counters.iter().enumerate().flat_map(of_worker).collect()
}
