//! Ends persistence templates whose time is over, and under `drop_entry` those that established nothing.

use super::SECOND;
use super::defence::DROP_ENTRY_SHARE;
use crate::conn::template::{SweepCursor, Template};
use crate::control::state::template_gone;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::limits::TEMPLATES_AT_ONCE;
use crate::time::Instant;
use crate::worker::defence::IdleSampler;

/// Templates looked at per second.
const TEMPLATES_SWEPT: usize = 1 << 18;

#[derive(Default)]
pub(super) struct TemplateSweep {
    cursor: SweepCursor,
    idle_sampler: IdleSampler,
    /// Looked at in this second, and when it began.
    swept: usize,
    began: Option<Instant>,
}

impl<F: Frame> Task<F> for TemplateSweep {
    fn name(&self) -> &'static str {
        "template sweep"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let (now, state) = (context.now, &mut context.state);
        let began = *self.began.get_or_insert(now);
        let drop_entry = state.desired.settings().drop_entry;
        let TemplateSweep { cursor, idle_sampler, .. } = self;
        let unwanted = |template: &Template| {
            let is_looked_at = drop_entry && fastrand::usize(..DROP_ENTRY_SHARE) == 0;
            // Only one-packet connections count packets on a template.
            is_looked_at
                && match template.in_packets {
                    0 => !template.assured,
                    packets => idle_sampler.takes(packets, template.idle(now)),
                }
        };
        let gone = |template: &Template| template_gone(&state.shared, template);
        state.shared.templates.sweep(cursor, TEMPLATES_AT_ONCE, now, unwanted, gone);
        self.swept += TEMPLATES_AT_ONCE;
        // Once round, or as many as there are to be each second.
        if self.swept < TEMPLATES_SWEPT.min(state.sizing.templates) {
            return Some(now);
        }
        (self.swept, self.began) = (0, None);
        Some((began + SECOND).max(now))
    }
}
