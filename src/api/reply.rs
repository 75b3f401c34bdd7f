//! What the daemon answers.

use super::{Refusal, SyncDaemon};
use crate::model::{ConnectionRow, ServiceRow, Timeouts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One line from the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Info(Info),
    /// One outcome per command of `Apply`, in order.
    Applied(Vec<Result<(), Refusal>>),
    Services(Vec<ServiceRow>),
    Connections(Vec<ConnectionRow>),
    Timeouts(Timeouts),
    SyncDaemons(Vec<SyncDaemon>),
    Status(StatusReport),
    Queues(Vec<QueueRow>),
    Ports(Vec<PortRow>),
    Neighbours(Vec<NeighbourRow>),
    Drops(Vec<DropRow>),
    Sysctl(Vec<SysctlRow>),
    /// The request as a whole could not be carried out.
    Failed(Refusal),
    /// The answer is complete.
    End,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    pub version: String,
    /// What ipvsadm's banner calls `size`: slots of the connection table.
    pub connection_table_size: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    pub version: String,
    pub uptime_s: u64,
    /// Epoch of the newest published snapshot.
    pub epoch: u64,
    pub services: u64,
    pub destinations: u64,
    pub workers: Vec<WorkerStatus>,
    /// How each port spreads flows over the workers, and why that way.
    pub steering: Vec<String>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    pub worker: u16,
    /// `None` before the worker is pinned.
    pub core: Option<u32>,
    /// Epoch the worker has acknowledged.
    pub epoch: u64,
    pub connections_ipv4: u64,
    pub connections_ipv6: u64,
    /// Connections each of the two tables can hold.
    pub connections_max: u64,
    /// Share of the time since the last report in which polls found work, in percent.
    pub busy_percent: f64,
    /// Packets given to other workers because their connection lives there.
    pub handoff_tx: u64,
    /// Packets taken from other workers.
    pub handoff_rx: u64,
    /// Connections that the drop_entry defence ended.
    pub entries_dropped: u64,
    /// SYNs whose maximum segment size was lowered (`tcp.mss_clamp`).
    pub mss_clamped: u64,
    /// The longest poll since the start, in microseconds, and how many took longer than so many microseconds.
    pub longest_poll_us: u64,
    pub polls_over_20us: u64,
    pub polls_over_100us: u64,
    pub polls_over_1000us: u64,
}

/// One receive and transmit queue pair of one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueRow {
    pub worker: u16,
    pub port: String,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    /// Bursts that brought at least one frame.
    pub rx_bursts: u64,
    /// Share of the worker's time spent on packets, in percent.
    pub busy_percent: f64,
    /// Drops and punts by reason; reasons that never occurred are left out.
    pub drops: BTreeMap<String, u64>,
    pub punts: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortRow {
    pub name: String,
    pub device: String,
    pub driver: String,
    pub mac: String,
    pub mtu: u16,
    pub link_up: bool,
    /// Megabit per second; 0 when unknown.
    pub link_speed: u32,
    pub queues: u16,
    pub addresses: Vec<String>,
    /// The device's own extended statistics, zeros left out.
    pub xstats: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourRow {
    pub address: IpAddr,
    pub port: String,
    /// `None` while it is not resolved.
    pub mac: Option<String>,
    /// `permanent`, `reachable`, `probe`, `incomplete` or `failed`.
    pub state: String,
    /// Packets waiting for the answer.
    pub queued: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRow {
    /// `drop` or `punt`.
    pub kind: String,
    pub reason: String,
    /// What the reason means.
    pub help: String,
    /// Over all workers and ports.
    pub packets: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlRow {
    pub name: String,
    pub value: String,
    pub help: String,
}
