//! What other threads ask of the control thread: requests of sessions, and the configuration file when it was read again.

use super::reread::Reread;
use super::server::{Call, Calls};
use crate::config::Faults;
use crossbeam_channel::{Receiver, never, select};
use std::time::Duration;

/// One thing asked for.
#[derive(Debug)]
pub(super) enum Message {
    Call(Box<Call>),
    /// The configuration file as it is now, or its faults.
    Reload(Box<Result<Reread, Faults>>),
}

/// What a [`Reloader`](super::Reloader) on another thread has read.
pub type Rereads = Receiver<Result<Reread, Faults>>;

/// The channels into the control thread.
#[derive(Debug)]
pub(super) struct Mailbox {
    calls: Option<Calls>,
    rereads: Rereads,
}

impl Default for Mailbox {
    fn default() -> Self {
        Mailbox { calls: None, rereads: never() }
    }
}

impl Mailbox {
    pub(super) fn open(&mut self, calls: Calls) {
        self.calls = Some(calls);
    }

    pub(super) fn set_rereads(&mut self, rereads: Rereads) {
        self.rereads = rereads;
    }

    /// The next message, waited for no longer than `patience`.
    pub(super) fn next(&mut self, patience: Duration) -> Option<Message> {
        let nobody = never();
        let calls = self.calls.as_ref().map_or(&nobody, Calls::receiver);
        let message = select! {
            recv(calls) -> call => call.ok().map(|call| Message::Call(Box::new(call))),
            recv(self.rereads) -> reread => match reread {
                Ok(reread) => Some(Message::Reload(Box::new(reread))),
                // A channel that is closed would be ready for ever.
                Err(_) => {
                    self.rereads = never();
                    None
                }
            },
            default(patience) => None,
        };
        message
    }
}
