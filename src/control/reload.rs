//! Applies what has changed in the configuration file. A faulty file changes nothing.
//!
//! A [`Reloader`](super::Reloader) reads, checks and compares the file on another thread. The control thread then changes
//! services and destinations a slice at a time, so that a large reload does not hold up the loop. At the end it compares
//! the running table with the file and logs each difference.

use super::event::Event;
use super::reread::{DriftScan, ReloadStep, Reread};
use super::slice::Slice;
use super::state::State;
use super::topology;
use crate::api::{Command, Refusal, RefusalCode};
use crate::config::{Config, Faults};
use crate::io::Frame;
use crate::model::Origin;
use crate::query::LastReload;
use crate::route::Routes;
use crate::time::Instant;
use std::sync::Arc;

/// Lines that one reload writes into the log about differences.
const DIFFERENCES_LOGGED: usize = 100;

fn tell(outcome: Result<(), Refusal>) {
    if let Err(refusal) = outcome {
        log::warn!("reload: {refusal}");
    }
}

impl<F: Frame> State<F> {
    /// Begins to apply the difference between the file as it was and as it is; a faulty file changes nothing.
    pub(super) fn reload(&mut self, outcome: Result<Reread, Faults>, now: Instant) {
        let Reread { changes, mut steps, routes, config: new } = match outcome {
            Ok(reread) => reread,
            Err(faults) => {
                log::error!("the configuration stays as it was: {faults}");
                self.last_reload = Some(LastReload { at: now, fault: Some(faults.to_string()) });
                return;
            }
        };
        let director = changes.director.unwrap_or_default();
        if let Some(routes) = routes {
            self.change_networks(&new, routes);
        }
        if director.vips.is_some() {
            self.change_vips(&new);
        }
        if changes.neighbours.is_some() {
            self.events.push(Event::StaticNeighboursChanged);
        }
        if let Some(rules) = &changes.marks {
            self.desired.set_marks(topology::marks(rules));
        }
        if let Some(timeouts) = changes.timeouts
            && let Err(refusal) =
                self.desired.apply(&Command::SetTimeouts(timeouts), Origin::File, now)
        {
            log::warn!("{refusal}");
        }
        let mut sysctls = *self.desired.sysctls();
        for (name, value) in changes.sysctls.iter().flatten() {
            if let Err(error) = sysctls.set(name, value) {
                log::warn!("{error}");
            }
        }
        self.desired.set_sysctls(sysctls);
        if let Some(clamp) = changes.mss_clamp {
            self.desired.set_mss_clamp(clamp);
        }
        if let Some(forward) = director.forward_vip_answers {
            self.desired.set_forward_vip_answers(forward);
        }
        if let Some(answer) = director.unserved {
            self.host.set_unserved(answer.unwrap_or_default());
            self.follow_interfaces(&new);
        }
        if let Some(level) = director.log {
            log::set_max_level(level);
        }
        // Usually none is left of the last reload; then they are taken over without a copy.
        match self.reloading.is_empty() {
            true => self.reloading = steps,
            false => self.reloading.append(&mut steps),
        }
        new.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        self.config = new;
        self.last_reload = Some(LastReload { at: now, fault: None });
        log::info!("reload: the file was read without faults and is being applied");
    }

