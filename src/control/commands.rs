//! Commands of clients, applied a slice in each turn of the loop.

use super::batch::Batch;
use super::server::Answer;
use super::slice::Slice;
use super::state::State;
use crate::api::{Command, Refusal, RefusalCode, Reply};
use crate::io::Frame;
use crate::model::Origin;
use crate::time::Instant;

impl<F: Frame> State<F> {
    /// Files a batch: it is answered when every worker uses it.
    pub(super) fn apply(&mut self, commands: Vec<Command>, answer: Answer, now: Instant) {
        match self.overdue(now) {
            Some(refusal) => answer.refuse(refusal),
            None => self.batches.push_back(Batch::new(commands, answer)),
        }
    }

    /// Applies a slice of the oldest batch; true if there was one.
    pub(super) fn continue_batch(&mut self, now: Instant) -> bool {
        let Some(mut batch) = self.batches.pop_front() else { return false };
        let mut slice = Slice::new();
        while let Some(command) = batch.commands.peek() {
            if !slice.take() {
                self.batches.push_front(batch);
                return true;
            }
            // All services are deleted one by one.
            if matches!(command, Command::Flush)
                && let Some(newest) = self.desired.newest_service().map(Command::DeleteService)
                && self.desired.apply(&newest, Origin::Operator, now).is_ok()
            {
                continue;
            }
            let outcome = self.check_interface(command);
            let outcome = outcome.and_then(|()| self.desired.apply(command, Origin::Operator, now));
            batch.outcomes.push(outcome);
            batch.commands.next();
        }
        self.acknowledge(batch.answer, Reply::Applied(batch.outcomes));
        true
    }

    /// Synchronisation goes through a port.
    fn check_interface(&self, command: &Command) -> Result<(), Refusal> {
        match command {
            Command::StartSyncDaemon(daemon)
                if self.config.ports.iter().all(|port| port.name != daemon.interface) =>
            {
                let detail = format!("there is no port `{}`", daemon.interface);
                Err(Refusal::new(RefusalCode::ENODEV, detail))
            }
            _ => Ok(()),
        }
    }
}
