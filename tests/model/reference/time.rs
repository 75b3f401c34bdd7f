//! Timers and statistics.

use super::{Place, Reference, Statistics, Template};
use crate::site::TICK_MS;
use director::model::Counters;

/// Timeout in milliseconds of a template that expired while it had connections.
const CONTROLLING_MS: u64 = 60_000;
/// Connections of a template that end within this many milliseconds count as ending at the same time.
const TIE_MS: u64 = 250;

impl Reference {
    pub fn tick(&mut self) {
        self.now += TICK_MS;
        while let Some(index) = self
            .connections
            .iter()
            .position(|connection| connection.started + connection.timeout_ms <= self.now)
        {
            self.remove_connection(index);
        }
        self.end_templates();
        self.go_through_trash();
        self.take_statistics();
    }

    fn end_templates(&mut self) {
        for index in (0..self.templates.len()).rev() {
            let is_controlling = self.controlled(self.templates[index].number) > 0;
            let template = &mut self.templates[index];
            let due = template.started + template.timeout_ms;
            if due > self.now || is_controlling && due + TIE_MS > self.now {
                continue;
            }
            if is_controlling {
                template.started += template.timeout_ms;
                template.timeout_ms = CONTROLLING_MS;
            } else {
                self.templates.remove(index);
            }
        }
    }

    /// Number of connections of the template.
    pub(super) fn controlled(&self, template: u64) -> usize {
        self.connections.iter().filter(|other| other.template == Some(template)).count()
    }

    fn go_through_trash(&mut self) {
        if self.trash_due.is_none_or(|due| self.now < due) {
            return;
        }
        for number in 0..self.destinations.len() {
            let Place::Trash(idle_since) = self.destinations[number].place else { continue };
            let is_used = self.total_of(number) > 0
                || self.templates.iter().any(|template| template.destination == number);
            if is_used {
                continue;
            }
            self.destinations[number].place = match idle_since {
                None => Place::Trash(Some(self.now)),
                Some(since) if self.now - since >= 120_000 => Place::Gone,
                waiting => Place::Trash(waiting),
            };
        }
        let is_empty =
            !self.destinations.iter().any(|other| matches!(other.place, Place::Trash(_)));
        self.trash_due = if is_empty { None } else { Some(self.now + 60_000) };
    }

    fn take_statistics(&mut self) {
        let Some(due) = self.statistics_due.filter(|due| *due <= self.now) else { return };
        self.statistics_due = Some(due + 2000);
        let destinations =
            self.destinations.iter_mut().filter(|destination| destination.place == Place::Listed);
        destinations.for_each(|destination| destination.statistics.take());
        self.services.iter_mut().for_each(|service| service.statistics.take());
        self.total.take();
    }

    /// Counts for a destination, its service and the total, unless the destination was removed.
    pub(super) fn count(&mut self, number: usize, counted: Counters) {
        if !self.is_available(number) {
            return;
        }
        let destination = &mut self.destinations[number];
        destination.statistics.add(counted);
        let object = destination.object;
        if let Some(service) = self.services.iter_mut().find(|service| service.object == object) {
            service.statistics.add(counted);
        }
        self.total.add(counted);
    }
}

impl Template {
    /// When it ends or is extended. An expired template with connections is extended.
    pub(super) fn ends(&self, now: u64) -> u64 {
        let due = self.started + self.timeout_ms;
        if now >= due { due + CONTROLLING_MS } else { due }
    }
}

impl Statistics {
    fn take(&mut self) {
        self.snapshot = self.live;
    }

    fn add(&mut self, counted: Counters) {
        self.live = self.live.zip_with(counted, |sum, more| sum + more);
    }

    pub(super) fn shown(&self) -> Counters {
        self.snapshot.zip_with(self.base, |snapshot, base| snapshot - base)
    }
}
