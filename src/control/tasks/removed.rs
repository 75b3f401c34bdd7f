//! With `expire_nodest_conn`, ends the connections and templates of removed destinations, once the workers know of the removal.

use crate::conn::template::{SweepCursor, Template};
use crate::control::event::Event;
use crate::control::state::template_gone;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::limits::TEMPLATES_AT_ONCE;
use crate::model::Family;
use crate::time::Instant;
use crate::worker::TableJob;

#[derive(Default)]
pub(super) struct RemovedSweep {
    /// Removals that were swept after.
    removals: u64,
    cursor: SweepCursor,
    /// Templates still to be looked at.
    left: usize,
}

impl<F: Frame> Task<F> for RemovedSweep {
    fn name(&self) -> &'static str {
        "sweep of removed destinations"
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_, F>) {
        let state = &mut context.state;
        let removals = state.desired.removals();
        let is_current = state.is_published();
        if *event != Event::SnapshotSettled || !is_current || self.removals == removals {
            return;
        }
        self.removals = removals;
        if state.desired.sysctls().expire_nodest_conn == 0 {
            return;
        }
        for worker in 0..usize::from(state.sizing.workers) {
            for family in [Family::Ipv4, Family::Ipv6] {
                state.push_job(worker, TableJob::SweepRemoved { family, cursor: 0 });
            }
        }
        // The whole table from wherever the sweep stands, and the first part twice.
        self.left = state.sizing.templates + TEMPLATES_AT_ONCE;
        context.wake();
    }

    /// Connections end their own templates. This ends the templates that have no connections.
    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        if self.left == 0 {
            return None;
        }
        let (now, state) = (context.now, &mut context.state);
        let destinations = &state.publisher.current().destinations;
        let unwanted = |template: &Template| {
            !destinations.get(template.destination as usize).is_some_and(|to| to.available)
        };
        let gone = |template: &Template| template_gone(&state.shared, template);
        let templates = &state.shared.templates;
        templates.sweep(&mut self.cursor, TEMPLATES_AT_ONCE, now, unwanted, gone);
        self.left = self.left.saturating_sub(TEMPLATES_AT_ONCE);
        (self.left > 0).then_some(now)
    }
}
