//! Jobs for the workers' tables: out to the workers as they have room, and back when they are done.

use crate::control::event::Event;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::time::{Duration, Instant};
use crate::worker::TableJob;

/// Workers do not wake control up, so it looks this often while jobs are under way.
const INTERVAL: Duration = Duration::from_micros(200);

pub(super) struct TableJobs;

impl<F: Frame> Task<F> for TableJobs {
    fn name(&self) -> &'static str {
        "table jobs"
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_, F>) {
        if *event == Event::JobsWaiting {
            context.wake();
        }
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let jobs = &mut context.state.jobs;
        for worker in 0..jobs.done.len() {
            while let Ok(job) = jobs.done[worker].pop() {
                jobs.under_way -= 1;
                if let TableJob::List(piece) = job {
                    jobs.listed = Some(piece);
                }
            }
        }
        for _ in 0..jobs.waiting.len() {
            let Some((worker, job)) = jobs.waiting.pop_front() else { break };
            match jobs.rings[worker].push(job) {
                Ok(()) => jobs.under_way += 1,
                Err(rtrb::PushError::Full(job)) => jobs.waiting.push_back((worker, job)),
            }
        }
        let is_idle = jobs.under_way == 0 && jobs.waiting.is_empty();
        (!is_idle).then(|| context.now + INTERVAL)
    }
}
