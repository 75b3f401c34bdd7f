//! A device that does not place frames on queues by its own rule is no longer relied on.

use super::SECOND;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::model::PortId;
use crate::query;
use crate::time::Instant;

pub(super) struct RssCheck;

impl<F: Frame> Task<F> for RssCheck {
    fn name(&self) -> &'static str {
        "RSS check"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let state = &context.state;
        let steering = &state.shared.steering;
        for port in (0..state.sizing.ports).map(|port| PortId(port as u16)) {
            if !steering.is_placed(port) {
                continue;
            }
            if let Some(result) = query::rss_check_result(&state.shared, port)
                && result.is_mismatch()
            {
                steering.distrust(port);
                log::warn!("port {}: {result}", state.info.ports[port.index()]);
            }
        }
        Some(context.now + SECOND)
    }
}
