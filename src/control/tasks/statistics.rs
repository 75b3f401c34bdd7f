//! The estimator: totals and rates of services and destinations, every two seconds, a part in each turn.

use super::SECOND;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::time::Instant;

pub(super) struct Statistics;

impl<F: Frame> Task<F> for Statistics {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let (now, desired) = (context.now, &mut context.state.desired);
        desired.estimate(now);
        // The first service starts the clock of the statistics.
        Some(desired.next_estimation(now).unwrap_or(now + SECOND).max(now))
    }
}
