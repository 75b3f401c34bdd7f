//! Samples how busy workers are.

use super::SECOND;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::time::Instant;

pub(super) struct Busy;

impl<F: Frame> Task<F> for Busy {
    fn name(&self) -> &'static str {
        "busy meter"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        context.state.busy.sample(&context.state.shared, context.now);
        Some(context.now + SECOND)
    }
}