    /// Carries out a slice of a reload under way; true if it can go on at once.
    pub(super) fn continue_reload(&mut self, now: Instant) -> bool {
        let mut slice = Slice::new();
        while !self.reloading.is_empty() && slice.take() {
            let Some(next) = self.reloading.pop_front() else { break };
            match next {
                ReloadStep::Delete(command) => {
                    match self.desired.apply(&command, Origin::File, now) {
                        // It was deleted by hand.
                        Err(Refusal { code: RefusalCode::ESRCH | RefusalCode::ENOENT, .. }) => {}
                        outcome => tell(outcome),
                    }
                }
                ReloadStep::Follow(change) => {
                    let commands = self.desired.follow(&change).into_iter().rev();
                    commands.for_each(|next| self.reloading.push_front(ReloadStep::Apply(next)));
                }
                ReloadStep::Apply(command) => {
                    let outcome = self.desired.apply(&command, Origin::File, now);
                    let is_full =
                        matches!(&outcome, Err(refusal) if refusal.code == RefusalCode::ENOMEM);
                    if is_full && self.desired.is_room_to_come() {
                        // Slots come back as soon as every worker has acknowledged the deletions.
                        self.reloading.push_front(ReloadStep::Apply(command));
                        return false;
                    }
                    tell(outcome);
                }
                ReloadStep::FindDrift(scan) => {
                    if let Some(scan) = self.find_drift(scan) {
                        self.reloading.push_front(ReloadStep::FindDrift(scan));
                    }
                }
            }
        }
        !self.reloading.is_empty()
    }

    /// Compares one more service of the file with the running one, or checks that the file has one more running service; the
    /// settings come last. `None`: all are compared.
    fn find_drift(&mut self, mut scan: DriftScan) -> Option<DriftScan> {
        let services = &self.config.services;
        if let Some(service) = services.get(scan.service) {
            scan.named.insert(service.spec.key);
            scan.service += 1;
            report_drift(&mut scan, self.desired.drift(service));
            return Some(scan);
        }
        let mut running = self.desired.services_before(scan.before);
        // A file without services leaves them all to ipvsadm.
        if let Some((number, _, spec)) = running.next().filter(|_| !services.is_empty()) {
            scan.before = Some(number);
            if !scan.named.contains(&spec.key) {
                let line = format!("{}: the file does not have this service", spec.key);
                report_drift(&mut scan, [line]);
            }
            return Some(scan);
        }
        let Config { timeouts, sysctls, .. } = &*self.config;
        report_drift(&mut scan, self.desired.drift_of_settings(timeouts, sysctls));
        if scan.differences > DIFFERENCES_LOGGED {
            log::warn!(
                "reload: {} more differences from the file",
                scan.differences - DIFFERENCES_LOGGED
            );
        }
        self.drift = scan.differences;
        None
    }

    /// New addresses, gateways or routes.
    fn change_networks(&mut self, new: &Config, routes: Arc<Routes>) {
        // The file's thread does not know the addresses of the host.
        let routes = match self.host_addresses.is_empty() {
            true => routes,
            false => self.routes_with_host(new),
        };
        self.follow_interfaces(new);
        self.desired.set_routes(Arc::clone(&routes));
        self.host.set_routes(routes);
        self.events.push(Event::NetworksChanged);
    }

    fn follow_interfaces(&mut self, new: &Config) {
        let ports = topology::with_host_addresses(&new.ports, &self.host_addresses);
        let interfaces = topology::interfaces(&ports, &self.macs, new.director.unserved);
        self.host.set_interfaces(interfaces);
        self.desired.set_interfaces(self.host.interfaces().to_vec());
    }

    fn routes_with_host(&self, config: &Config) -> Arc<Routes> {
        let ports = topology::with_host_addresses(&config.ports, &self.host_addresses);
        Arc::new(topology::routes(&ports, &config.routes))
    }

    /// Others have given the host's interfaces addresses, or taken them.
    pub(super) fn host_addresses_changed(&mut self) {
        let config = Arc::clone(&self.config);
        let routes = self.routes_with_host(&config);
        self.change_networks(&config, routes);
    }

    /// Other addresses or networks in `vips`.
    fn change_vips(&mut self, new: &Config) {
        let networks = topology::virtual_networks(&new.director.vips);
        self.host.set_virtual_networks(networks.clone());
        self.desired.set_vips(topology::virtual_addresses(&new.director.vips));
        self.desired.set_vip_networks(networks);
    }
}

fn report_drift(scan: &mut DriftScan, lines: impl IntoIterator<Item = String>) {
    for line in lines {
        if scan.differences < DIFFERENCES_LOGGED {
            log::warn!("reload: differs from the file: {line}");
        }
        scan.differences += 1;
    }
}
