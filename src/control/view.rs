//! The running director as questions see it.

use super::Ports;
use super::state::State;
use super::tasks::defence::defend;
use crate::api::Refusal;
use crate::host::Neighbour;
use crate::io::Frame;
use crate::kernel_port::{HostCounters, KernelInterface, KernelLink};
use crate::model::{MacAddress, ServiceKey, ServiceRow, Sysctls, Timeouts};
use crate::query::{
    InterfaceRow, KernelInterfaceRow, LastReload, PortRows, StaticInfo, Turns, View,
};
use crate::reason::DropReason;
use crate::snapshot::Publisher;
use crate::time::Instant;
use crate::worker::{Shared, Sizing};
use std::sync::atomic::Ordering::Relaxed;

fn kernel_row(kernel: &KernelInterface, counters: &HostCounters) -> KernelInterfaceRow {
    let state = match (counters.is_there.load(Relaxed), counters.is_link_up.load(Relaxed)) {
        (true, true) => "up",
        (true, false) => "no link",
        (false, _) => "lost",
    };
    KernelInterfaceRow {
        name: kernel.name.clone(),
        state: state.to_owned(),
        to_host_packets: counters.to_host_packets.load(Relaxed),
        to_host_bytes: counters.to_host_bytes.load(Relaxed),
        to_host_dropped: counters.to_host_dropped.load(Relaxed),
        from_host_packets: counters.from_host_packets.load(Relaxed),
        from_host_bytes: counters.from_host_bytes.load(Relaxed),
        from_host_dropped: counters.from_host_dropped.load(Relaxed),
    }
}

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
        warnings.extend_from_slice(&self.state.worker_warnings);
        warnings.extend(self.state.desired.warnings());
        let kernel = self.state.kernel.iter().flat_map(KernelLink::interfaces);
        warnings.extend(kernel.filter(|(_, counters)| !counters.is_there.load(Relaxed)).map(
            |(kernel, _)| {
                format!(
                    "kernel interface {} is lost and is made again; balanced traffic is not affected",
                    kernel.name
                )
            },
        ));
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

    fn interfaces(&self) -> Vec<InterfaceRow> {
        let interfaces = self.state.host.interfaces().iter();
        interfaces
            .map(|interface| InterfaceRow {
                name: interface.name.clone(),
                mac: MacAddress(interface.mac).to_string(),
                mtu: interface.mtu,
                addresses: interface
                    .addresses
                    .iter()
                    .map(|(address, length)| format!("{address}/{length}"))
                    .collect(),
                kernel: self.state.kernel.as_ref().and_then(|link| {
                    let mut all = link.interfaces();
                    let (kernel, counters) =
                        all.find(|(kernel, _)| kernel.interface == interface.id)?;
                    Some(kernel_row(kernel, counters))
                }),
            })
            .collect()
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
