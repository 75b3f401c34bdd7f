//! Requests of clients: answered at once, once every worker has acknowledged, or filed with the listings.

use super::{Control, Ports};
use crate::api::{
    Command, DropRow, Info, Refusal, RefusalCode, Reply, Request, StatusReport, SysctlRow,
};
use crate::control::connections::Walk;
use crate::control::listing::{Listing, service_row};
use crate::control::reports;
use crate::control::server::{Answer, Call};
use crate::io::Frame;
use crate::model::{Origin, ServiceKey, SysctlError, Sysctls};
use crate::reason::DropReason;
use crate::time::Instant;
use std::collections::BTreeMap;

impl<F: Frame> Control<F> {
    /// Answers a request, or files it among those that take longer.
    pub(super) fn answer(&mut self, call: Call, ports: &mut impl Ports<F>, now: Instant) {
        let Call { request, answer } = call;
        match request {
            Request::Info => answer.finish(Reply::Info(Info {
                version: self.info.version.clone(),
                connection_table_size: self.sizing.connections_ipv4 as u64,
            })),
            Request::Apply(commands) => self.apply(&commands, answer, now),
            Request::Services { only: None } => self.listings.push((Listing::default(), answer)),
            Request::Services { only: Some(key) } => self.one_service(&key, &answer),
            Request::Connections => self.walks.push_back((Walk::begin(), answer, false)),
            Request::Timeouts => answer.finish(Reply::Timeouts(self.desired.timeouts())),
            Request::SyncDaemons => answer.finish(Reply::SyncDaemons(Vec::new())),
            Request::Status => answer.finish(Reply::Status(self.status(now))),
            Request::Queues => {
                answer.finish(Reply::Queues(reports::queues(&self.info, &self.shared, &self.busy)));
            }
            Request::Ports => answer.finish(Reply::Ports(ports.rows())),
            Request::Neighbours => {
                let rows = reports::neighbours(&self.info, self.host.neighbours());
                answer.finish(Reply::Neighbours(rows));
            }
            Request::Drops => answer.finish(Reply::Drops(self.drops())),
            Request::Sysctl { name, set } => self.sysctl(name, set, answer),
        }
    }

    fn status(&self, now: Instant) -> StatusReport {
        let mut status = reports::status(
            &self.info,
            &self.shared,
            &self.end.publisher,
            &self.busy,
            self.desired.services_len() as u64,
            self.desired.destinations_len() as u64,
            now,
        );
        if self.drift > 0 {
            status.warnings.push(format!(
                "the running services differ from the file in {} places, as the log of the last \
                 reload says",
                self.drift
            ));
        }
        status
    }

    fn drops(&self) -> Vec<DropRow> {
        let host_drops: BTreeMap<_, _> = self.host.drops().collect();
        reports::drops(&self.shared, |reason| {
            let refused = if reason == DropReason::TransmitRingFull { self.refused } else { 0 };
            host_drops.get(&reason).copied().unwrap_or(0) + refused
        })
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

    fn one_service(&self, key: &ServiceKey, answer: &Answer) {
        match self.desired.service(key) {
            Some((id, spec)) => {
                answer.finish(Reply::Services(vec![service_row(&self.desired, id, spec)]));
            }
            None => {
                let detail = format!("there is no service {key}");
                answer.refuse(Refusal::new(RefusalCode::ESRCH, detail));
            }
        }
    }

    fn sysctl(&mut self, name: Option<String>, set: Option<String>, answer: Answer) {
        let mut sysctls = *self.desired.sysctls();
        let outcome = match (&name, set) {
            (Some(name), Some(value)) => sysctls.set(name, &value),
            (None, Some(_)) => Err(SysctlError::Unknown(String::new())),
            (Some(name), None) => sysctls.get(name).map(|_| ()),
            (None, None) => Ok(()),
        };
        if let Err(error) = outcome {
            let code = match error {
                SysctlError::Unknown(_) => RefusalCode::ENOENT,
                SysctlError::Invalid { .. } => RefusalCode::EINVAL,
                SysctlError::Refused { .. } => RefusalCode::EOPNOTSUPP,
            };
            return answer.refuse(Refusal::new(code, error.to_string()));
        }
        if sysctls != *self.desired.sysctls() {
            self.desired.set_sysctls(sysctls);
            self.defend();
        }
        let rows = sysctl_rows(self.desired.sysctls(), name.as_deref());
        self.acknowledge(answer, Reply::Sysctl(rows));
    }
}

fn sysctl_rows(sysctls: &Sysctls, name: Option<&str>) -> Vec<SysctlRow> {
    let wanted = name.map(Sysctls::short_name);
    sysctls
        .iter()
        .filter(|setting| wanted.is_none_or(|wanted| wanted == setting.name))
        .map(|setting| SysctlRow {
            name: setting.name.to_owned(),
            value: setting.value,
            help: setting.help.to_owned(),
        })
        .collect()
}
