//! Commands of ipvsadm for services and destinations.

use super::pick::Memory;
use super::{Destination, Place, Reference, Service, Statistics};
use director::api::{Command, RefusalCode};
use director::model::{
    DestinationAddress, DestinationSpec, Family, ForwardMethod, ServiceKey, ServiceSpec, Timeouts,
};
use std::collections::BTreeMap;

type Done = Result<(), RefusalCode>;

impl Reference {
    pub fn apply(&mut self, command: &Command) -> Done {
        match command {
            Command::AddService(spec) => self.add_service(spec),
            Command::EditService(spec) => self.edit_service(spec),
            Command::DeleteService(key) => {
                let service = self.service(key)?;
                self.delete_service(service);
                Ok(())
            }
            Command::Flush => {
                while !self.services.is_empty() {
                    self.delete_service(0);
                }
                Ok(())
            }
            Command::AddDestination { service, destination } => {
                self.add_destination(service, destination)
            }
            Command::EditDestination { service, destination } => {
                self.edit_destination(service, destination)
            }
            Command::DeleteDestination { service, at } => self.delete_destination(service, at),
            Command::Zero(key) => self.zero(key.as_ref()),
            Command::SetTimeouts(timeouts) => self.set_timeouts(timeouts),
            other => panic!("unexpected command {other:?}"),
        }
    }

    pub fn set_sysctl(&mut self, name: &str, value: i32) {
        self.sysctls.set(name, &value.to_string()).expect("a valid setting");
    }

    fn service(&self, key: &ServiceKey) -> Result<usize, RefusalCode> {
        let found = self.services.iter().position(|service| service.spec.key == *key);
        found.ok_or(RefusalCode::ESRCH)
    }

    fn add_service(&mut self, spec: &ServiceSpec) -> Done {
        if self.service(&spec.key).is_ok() {
            return Err(RefusalCode::EEXIST);
        }
        self.made += 1;
        let service = Service {
            spec: spec.clone(),
            object: self.made,
            destinations: Vec::new(),
            memory: Memory::default(),
            localities: BTreeMap::new(),
            statistics: Statistics::default(),
        };
        self.services.insert(0, service);
        self.statistics_due.get_or_insert(self.now + 2000);
        Ok(())
    }

    fn edit_service(&mut self, spec: &ServiceSpec) -> Done {
        let index = self.service(&spec.key)?;
        let is_other = self.services[index].spec.scheduler != spec.scheduler;
        self.services[index].spec = spec.clone();
        if is_other {
            self.services[index].memory = self.memory_of_list(&self.services[index].destinations);
            self.services[index].localities.clear();
        }
        Ok(())
    }

    fn delete_service(&mut self, index: usize) {
        let service = self.services.remove(index);
        for number in service.destinations {
            self.throw_away(number);
        }
    }

    pub(super) fn destination(&self, service: usize, at: &DestinationAddress) -> Option<usize> {
        let listed = self.services[service].destinations.iter().copied();
        listed.into_iter().find(|&number| self.destinations[number].spec.at == *at)
    }

    fn add_destination(&mut self, key: &ServiceKey, spec: &DestinationSpec) -> Done {
        let service = self.service(key)?;
        check(key, spec)?;
        if self.destination(service, &spec.at).is_some() {
            return Err(RefusalCode::EEXIST);
        }
        let object = self.services[service].object;
        let in_trash = self.destinations.iter().position(|other| {
            other.key == *key && other.spec.at == spec.at && matches!(other.place, Place::Trash(_))
        });
        let number = match in_trash {
            Some(number) => {
                let revived = &mut self.destinations[number];
                revived.spec = *spec;
                revived.place = Place::Listed;
                if revived.object != object {
                    revived.object = object;
                    revived.statistics.zero();
                }
                number
            }
            None => {
                self.destinations.push(Destination {
                    spec: *spec,
                    key: *key,
                    object,
                    place: Place::Listed,
                    overloaded: false,
                    statistics: Statistics::default(),
                });
                self.destinations.len() - 1
            }
        };
        self.edited(number);
        self.services[service].destinations.insert(0, number);
        self.list_changed(service);
        Ok(())
    }

    fn edit_destination(&mut self, key: &ServiceKey, spec: &DestinationSpec) -> Done {
        let service = self.service(key)?;
        check(key, spec)?;
        let number = self.destination(service, &spec.at).ok_or(RefusalCode::ENOENT)?;
        self.destinations[number].spec = *spec;
        self.edited(number);
        self.list_changed(service);
        Ok(())
    }

    fn delete_destination(&mut self, key: &ServiceKey, at: &DestinationAddress) -> Done {
        let service = self.service(key)?;
        let number = self.destination(service, at).ok_or(RefusalCode::ENOENT)?;
        self.cursor_leaves(service, number);
        self.services[service].destinations.retain(|other| *other != number);
        self.throw_away(number);
        self.list_changed(service);
        Ok(())
    }

    fn throw_away(&mut self, number: usize) {
        let is_empty =
            !self.destinations.iter().any(|other| matches!(other.place, Place::Trash(_)));
        if is_empty {
            self.trash_due = Some(self.now + 60_000);
        }
        self.destinations[number].place = Place::Trash(None);
        if self.sysctls.expire_nodest_conn != 0 {
            self.sweep_removed();
        }
    }

    /// Ends all connections of removed destinations, and templates left without connections.
    fn sweep_removed(&mut self) {
        for index in (0..self.connections.len()).rev() {
            if !self.is_available(self.connections[index].destination) {
                let template = self.connections[index].template;
                self.remove_connection(index);
                if let Some(number) = template
                    && self.controlled(number) == 0
                {
                    self.templates.retain(|template| template.number != number);
                }
            }
        }
        let controlling: Vec<_> =
            self.connections.iter().filter_map(|connection| connection.template).collect();
        let destinations = &self.destinations;
        self.templates.retain(|template| {
            destinations[template.destination].place == Place::Listed
                || controlling.contains(&template.number)
        });
    }

    fn zero(&mut self, key: Option<&ServiceKey>) -> Done {
        let zeroed = match key {
            Some(key) => vec![self.service(key)?],
            None => {
                self.total.zero();
                (0..self.services.len()).collect()
            }
        };
        for index in zeroed {
            self.services[index].statistics.zero();
            for number in self.services[index].destinations.clone() {
                self.destinations[number].statistics.zero();
            }
        }
        Ok(())
    }

    fn set_timeouts(&mut self, new: &Timeouts) -> Done {
        for (new, old) in [
            (new.tcp, &mut self.timeouts.tcp),
            (new.tcp_fin, &mut self.timeouts.tcp_fin),
            (new.udp, &mut self.timeouts.udp),
        ] {
            if new != 0 {
                *old = new;
            }
        }
        Ok(())
    }
}

fn check(key: &ServiceKey, spec: &DestinationSpec) -> Done {
    if Family::of(spec.at.address) != key.family() && spec.method != ForwardMethod::Tunnel {
        return Err(RefusalCode::EINVAL);
    }
    if spec.lower_threshold > spec.upper_threshold {
        return Err(RefusalCode::ERANGE);
    }
    Ok(())
}

impl Statistics {
    fn zero(&mut self) {
        self.base = self.snapshot;
    }
}
