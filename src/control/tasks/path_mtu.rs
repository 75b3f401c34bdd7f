//! Forgets path MTUs of tunnels after their time. The host's task learns them from ICMP errors.

use super::SECOND;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::time::Instant;

pub(super) struct PathMtus;

impl<F: Frame> Task<F> for PathMtus {
    fn name(&self) -> &'static str {
        "path MTUs"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        context.state.desired.expire_path_mtus(context.now);
        Some(context.now + SECOND)
    }
}
