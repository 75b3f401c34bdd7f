//! The configuration file read again: the difference is applied, a faulty file changes nothing.

use super::{Control, Ports};
use crate::api::Command;
use crate::config::{Config, Faults};
use crate::control::topology;
use crate::io::Frame;
use crate::route::Routes;
use crate::time::Instant;
use std::sync::Arc;

impl<F: Frame> Control<F> {
    /// Applies the difference between the file as it was and as it is; a faulty file changes nothing.
    pub(super) fn reload(
        &mut self,
        outcome: Result<Config, Faults>,
        ports: &mut impl Ports<F>,
        now: Instant,
    ) {
        let reread = outcome.and_then(|new| Ok((self.config.changes(&new)?, new)));
        let (changes, new) = match reread {
            Ok(reread) => reread,
            Err(faults) => {
                log::error!("the configuration stays as it was: {faults}");
                return;
            }
        };
        if changes.ports.is_some() || changes.routes.is_some() || changes.vips.is_some() {
            self.change_networks(&new, ports, now);
        }
        if let Some(list) = &changes.neighbours {
            let neighbours = topology::static_neighbours(list);
            let (host, mut out) = self.host(ports);
            host.set_static_neighbours(&neighbours, now, &mut out);
        }
        if let Some(rules) = &changes.marks {
            self.desired.set_marks(topology::marks(rules));
        }
        if let Some(timeouts) = changes.timeouts
            && let Err(refusal) = self.desired.apply(&Command::SetTimeouts(timeouts), now)
        {
            log::warn!("{refusal}");
        }
        let mut sysctls = *self.desired.sysctls();
        for (name, value) in &changes.sysctls {
            if let Err(error) = sysctls.set(name, value) {
                log::warn!("{error}");
            }
        }
        self.desired.set_sysctls(sysctls);
        if let Some(clamp) = changes.mss_clamp {
            self.desired.set_mss_clamp(clamp);
        }
        if let Some(answer) = changes.unserved {
            self.host.set_unserved(answer);
        }
        if let Some(level) = changes.log {
            log::set_max_level(level);
        }
        for command in &changes.commands {
            if let Err(refusal) = self.desired.apply(command, now) {
                log::warn!("reload: {refusal}");
            }
        }
        self.config = new;
        log::info!("the configuration was read again");
    }

    /// New addresses, gateways, routes or VIPs.
    fn change_networks(&mut self, new: &Config, ports: &mut impl Ports<F>, now: Instant) {
        let routes: Arc<Routes> = Arc::new(topology::routes(&new.ports, &new.routes));
        let interfaces = topology::interfaces(&new.ports, &self.macs);
        self.host.set_interfaces(interfaces);
        self.host.set_virtual_networks(topology::virtual_networks(&new.vips));
        self.desired.set_interfaces(self.host.interfaces().to_vec());
        self.desired.set_routes(Arc::clone(&routes));
        self.desired.set_vips(topology::virtual_addresses(&new.vips));
        self.desired.set_vip_networks(topology::virtual_networks(&new.vips));
        ports.set_addresses(&new.ports);
        let (host, mut out) = self.host(ports);
        host.set_routes(routes);
        host.announce(now, &mut out);
    }
}
