//! Listings that come in pieces, each as its client takes it: from the control thread's own state, or from the workers,
//! which bring connections as jobs.

use super::view::ControlView;
use super::{Control, Ports};
use crate::api::Reply;
use crate::io::Frame;
use crate::time::Instant;
use crate::worker::TableJob;

impl<F: Frame> Control<F> {
    /// Pieces of listings, to each client as it takes them.
    pub(super) fn list(&mut self, ports: &impl Ports<F>, now: Instant) -> bool {
        let mut worked = false;
        let mut listings = std::mem::take(&mut self.listings);
        let view = ControlView { control: self, ports, now };
        listings.retain_mut(|(listing, answer)| {
            while answer.has_room() {
                worked = true;
                match listing.next(&view) {
                    Some(rows) => {
                        if !answer.send(Reply::Rows(rows)) {
                            return false;
                        }
                    }
                    None => {
                        answer.send(Reply::End);
                        return false;
                    }
                }
            }
            !answer.is_gone()
        });
        self.listings = listings;
        worked
    }

    /// One piece of one connection listing: the workers answer a piece at a time. The listings take turns, and one
    /// whose client pauses is passed over.
    pub(super) fn walk(&mut self, now: Instant) -> bool {
        let mut worked = self.collect_chores();
        if self.walks.front().is_some_and(|(_, _, is_asked)| *is_asked) {
            return worked;
        }
        self.walks.retain(|(_, answer, _)| !answer.is_gone());
        let Some(next) = self.walks.iter().position(|(_, answer, _)| answer.has_room()) else {
            return worked;
        };
        self.walks.rotate_left(next);
        let Some((walk, answer, is_asked)) = self.walks.front_mut() else { return worked };
        if let Some(job) = walk.job() {
            *is_asked = true;
            self.jobs.push_back(job);
            return true;
        }
        let destinations = &self.end.publisher.current().destinations;
        match walk.templates(&self.shared.templates, destinations, now) {
            Some(rows) => worked |= answer.send(Reply::Rows(rows)),
            None => {
                answer.send(Reply::End);
                self.walks.pop_front();
            }
        }
        worked
    }

    /// Takes finished jobs back from the workers.
    fn collect_chores(&mut self) -> bool {
        let mut worked = false;
        for ring in &mut self.end.done {
            while let Ok(job) = ring.pop() {
                worked = true;
                if let (TableJob::List(piece), Some((walk, answer, is_asked))) =
                    (job, self.walks.front_mut())
                {
                    *is_asked = false;
                    let destinations = &self.end.publisher.current().destinations;
                    let rows = walk.take(piece, usize::from(self.sizing.workers), destinations);
                    answer.send(Reply::Rows(rows));
                    self.walks.rotate_left(1);
                }
            }
        }
        worked
    }

    pub(super) fn send_jobs(&mut self) {
        for _ in 0..self.jobs.len() {
            let Some((worker, job)) = self.jobs.pop_front() else { return };
            if let Err(rtrb::PushError::Full(job)) = self.end.jobs[worker].push(job) {
                self.jobs.push_back((worker, job));
            }
        }
    }
}
