//! The running director as questions see it.

use super::Ports;
use super::state::State;
use super::tasks::defence::defend;
use crate::api::Refusal;
use crate::host::Neighbour;
use crate::io::Frame;
use crate::model::{ServiceKey, ServiceRow, Sysctls, Timeouts};
use crate::query::{LastReload, PortRows, StaticInfo, Turns, View};
use crate::reason::DropReason;
use crate::snapshot::Publisher;
use crate::time::Instant;
use crate::worker::{Shared, Sizing};

/// The control thread's state and its ports at one moment.
pub(super) struct StateView<'a, F, P> {
    pub(super) state: &'a mut State<F>,
    pub(super) ports: &'a P,
    /// Frames that no worker had room for.
    pub(super) refused: u64,
    pub(super) now: Instant,
}

impl<F: Frame, P: Ports<F>> View for StateView<'_, F, P> {
    fn now(&self) -> Instant {
        self.now
    }

    fn info(&self) -> &StaticInfo {
        &self.state.info
    }

    fn sizing(&self) -> Sizing {
        self.state.sizing
    }

    fn shared(&self) -> &Shared {
        &self.state.shared
    }

    fn publisher(&self) -> &Publisher {
        &self.state.publisher
    }

    fn busy_percent(&self, worker: usize) -> f64 {
        self.state.busy.percent(worker)
    }

    fn turns(&self) -> Turns {
        self.state.turns
    }

    fn control_drops(&self, reason: DropReason) -> u64 {
        let refused = if reason == DropReason::TransmitRingFull { self.refused } else { 0 };
        self.state.host.dropped(reason) + refused
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.state.info.warnings.clone();
        warnings.extend_from_slice(&self.state.config.warnings);
        warnings.extend_from_slice(&self.state.complaints);
        warnings.extend(self.state.desired.warnings());
        if self.state.drift > 0 {
            warnings.push(format!(
                "the running services and settings differ from the file in {} places; the log of the last reload lists them",
                self.state.drift
            ));
        }
        warnings
    }

    fn last_reload(&self) -> Option<&LastReload> {
        self.state.last_reload.as_ref()
    }

    fn neighbours(&self) -> Vec<Neighbour> {
        self.state.host.neighbours().collect()
    }

    fn ports(&self) -> PortRows {
        self.ports.rows()
    }

    fn services_len(&self) -> u64 {
        self.state.desired.services_len() as u64
    }

    fn destinations_len(&self) -> u64 {
        self.state.desired.destinations_len() as u64
    }

    fn service(&self, key: &ServiceKey) -> Option<ServiceRow> {
        let (id, spec) = self.state.desired.service(key)?;
        Some(self.state.desired.service_row(id, spec))
    }

    fn services_before(
        &self,
        number: Option<u64>,
    ) -> Box<dyn Iterator<Item = (u64, ServiceRow)> + '_> {
        let desired = &self.state.desired;
        let services = desired.services_before(number);
        Box::new(services.map(|(number, id, spec)| (number, desired.service_row(id, spec))))
    }

    fn timeouts(&self) -> Timeouts {
        self.state.desired.timeouts()
    }

    fn sysctls(&self) -> &Sysctls {
        self.state.desired.sysctls()
    }

    fn set_sysctls(&mut self, sysctls: Sysctls) -> Result<(), Refusal> {
        if let Some(refusal) = self.state.overdue(self.now) {
            return Err(refusal);
        }
        self.state.desired.set_sysctls(sysctls);
        defend(self.state);
        Ok(())
    }
}
