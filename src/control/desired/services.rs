//! Adding, editing and removing services.

use super::{Desired, ListedService, ServiceSlot, checks, refusal};
use crate::api::{Refusal, RefusalCode};
use crate::model::{ServiceId, ServiceKey, ServiceSpec};
use crate::scheduler::Scheduler;
use crate::snapshot::Service;
use crate::time::Instant;
use std::sync::Arc;

impl Desired {
    /// The slot of an existing service.
    pub(super) fn find(&self, key: &ServiceKey) -> Result<ServiceId, Refusal> {
        let listed = |id: &ServiceId| self.services[id.index()].listed.is_some();
        let found = self.by_key.get(key).copied().filter(listed);
        found.ok_or_else(|| refusal(RefusalCode::ESRCH, format!("there is no service {key}")))
    }

    pub(super) fn add_service(&mut self, spec: &ServiceSpec, now: Instant) -> Result<(), Refusal> {
        checks::key(&spec.key)?;
        if self.find(&spec.key).is_ok() {
            return Err(refusal(
                RefusalCode::EEXIST,
                format!("service {} exists already", spec.key),
            ));
        }
        checks::service(spec)?;
        let id = self.service_slot(&spec.key)?;
        self.incarnations += 1;
        let listed = ListedService {
            spec: spec.clone(),
            incarnation: self.incarnations,
            destinations: Vec::new(),
        };
        self.services[id.index()].listed = Some(listed);
        self.by_key.insert(spec.key, id);
        self.order.insert(self.incarnations, id);
        let scheduler = Scheduler::new(spec.scheduler, spec.scheduler_flags, []);
        self.publish_service(Service::new(id, spec, scheduler));
        if let ServiceKey::Address { address, .. } = spec.key
            && self.addresses.add_service(address)
        {
            self.address_added(address);
        }
        self.statistics.start_service(id, now);
        Ok(())
    }

    /// The slot to which removed destinations of this service still refer, so that their connections belong to the
    /// service again; otherwise any free slot.
    fn service_slot(&mut self, key: &ServiceKey) -> Result<ServiceId, Refusal> {
        if let Some(&id) = self.by_key.get(key) {
            return Ok(id);
        }
        let Some(slot) = self.take_service_slot() else {
            return Err(refusal(
                RefusalCode::ENOMEM,
                format!(
                    "no room for service {key}: `tables.services` allows {}, counting deleted ones with \
                     connections",
                    self.capacity.services
                ),
            ));
        };
        let id = ServiceId(slot);
        if self.services.len() <= id.index() {
            self.services.resize_with(id.index() + 1, ServiceSlot::default);
        }
        Ok(id)
    }

    pub(super) fn edit_service(&mut self, spec: &ServiceSpec) -> Result<(), Refusal> {
        let id = self.find(&spec.key)?;
        checks::service(spec)?;
        let Some(old) = self.next.services.get(&spec.key) else { return Ok(()) };
        let scheduler = old.scheduler.with_kind(spec.scheduler, spec.scheduler_flags);
        self.publish_service(Service::new(id, spec, scheduler));
        let Some(listed) = &mut self.services[id.index()].listed else { return Ok(()) };
        let is_sip_changed = listed.spec.persistence_engine != spec.persistence_engine;
        listed.spec = spec.clone();
        if is_sip_changed {
            for destination in listed.destinations.clone() {
                self.register_answers(destination);
            }
        }
        Ok(())
    }

    pub(super) fn delete_service(&mut self, key: &ServiceKey, now: Instant) -> Result<(), Refusal> {
        let id = self.find(key)?;
        self.drop_service(id, now);
        Ok(())
    }

    /// Removes every service.
    pub(super) fn flush(&mut self, now: Instant) {
        let all: Vec<_> = self.order.values().rev().copied().collect();
        for id in all {
            self.drop_service(id, now);
        }
    }

    fn drop_service(&mut self, id: ServiceId, now: Instant) {
        let Some(listed) = &self.services[id.index()].listed else { return };
        let (key, incarnation) = (listed.spec.key, listed.incarnation);
        for destination in listed.destinations.clone().into_iter().rev() {
            self.trash_destination(destination, now);
        }
        self.services[id.index()].listed = None;
        self.order.remove(&incarnation);
        Arc::make_mut(&mut self.next.services).remove(&key);
        if let ServiceKey::Address { address, .. } = key
            && self.addresses.remove_service(address)
        {
            self.address_removed(address);
        }
        self.release_service_if_unused(id, &key);
        self.touch();
    }

    /// Frees the slot when the service is removed and no removed destination refers to it.
    pub(super) fn release_service_if_unused(&mut self, id: ServiceId, key: &ServiceKey) {
        let slot = &self.services[id.index()];
        if slot.listed.is_none() && slot.trashed == 0 {
            self.by_key.remove(key);
            self.service_slots.give_back(id.0);
        }
    }

    /// Zeroes one service with its destinations, or everything.
    pub(super) fn zero(&mut self, key: Option<&ServiceKey>) -> Result<(), Refusal> {
        let zeroed: Vec<_> = match key {
            Some(key) => vec![self.find(key)?],
            None => self.order.values().copied().collect(),
        };
        for id in zeroed {
            self.statistics.zero_service(id);
            let listed = self.services[id.index()].listed.as_ref();
            for &destination in listed.into_iter().flat_map(|service| &service.destinations) {
                self.statistics.zero_destination(destination);
            }
        }
        if key.is_none() {
            self.zero_total();
        }
        Ok(())
    }

    /// Zeroes the sum over all services.
    pub(super) fn zero_total(&mut self) {
        self.statistics.zero_total();
    }

    pub(super) fn publish_service(&mut self, service: Service) {
        Arc::make_mut(&mut self.next.services).insert(Arc::new(service));
        self.touch();
    }
}
