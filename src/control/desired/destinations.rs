//! Adding, editing and removing destinations.

use super::overlay::Overlays;
use super::path_mtus::CachedRoute;
use super::{Desired, Row, checks, refusal};
use crate::api::{Refusal, RefusalCode};
use crate::model::{
    DestinationAddress, DestinationId, DestinationSpec, Effective, ForwardMethod, Origin, Prefix,
    ServiceId, ServiceKey,
};
use crate::scheduler::{Candidate, Change};
use crate::snapshot::{Service, SipCaller};
use crate::time::Instant;
use std::sync::Arc;

impl Desired {
    pub(super) fn add_destination(
        &mut self,
        key: &ServiceKey,
        spec: &DestinationSpec,
        origin: Origin,
    ) -> Result<(), Refusal> {
        let service = self.find(key)?;
        checks::family(key, spec)?;
        checks::destination(spec)?;
        let id = match self.by_service_and_address.get(&(service, spec.at)).copied() {
            Some(id) if self.row(id).is_some_and(|row| row.is_listed) => {
                return Err(refusal(
                    RefusalCode::EEXIST,
                    format!("{} is a destination of {key} already", spec.at),
                ));
            }
            Some(id) => self.revive_destination(id, service, spec),
            None => self.new_destination(service, key, spec)?,
        };
        if let Some(row) = &mut self.destinations[id.index()] {
            row.origin = origin;
        }
        if let Some(listed) = &mut self.services[service.index()].listed {
            listed.destinations.push(id);
        }
        self.judge_thresholds(id);
        self.empty_cached_route(id);
        self.place_destination(id);
        self.relist(service, Change::Added(id));
        let address = spec.at.address;
        let mut networks = self.vip_networks.iter();
        if let Some(network) = networks.find(|network| network.contains(address))
            && let Some(warning) = self.kept_server(&Prefix::host(address), network)
        {
            log::warn!("{warning}");
        }
        Ok(())
    }

    /// Restores a destination from the trash, with its counters and connections.
    fn revive_destination(
        &mut self,
        id: DestinationId,
        service: ServiceId,
        spec: &DestinationSpec,
    ) -> DestinationId {
        self.trash.take(id);
        self.services[service.index()].trashed -= 1;
        let incarnation = self.object_of(service);
        if let Some(row) = &mut self.destinations[id.index()] {
            row.spec = *spec;
            row.overlays = Overlays::default();
            row.is_listed = true;
            if Some(row.incarnation) != incarnation {
                row.incarnation = incarnation.unwrap_or(0);
                self.statistics.zero_destination(id);
            }
        }
        id
    }

    fn new_destination(
        &mut self,
        service: ServiceId,
        key: &ServiceKey,
        spec: &DestinationSpec,
    ) -> Result<DestinationId, Refusal> {
        let address = spec.at.address;
        checks::address(address, self.is_local(address), self.is_group(address))?;
        let Some(slot) = self.take_destination_slot() else {
            return Err(refusal(
                RefusalCode::ENOMEM,
                format!(
                    "no room for destination {}: `tables.destinations` allows {}, and {} removed ones \
                     are kept for their connections",
                    spec.at,
                    self.capacity.destinations,
                    self.trash.len()
                ),
            ));
        };
        let id = DestinationId(slot);
        if self.destinations.len() <= id.index() {
            self.destinations.resize_with(id.index() + 1, || None);
        }
        self.destinations[id.index()] = Some(Row {
            spec: *spec,
            origin: Origin::default(),
            overlays: Overlays::default(),
            service,
            key: *key,
            incarnation: self.object_of(service).unwrap_or(0),
            is_listed: true,
            next_hop: None,
            cached_route: CachedRoute::default(),
            answers: false,
            overload_edit: 0,
            is_nat_server: false,
            is_sip_caller: false,
            tunnel_end: None,
        });
        self.by_service_and_address.insert((service, spec.at), id);
        self.by_address.insert((address, id));
        self.statistics.start_destination(id, self.destination_stats.counters(id));
        Ok(id)
    }

    pub(super) fn edit_destination(
        &mut self,
        key: &ServiceKey,
        spec: &DestinationSpec,
        origin: Origin,
    ) -> Result<(), Refusal> {
        let service = self.find(key)?;
        checks::family(key, spec)?;
        checks::destination(spec)?;
        let id = self.find_destination(service, key, &spec.at)?;
        if let Some(row) = &mut self.destinations[id.index()] {
            row.spec = *spec;
            row.origin = origin;
        }
        self.judge_thresholds(id);
        self.empty_cached_route(id);
        self.place_destination(id);
        self.relist(service, Change::Edited(id));
        Ok(())
    }

    pub(super) fn delete_destination(
        &mut self,
        key: &ServiceKey,
        at: &DestinationAddress,
        now: Instant,
    ) -> Result<(), Refusal> {
        let service = self.find(key)?;
        let id = self.find_destination(service, key, at)?;
        self.trash_destination(id, now);
        if let Some(listed) = &mut self.services[service.index()].listed {
            listed.destinations.retain(|other| *other != id);
        }
        self.relist(service, Change::Removed(id));
        Ok(())
    }

