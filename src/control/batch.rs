//! Batches of clients' commands that are not wholly applied.

use super::server::ReplyChannel;
use crate::api::{Command, Refusal};
use std::iter::Peekable;
use std::vec::IntoIter;

/// Commands that are applied together. Until the last is applied, no snapshot is published and no request answered.
pub(super) struct CommandBatch {
    pub(super) commands: Peekable<IntoIter<Command>>,
    pub(super) outcomes: Vec<Result<(), Refusal>>,
    /// What is left of the next command, if it is about many services.
    pub(super) parts: Option<Parts>,
    pub(super) answer: ReplyChannel,
}

/// A command about many services, as commands about one each.
pub(super) struct Parts {
    pub(super) left: IntoIter<Command>,
    /// The first refusal.
    pub(super) outcome: Result<(), Refusal>,
}

impl Parts {
    pub(super) fn new(parts: Vec<Command>) -> Self {
        Parts { left: parts.into_iter(), outcome: Ok(()) }
    }

    pub(super) fn add(&mut self, outcome: Result<(), Refusal>) {
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
    }
}

impl CommandBatch {
    pub(super) fn new(commands: Vec<Command>, answer: ReplyChannel) -> Self {
        let outcomes = Vec::with_capacity(commands.len());
        CommandBatch { commands: commands.into_iter().peekable(), outcomes, parts: None, answer }
    }
}
