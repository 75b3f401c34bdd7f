//! Gives back the slots of removed destinations that no connection uses, a part in each turn.

use super::SECOND;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::time::Instant;

pub(super) struct Trash;

impl<F: Frame> Task<F> for Trash {
    fn name(&self) -> &'static str {
        "trash"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let (now, desired) = (context.now, &mut context.state.desired);
        desired.empty_trash(now);
        Some(if desired.is_emptying_trash() { now } else { now + SECOND })
    }
}
