//! The contract of a duty of the control thread. A new one is a file in `tasks` and a line in its list.

use super::event::Event;
use super::state::State;
use crate::host::Outbox;
use crate::reason::{Punt, PuntConsumer};
use crate::time::Instant;

/// One duty. It never blocks, reads no file, and does no more than about a millisecond's work in one call: what is longer goes
/// on in the next turn.
///
/// Calls are dynamic: there are a dozen tasks and a few thousand calls a second, none of them in the packet path.
pub(super) trait Task<F> {
    /// The name in logs, and in `directorctl status` if the task takes longest.
    fn name(&self) -> &'static str;

    /// Whose punts it takes. Each consumer has one task.
    fn punts(&self) -> &'static [PuntConsumer] {
        &[]
    }

    /// A punt of one of its consumers.
    fn on_punt(&mut self, _punt: Punt<F>, _context: &mut Context<'_, F>) {}

    fn on_event(&mut self, _event: &Event, _context: &mut Context<'_, F>) {}

    /// The deadline of the task has come. Every task is also called once at the start. Returns the next deadline:
    /// `context.now` to be called in the next turn, `None` to wait for punts and events only.
    fn on_timer(&mut self, _context: &mut Context<'_, F>) -> Option<Instant> {
        None
    }
}

/// What a task works with.
pub(super) struct Context<'a, F> {
    pub(super) now: Instant,
    pub(super) state: &'a mut State<F>,
    /// Sends frames.
    pub(super) out: &'a mut dyn Outbox<F>,
    wake: Option<Instant>,
}

impl<'a, F> Context<'a, F> {
    pub(super) fn new(now: Instant, state: &'a mut State<F>, out: &'a mut dyn Outbox<F>) -> Self {
        Context { now, state, out, wake: None }
    }

    /// Calls the task's `on_timer` in this turn or the next.
    pub(super) fn wake(&mut self) {
        self.wake = Some(self.now);
    }

    pub(super) fn take_wake(&mut self) -> Option<Instant> {
        self.wake.take()
    }
}
