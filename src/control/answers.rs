//! Requests of clients: answered at once, once every worker has acknowledged, by another thread, or piece by piece.

use super::Ports;
use super::server::{Call, ReplyChannel};
use super::state::State;
use super::view::StateView;
use crate::api::{Refusal, RefusalCode, Reply, Request, Rows};
use crate::io::Frame;
use crate::query::{self, Pieces};
use crate::time::Instant;
use std::thread;

impl<F: Frame> State<F> {
    /// Answers a request, or files it among those that take longer. `refused`: frames that no worker had room for.
    pub(super) fn answer(&mut self, call: Call, ports: &impl Ports<F>, refused: u64, now: Instant) {
        let Call { request, answer } = call;
        let (query, args) = match request {
            Request::Apply(commands) => return self.apply(commands, answer, now),
            Request::Query { query, args } => (query, args),
        };
        let mut view = StateView { state: self, ports, refused, now };
        match query::find(&query).and_then(|query| query.answer(&mut view, args)) {
            Ok(Pieces::Now(rows)) => answer.finish(Reply::Rows(rows)),
            Ok(Pieces::Elsewhere(ask)) => ask_elsewhere(ask, answer),
            Ok(Pieces::Published(rows)) => self.acknowledge(answer, Reply::Rows(rows)),
            Ok(Pieces::Listing(listing)) => self.listings.add_listing(listing, answer),
            Ok(Pieces::Walk(walk)) => self.listings.add_walk(walk, answer),
            Err(refusal) => answer.refuse(refusal),
        }
    }
}

/// Asks on a thread of its own, as drivers may sleep. There are no more of these threads than sessions.
fn ask_elsewhere(ask: Box<dyn FnOnce() -> Rows + Send>, answer: ReplyChannel) {
    let refused = answer.clone();
    let job = move || answer.finish(Reply::Rows(ask()));
    if let Err(error) = thread::Builder::new().name("devices".to_owned()).spawn(job) {
        let detail = format!("no thread can be made to ask the devices: {error}");
        refused.refuse(Refusal::new(RefusalCode::ENOMEM, detail));
    }
}
