//! Batches of clients' commands that are not wholly applied.

use super::server::Answer;
use crate::api::{Command, Refusal};

/// Commands that are applied together. Until the last is applied, no snapshot is published and no request answered.
pub(super) struct Batch {
    pub(super) commands: std::iter::Peekable<std::vec::IntoIter<Command>>,
    pub(super) outcomes: Vec<Result<(), Refusal>>,
    pub(super) answer: Answer,
}

impl Batch {
    pub(super) fn new(commands: Vec<Command>, answer: Answer) -> Self {
        let outcomes = Vec::with_capacity(commands.len());
        Batch { commands: commands.into_iter().peekable(), outcomes, answer }
    }
}
