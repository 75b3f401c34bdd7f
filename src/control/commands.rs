//! Commands of clients, applied a slice in each turn of the loop.

use super::batch::{CommandBatch, Parts};
use super::server::ReplyChannel;
use super::slice::Slice;
use super::state::State;
use crate::api::{Command, Refusal, RefusalCode, Reply};
use crate::io::Frame;
use crate::model::Origin;
use crate::time::Instant;

impl<F: Frame> State<F> {
    /// Files a batch: it is answered when every worker uses it.
    pub(super) fn apply(&mut self, commands: Vec<Command>, answer: ReplyChannel, now: Instant) {
        match self.overdue(now) {
            Some(refusal) => answer.refuse(refusal),
            None => self.batches.push_back(CommandBatch::new(commands, answer)),
        }
    }

    /// Applies a slice of the oldest batch; true if there was one.
    pub(super) fn continue_batch(&mut self, now: Instant) -> bool {
        let Some(mut batch) = self.batches.pop_front() else { return false };
        let mut slice = Slice::new();
        while batch.commands.peek().is_some() {
            if !slice.take() {
                self.batches.push_front(batch);
                return true;
            }
            self.apply_next(&mut batch, now);
        }
        self.acknowledge(batch.answer, Reply::Applied(batch.outcomes));
        true
    }

    /// Applies the next command, or the next part of it.
    fn apply_next(&mut self, batch: &mut CommandBatch, now: Instant) {
        let Some(command) = batch.commands.peek() else { return };
        let outcome = if let Some(parts) = &mut batch.parts {
            if let Some(part) = parts.left.next() {
                match self.desired.apply(&part, Origin::Operator, now) {
                    // A reload may have deleted the service since the command was split.
                    Err(Refusal { code: RefusalCode::ESRCH | RefusalCode::ENOENT, .. }) => {}
                    outcome => parts.add(outcome),
                }
                return;
            }
            self.desired.complete(command);
            batch.parts.take().map_or(Ok(()), |parts| parts.outcome)
        } else {
            let parts = self.desired.split(command);
            if !parts.is_empty() {
                batch.parts = Some(Parts::new(parts));
                return;
            }
            self.desired.apply(command, Origin::Operator, now)
        };
        batch.outcomes.push(outcome);
        batch.commands.next();
    }
}
