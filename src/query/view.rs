//! The state that questions can read.

use crate::api::Refusal;
use crate::host::Neighbour;
use crate::model::{ServiceKey, ServiceRow, Sysctls, Timeouts};
use crate::reason::DropReason;
use crate::snapshot::Publisher;
use crate::time::{Duration, Instant};
use crate::worker::{Shared, Sizing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts about the process that do not change while it runs.
#[derive(Clone, Debug, Default)]
pub struct StaticInfo {
    pub version: String,
    /// By worker.
    pub cores: Vec<Option<u32>>,
    /// Names of the ports, by [`PortId`](crate::model::PortId).
    pub ports: Vec<String>,
    /// How each port spreads flows, and why.
    pub steering: Vec<String>,
    pub warnings: Vec<String>,
    /// Maximum IPv4 connections of one worker.
    pub connections_max: u64,
    /// Maximum IPv6 connections of one worker.
    pub connections_ipv6_max: u64,
}

/// A port as its device describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortRow {
    pub name: String,
    pub device: String,
    pub driver: String,
    pub mac: String,
    /// Bytes of the longest IP packet.
    pub mtu: u16,
    pub link_up: bool,
    /// Megabit per second; 0 when unknown.
    pub link_speed: u32,
    pub queues: u16,
    pub addresses: Vec<String>,
    /// The device's own extended statistics, zeros left out.
    pub xstats: BTreeMap<String, u64>,
}

/// An interface as the director has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceRow {
    pub name: String,
    pub mac: String,
    /// Bytes of the longest IP packet.
    pub mtu: u16,
    /// With prefix lengths; also those that others gave the host's interface.
    pub addresses: Vec<String>,
    /// The host's own stack on the interface.
    pub kernel: Option<KernelInterfaceRow>,
}

/// A kernel interface with its counters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelInterfaceRow {
    /// Name in the host.
    pub name: String,
    /// `up`, `no link`, or `lost` if the device is gone.
    pub state: String,
    pub to_host_packets: u64,
    pub to_host_bytes: u64,
    /// The device did not take them.
    pub to_host_dropped: u64,
    pub from_host_packets: u64,
    pub from_host_bytes: u64,
    /// No buffer, or the worker's ring was full.
    pub from_host_dropped: u64,
}

/// Asks the devices for their rows. Drivers may sleep meanwhile, so this is not for the control thread.
pub type PortRows = Box<dyn FnOnce() -> Vec<PortRow> + Send>;

/// Turns of the control thread since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    pub longest: Duration,
    /// Turns that took longer than this.
    pub over_1ms: u64,
    pub over_10ms: u64,
    /// The longest part of any turn: the name of its task or work.
    pub longest_part: (&'static str, Duration),
}

/// How the last reading of the configuration file ended.
#[derive(Clone, Debug)]
pub struct LastReload {
    pub at: Instant,
    /// Why nothing was applied.
    pub fault: Option<String>,
}

/// The running director, as questions see it. The control thread implements it.
pub trait View {
    fn now(&self) -> Instant;
    fn info(&self) -> &StaticInfo;
    fn sizing(&self) -> Sizing;
    /// The workers' counters, the steering and the persistence templates.
    fn shared(&self) -> &Shared;
    /// The newest snapshot, and the one that each worker has acknowledged.
    fn publisher(&self) -> &Publisher;
    /// Share of the last second that the worker spent on packets, in percent.
    fn busy_percent(&self, worker: usize) -> f64;
    /// How long the turns of the control thread took.
    fn turns(&self) -> Turns;
    /// Packets that the control thread itself dropped for this reason.
    fn control_drops(&self, reason: DropReason) -> u64;
    /// Problems of the machine or the running state, one sentence each.
    fn warnings(&self) -> Vec<String>;
    /// `None` before the first reload.
    fn last_reload(&self) -> Option<&LastReload>;
    fn neighbours(&self) -> Vec<Neighbour>;
    fn interfaces(&self) -> Vec<InterfaceRow>;
    /// How to get the rows of all ports.
    fn ports(&self) -> PortRows;
    fn services_len(&self) -> u64;
    fn destinations_len(&self) -> u64;
    fn service(&self, key: &ServiceKey) -> Option<ServiceRow>;
    /// Services that were added before the one with this number, newest first, each with its number; `None`: all.
    fn services_before(
        &self,
        number: Option<u64>,
    ) -> Box<dyn Iterator<Item = (u64, ServiceRow)> + '_>;
    fn timeouts(&self) -> Timeouts;
    fn sysctls(&self) -> &Sysctls;
    /// Replaces the settings.
    ///
    /// # Errors
    /// A worker does not take changes at present.
    fn set_sysctls(&mut self, sysctls: Sysctls) -> Result<(), Refusal>;
}