    /// Applies new thresholds to the existing connections: at the upper threshold the destination is overloaded at
    /// once, below the lower one it is not, and between them nothing changes.
    fn judge_thresholds(&mut self, id: DestinationId) {
        let connections = self.destination_stats.connections(id);
        let total = u64::from(connections.active.wrapping_add(connections.inactive));
        let Some(row) = &mut self.destinations[id.index()] else { return };
        let (upper, lower) = (row.spec.upper_threshold.into(), row.spec.lower_threshold.into());
        let is_overloaded = upper != 0 && total >= upper;
        let is_below = if lower != 0 { total < lower } else { 4 * total < 3 * upper };
        if upper == 0 || is_overloaded || is_below {
            let next = (row.overload_edit & !1).wrapping_add(2);
            row.overload_edit = next | u16::from(is_overloaded);
        }
    }

    fn find_destination(
        &self,
        service: ServiceId,
        key: &ServiceKey,
        at: &DestinationAddress,
    ) -> Result<DestinationId, Refusal> {
        let listed = |id: &DestinationId| self.row(*id).is_some_and(|row| row.is_listed);
        let found = self.by_service_and_address.get(&(service, *at)).copied().filter(listed);
        found
            .ok_or_else(|| refusal(RefusalCode::ENOENT, format!("{at} is no destination of {key}")))
    }

    /// Removes it from the list; the rest is kept for its connections.
    pub(super) fn trash_destination(&mut self, id: DestinationId, now: Instant) {
        let Some(row) = &mut self.destinations[id.index()] else { return };
        row.is_listed = false;
        let service = row.service;
        self.services[service.index()].trashed += 1;
        // Its counters so far belong to the present service; later the slot may have another one.
        self.statistics.collect(id, Some(service), self.destination_stats.counters(id));
        self.removals += 1;
        self.place_destination(id);
        self.trash.put(id, self.generation, now);
        if let Some(address) = self.row(id).map(|row| row.spec.at.address)
            && self.addresses.is_contested(address)
        {
            self.contest_again(address);
        }
    }

    /// Publishes a service after a change of its list of destinations.
    pub(super) fn relist(&mut self, id: ServiceId, change: Change) {
        let Some(listed) = &self.services[id.index()].listed else { return };
        let candidate = |&id: &DestinationId| {
            let DestinationAddress { address, port } = self.row(id)?.spec.at;
            let Effective { weight, available } = self.effective(id);
            available.then_some(Candidate { id, address, port, weight })
        };
        let candidates: Vec<_> = listed.destinations.iter().rev().filter_map(candidate).collect();
        let Some(old) = self.next.services.get(&listed.spec.key) else { return };
        let scheduler = old.scheduler.changed(candidates, change);
        let service = Service::new(id, &listed.spec, scheduler);
        self.publish_service(service);
    }

    /// Registers the destination for replies. Once reached by NAT it is registered until it is forgotten, because
    /// connections keep their method. It is a NAT server while new connections use NAT.
    pub(super) fn register_answers(&mut self, id: DestinationId) {
        let Some(row) = &mut self.destinations[id.index()] else { return };
        if row.spec.method == ForwardMethod::Masq && !row.answers {
            row.answers = true;
            let replies = Arc::make_mut(&mut self.next.replies);
            replies.insert(&row.key, row.spec.at.address, row.spec.at.port);
        }
        let is_nat_server = row.is_listed && row.spec.method == ForwardMethod::Masq;
        if is_nat_server != row.is_nat_server {
            row.is_nat_server = is_nat_server;
            let replies = Arc::make_mut(&mut self.next.replies);
            let (address, port) = (row.spec.at.address, row.spec.at.port);
            match is_nat_server {
                true => replies.add_server(&row.key, address, port),
                false => replies.remove_server(&row.key, address, port),
            }
        }
        let is_tunnelled = row.is_listed && row.spec.method == ForwardMethod::Tunnel;
        let tunnel_end = is_tunnelled.then(|| row.spec.tunnel.kind());
        if tunnel_end != row.tunnel_end {
            let old = std::mem::replace(&mut row.tunnel_end, tunnel_end);
            let replies = Arc::make_mut(&mut self.next.replies);
            let address = row.spec.at.address;
            old.into_iter().for_each(|kind| replies.remove_tunnel_end(address, kind));
            tunnel_end.into_iter().for_each(|kind| replies.add_tunnel_end(address, kind));
        }
        let service = self.services[row.service.index()].listed.as_ref();
        let is_sip = service.is_some_and(|listed| listed.spec.persistence_engine.is_some());
        let is_sip_caller = is_nat_server && is_sip;
        if is_sip_caller != row.is_sip_caller {
            row.is_sip_caller = is_sip_caller;
            let replies = Arc::make_mut(&mut self.next.replies);
            let DestinationAddress { address, port } = row.spec.at;
            let caller = SipCaller { service: row.key, destination: id };
            match is_sip_caller {
                true => replies.add_sip_caller(caller, address, port),
                false => replies.remove_sip_caller(caller, address, port),
            }
        }
    }

    fn object_of(&self, service: ServiceId) -> Option<u64> {
        self.services[service.index()].listed.as_ref().map(|listed| listed.incarnation)
    }
}
