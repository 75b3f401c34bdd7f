//! Watches the workers. A worker that does not poll, or does not acknowledge a change, is logged and shown. The service
//! manager is told that the director is alive only while all workers poll.

use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::limits::{ACKNOWLEDGEMENT_LATE, WORKER_STALLED};
use crate::time::{Duration, Instant};

/// How often it looks: several times within the service manager's patience.
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Watchdog {
    /// By worker: the time it has worked, and when that last grew.
    polled: Vec<(u64, Instant)>,
    /// What was logged last.
    warnings: Vec<String>,
}

impl<F: Frame> Task<F> for Watchdog {
    fn name(&self) -> &'static str {
        "watchdog"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let (now, state) = (context.now, &mut context.state);
        self.polled.resize(state.shared.counters.len(), (0, now));
        let mut warnings = Vec::new();
        for (worker, counters) in state.shared.counters.iter().enumerate() {
            let (time, grew) = &mut self.polled[worker];
            if counters.time.get() != *time {
                (*time, *grew) = (counters.time.get(), now);
            } else if now.since(*grew) > WORKER_STALLED {
                warnings.push(format!(
                    "worker {worker} has not polled for {} s or more",
                    WORKER_STALLED.as_secs()
                ));
            }
        }
        let all_poll = warnings.is_empty();
        if state.unacknowledged_for(now) > ACKNOWLEDGEMENT_LATE {
            warnings.extend(state.late_workers().map(|worker| {
                format!("worker {worker} has not acknowledged the last change; other changes wait")
            }));
        }
        if warnings != self.warnings {
            warnings.iter().for_each(|warning| log::error!("{warning}"));
            if warnings.is_empty() {
                log::info!("all workers poll and acknowledge changes again");
            }
            self.warnings.clone_from(&warnings);
        }
        state.worker_warnings = warnings;
        if all_poll {
            state.notifier.send("WATCHDOG=1");
        }
        Some(now + INTERVAL)
    }
}
