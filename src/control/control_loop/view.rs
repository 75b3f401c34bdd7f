//! The running director as questions see it.

use super::{Control, Ports};
use crate::host::Neighbour;
use crate::io::Frame;
use crate::model::{ServiceKey, ServiceRow, Sysctls, Timeouts};
use crate::query::{PortRow, StaticInfo, View};
use crate::reason::DropReason;
use crate::snapshot::Publisher;
use crate::time::Instant;
use crate::worker::{Shared, Sizing};

/// The control thread's state and its ports at one moment.
pub(super) struct ControlView<'a, F, P> {
    pub(super) control: &'a mut Control<F>,
    pub(super) ports: &'a P,
    pub(super) now: Instant,
}

impl<F: Frame, P: Ports<F>> View for ControlView<'_, F, P> {
    fn now(&self) -> Instant {
        self.now
    }

    fn info(&self) -> &StaticInfo {
        &self.control.info
    }

    fn sizing(&self) -> Sizing {
        self.control.sizing
    }

    fn shared(&self) -> &Shared {
        &self.control.shared
    }

    fn publisher(&self) -> &Publisher {
        &self.control.end.publisher
    }

    fn busy_percent(&self, worker: usize) -> f64 {
        self.control.busy.percent(worker)
    }

    fn control_drops(&self, reason: DropReason) -> u64 {
        let refused = if reason == DropReason::TransmitRingFull { self.control.refused } else { 0 };
        self.control.host.dropped(reason) + refused
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.control.info.warnings.clone();
        warnings.extend(self.control.desired.warnings());
        if self.control.drift > 0 {
            warnings.push(format!(
                "the running services differ from the file in {} places; the log of the last reload lists them",
                self.control.drift
            ));
        }
        warnings
    }

    fn neighbours(&self) -> Vec<Neighbour> {
        self.control.host.neighbours().collect()
    }

    fn ports(&self) -> Vec<PortRow> {
        self.ports.rows()
    }

    fn services_len(&self) -> u64 {
        self.control.desired.services_len() as u64
    }

    fn destinations_len(&self) -> u64 {
        self.control.desired.destinations_len() as u64
    }

    fn service(&self, key: &ServiceKey) -> Option<ServiceRow> {
        let (id, spec) = self.control.desired.service(key)?;
        Some(self.control.desired.service_row(id, spec))
    }

    fn services_before(
        &self,
        number: Option<u64>,
    ) -> Box<dyn Iterator<Item = (u64, ServiceRow)> + '_> {
        let desired = &self.control.desired;
        let services = desired.services_before(number);
        Box::new(services.map(|(number, id, spec)| (number, desired.service_row(id, spec))))
    }

    fn timeouts(&self) -> Timeouts {
        self.control.desired.timeouts()
    }

    fn sysctls(&self) -> &Sysctls {
        self.control.desired.sysctls()
    }

    fn set_sysctls(&mut self, sysctls: Sysctls) {
        self.control.desired.set_sysctls(sysctls);
        self.control.defend();
    }
}
