//! Listings under way. They take turns: one piece for each client in a turn, and only when the client has room for it, so none
//! holds up the thread or another listing.

use super::Ports;
use super::state::State;
use super::view::StateView;
use crate::api::Reply;
use crate::io::Frame;
use crate::time::Instant;

impl<F: Frame> State<F> {
    /// One piece of the next listing whose client has room for it; true if there was one.
    pub(super) fn list(&mut self, ports: &impl Ports<F>, refused: u64, now: Instant) -> bool {
        for _ in 0..self.listings.own.len() {
            let Some((mut listing, answer)) = self.listings.own.pop_front() else { break };
            if answer.is_gone() {
                continue;
            }
            if !answer.has_room() {
                self.listings.own.push_back((listing, answer));
                continue;
            }
            match listing.next(&StateView { state: self, ports, refused, now }) {
                Some(rows) => {
                    if answer.send(Reply::Rows(rows)) {
                        self.listings.own.push_back((listing, answer));
                    }
                }
                None => {
                    answer.send(Reply::End);
                }
            }
            return true;
        }
        false
    }

    /// One piece of the next listing of connections; true if something was done. One piece is with the workers at a time.
    pub(super) fn walk(&mut self, now: Instant) -> bool {
        if self.listings.is_asked {
            return self.take_piece();
        }
        for _ in 0..self.listings.walks.len() {
            let Some((mut walk, answer)) = self.listings.walks.pop_front() else { break };
            if answer.is_gone() {
                continue;
            }
            if !answer.has_room() {
                self.listings.walks.push_back((walk, answer));
                continue;
            }
            if let Some((worker, job)) = walk.job() {
                self.listings.is_asked = true;
                self.listings.walks.push_front((walk, answer));
                self.push_job(worker, job);
                return true;
            }
            let destinations = &self.publisher.current().destinations;
            match walk.templates(&self.shared.templates, destinations, now) {
                Some(rows) => {
                    if answer.send(Reply::Rows(rows)) {
                        self.listings.walks.push_back((walk, answer));
                    }
                }
                None => {
                    answer.send(Reply::End);
                }
            }
            return true;
        }
        false
    }

    /// The piece that a worker has brought for the first listing, which then goes to the end.
    fn take_piece(&mut self) -> bool {
        let Some(piece) = self.jobs.listed.take() else { return false };
        self.listings.is_asked = false;
        if let Some((mut walk, answer)) = self.listings.walks.pop_front() {
            let destinations = &self.publisher.current().destinations;
            let rows = walk.take(piece, usize::from(self.sizing.workers), destinations);
            if answer.send(Reply::Rows(rows)) {
                self.listings.walks.push_back((walk, answer));
            }
        }
        true
    }
}
