//! Garbage collection of the address maps of lblc and lblcr, some services in each turn.

use super::SECOND;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::limits::SERVICES_AT_ONCE;
use crate::time::Instant;

#[derive(Default)]
pub(super) struct Locality {
    /// Services looked at in this round.
    place: usize,
}

impl<F: Frame> Task<F> for Locality {
    fn name(&self) -> &'static str {
        "locality collection"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let (now, desired) = (context.now, &context.state.desired);
        let place = self.place..self.place + SERVICES_AT_ONCE;
        match desired.collect_locality(place.clone(), now) {
            true => {
                self.place = 0;
                Some(now + SECOND)
            }
            false => {
                self.place = place.end;
                Some(now)
            }
        }
    }
}
