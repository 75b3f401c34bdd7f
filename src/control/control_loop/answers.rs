//! Requests of clients: answered at once, once every worker has acknowledged, or piece by piece.

use super::view::ControlView;
use super::{Control, Ports};
use crate::api::{Command, Refusal, RefusalCode, Reply, Request};
use crate::control::server::{Answer, Call};
use crate::io::Frame;
use crate::model::Origin;
use crate::query::{self, Pieces};
use crate::time::Instant;

impl<F: Frame> Control<F> {
    /// Answers a request, or files it among those that take longer.
    pub(super) fn answer(&mut self, call: Call, ports: &mut impl Ports<F>, now: Instant) {
        let Call { request, answer } = call;
        let (query, args) = match request {
            Request::Apply(commands) => return self.apply(&commands, answer, now),
            Request::Query { query, args } => (query, args),
        };
        let mut view = ControlView { control: self, ports, now };
        match query::find(&query).and_then(|query| query.answer(&mut view, args)) {
            Ok(Pieces::Now(rows)) => answer.finish(Reply::Rows(rows)),
            Ok(Pieces::Published(rows)) => self.acknowledge(answer, Reply::Rows(rows)),
            Ok(Pieces::Listing(listing)) => self.listings.push((listing, answer)),
            Ok(Pieces::Walk(walk)) => self.walks.push_back((walk, answer, false)),
            Err(refusal) => answer.refuse(refusal),
        }
    }

    fn apply(&mut self, commands: &[Command], answer: Answer, now: Instant) {
        let outcomes = commands
            .iter()
            .map(|command| {
                self.check_interface(command)?;
                self.desired.apply(command, Origin::Operator, now)
            })
            .collect();
        self.acknowledge(answer, Reply::Applied(outcomes));
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

    /// Answers once every worker uses what is desired now.
    fn acknowledge(&mut self, answer: Answer, reply: Reply) {
        let current = self.end.publisher.current().epoch;
        let is_published = self.published == self.desired.generation();
        let wanted = if is_published { current } else { current + 1 };
        self.waiting.push_back((wanted, answer, reply));
    }
}
