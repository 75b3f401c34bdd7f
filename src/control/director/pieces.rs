//! Listings that come in pieces, each as its client takes it: services from the desired state, connections from the
//! workers, who bring them as chores.

use super::Director;
use crate::api::Reply;
use crate::port::Frame;
use crate::time::Instant;
use crate::worker::Chore;

impl<F: Frame> Director<F> {
    /// Pieces of service listings, to each client as it takes them.
    pub(super) fn list(&mut self) -> bool {
        let mut worked = false;
        let desired = &self.desired;
        self.listings.retain_mut(|(listing, answer)| {
            while answer.has_room() {
                worked = true;
                match listing.next(desired) {
                    Some(piece) => {
                        if !answer.send(piece) {
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
        worked
    }

    /// The connection listing at the head of the line: one at a time, so that workers answer one piece at a time.
    pub(super) fn walk(&mut self, now: Instant) -> bool {
        let mut worked = self.collect_chores();
        let Some((walk, answer, is_asked)) = self.walks.front_mut() else { return worked };
        if answer.is_gone() && !*is_asked {
            self.walks.pop_front();
            return true;
        }
        if *is_asked || !answer.has_room() {
            return worked;
        }
        if let Some(chore) = walk.chore() {
            *is_asked = true;
            self.chores.push_back(chore);
            return true;
        }
        let destinations = &self.end.publisher.current().destinations;
        match walk.templates(&self.shared.templates, destinations, now) {
            Some(piece) => worked |= answer.send(piece),
            None => {
                answer.send(Reply::End);
                self.walks.pop_front();
            }
        }
        worked
    }

    /// Takes finished chores back from the workers.
    fn collect_chores(&mut self) -> bool {
        let mut worked = false;
        for ring in &mut self.end.done {
            while let Ok(chore) = ring.pop() {
                worked = true;
                if let (Chore::List(piece), Some((walk, answer, is_asked))) =
                    (chore, self.walks.front_mut())
                {
                    *is_asked = false;
                    let destinations = &self.end.publisher.current().destinations;
                    answer.send(walk.take(piece, usize::from(self.plan.workers), destinations));
                }
            }
        }
        worked
    }

    pub(super) fn hand_out_chores(&mut self) {
        for _ in 0..self.chores.len() {
            let Some((worker, chore)) = self.chores.pop_front() else { return };
            if let Err(rtrb::PushError::Full(chore)) = self.end.chores[worker].push(chore) {
                self.chores.push_back((worker, chore));
            }
        }
    }
}
