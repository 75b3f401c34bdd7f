//! What `directorctl` shows: rows from counters that workers write and control only reads.

use crate::api::{DropRow, NeighbourRow, QueueRow, StatusReport, WorkerStatus};
use crate::host::Neighbour;
use crate::model::{InterfaceId, PortId};
use crate::reason::{DropReason, PuntReason};
use crate::snapshot::Publisher;
use crate::time::{Duration, Instant};
use crate::worker::Shared;
use crate::worker::upkeep::rss_check::RssCheckResult;
use std::collections::BTreeMap;

/// What is known of the process and does not change while it runs.
#[derive(Clone, Debug, Default)]
pub struct StaticInfo {
    pub version: String,
    /// By worker.
    pub cores: Vec<Option<u32>>,
    /// Names of the ports, by [`PortId`].
    pub ports: Vec<String>,
    /// How each port spreads flows, and why that way.
    pub steering: Vec<String>,
    pub warnings: Vec<String>,
    /// Connections one table of one worker holds.
    pub connections_max: u64,
}

/// Share of their time that workers spend on packets, over about the last second.
#[derive(Debug, Default)]
pub(super) struct BusyMeter {
    /// By worker: (time, busy) at the last sample, and the share since the one before.
    samples: Vec<(u64, u64, f64)>,
    sampled: Option<Instant>,
}

impl BusyMeter {
    const PERIOD: Duration = Duration::from_secs(1);

    pub(super) fn sample(&mut self, shared: &Shared, now: Instant) {
        if self.sampled.is_some_and(|last| now.since(last) < Self::PERIOD) {
            return;
        }
        self.sampled = Some(now);
        self.samples.resize(shared.counters.len(), (0, 0, 0.0));
        for (sample, counters) in self.samples.iter_mut().zip(&shared.counters) {
            let (time, busy) = (counters.time.get(), counters.busy.get());
            let passed = time.saturating_sub(sample.0);
            let worked = busy.saturating_sub(sample.1);
            let percent = if passed == 0 { 0.0 } else { 100.0 * worked as f64 / passed as f64 };
            *sample = (time, busy, percent);
        }
    }

    fn percent(&self, worker: usize) -> f64 {
        self.samples.get(worker).map_or(0.0, |sample| sample.2)
    }
}

pub(super) fn status(
    info: &StaticInfo,
    shared: &Shared,
    publisher: &Publisher,
    busy: &BusyMeter,
    services: u64,
    destinations: u64,
    now: Instant,
) -> StatusReport {
    let worker = |worker: usize| {
        let counters = &shared.counters[worker];
        let [polls_over_20us, polls_over_100us, polls_over_1000us] = counters.stalls.over();
        WorkerStatus {
            worker: worker as u16,
            core: info.cores.get(worker).copied().flatten(),
            epoch: publisher.acknowledged(worker),
            connections_ipv4: counters.connections_ipv4.get(),
            connections_ipv6: counters.connections_ipv6.get(),
            connections_max: info.connections_max,
            busy_percent: busy.percent(worker),
            handoff_tx: counters.handoff_tx.get(),
            handoff_rx: counters.handoff_rx.get(),
            entries_dropped: counters.entries_dropped.get(),
            mss_clamped: counters.mss_clamped.get(),
            longest_poll_us: counters.stalls.longest.get() / 1000,
            polls_over_20us,
            polls_over_100us,
            polls_over_1000us,
        }
    };
    StatusReport {
        version: info.version.clone(),
        uptime_s: now.since(Instant::START).as_secs(),
        epoch: publisher.current().epoch,
        services,
        destinations,
        workers: (0..shared.counters.len()).map(worker).collect(),
        steering: steering(info, shared),
        warnings: info.warnings.clone(),
    }
}

/// What is known of each port's placement, and what its first frames have shown.
fn steering(info: &StaticInfo, shared: &Shared) -> Vec<String> {
    let stats = |(port, text): (usize, &String)| match rss_check_result(shared, PortId(port as u16))
    {
        Some(rss_check_result) => format!("{text}; {rss_check_result}"),
        None => text.clone(),
    };
    info.steering.iter().enumerate().map(stats).collect()
}

/// What all workers' queues of a port have shown; `None` where there is nothing to verify.
pub(super) fn rss_check_result(shared: &Shared, port: PortId) -> Option<RssCheckResult> {
    shared.steering.has_rule(port).then(|| {
        let evidence =
            shared.counters.iter().filter_map(|worker| worker.evidence.get(port.index()));
        RssCheckResult::of(evidence)
    })
}

pub(super) fn queues(info: &StaticInfo, shared: &Shared, busy: &BusyMeter) -> Vec<QueueRow> {
    let mut rows = Vec::new();
    for (worker, counters) in shared.counters.iter().enumerate() {
        for (port, queue) in counters.queues.iter().enumerate() {
            let drops =
                DropReason::ALL.iter().map(|reason| (reason.name(), queue.drop_of(*reason).get()));
            let punts =
                PuntReason::ALL.iter().map(|reason| (reason.name(), queue.punt_of(*reason).get()));
            rows.push(QueueRow {
                worker: worker as u16,
                port: info.ports.get(port).cloned().unwrap_or_default(),
                rx_packets: queue.rx_packets.get(),
                rx_bytes: queue.rx_bytes.get(),
                tx_packets: queue.tx_packets.get(),
                tx_bytes: queue.tx_bytes.get(),
                rx_bursts: queue.rx_bursts.get(),
                busy_percent: busy.percent(worker),
                drops: occurred(drops),
                punts: occurred(punts),
            });
        }
    }
    rows
}

fn occurred(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)).collect()
}

/// Drops and punts over all queues; `host`: what the control thread itself dropped.
pub(super) fn drops(shared: &Shared, host: impl Fn(DropReason) -> u64) -> Vec<DropRow> {
    let queues = || shared.counters.iter().flat_map(|counters| counters.queues.iter());
    let dropped = |reason: DropReason| {
        queues().map(|queue| queue.drop_of(reason).get()).sum::<u64>() + host(reason)
    };
    let punted =
        |reason: PuntReason| queues().map(|queue| queue.punt_of(reason).get()).sum::<u64>();
    let drops = DropReason::ALL.iter().map(|&reason| DropRow {
        kind: "drop".to_owned(),
        reason: reason.name().to_owned(),
        help: reason.help().to_owned(),
        packets: dropped(reason),
    });
    let punts = PuntReason::ALL.iter().map(|&reason| DropRow {
        kind: "punt".to_owned(),
        reason: reason.name().to_owned(),
        help: reason.help().to_owned(),
        packets: punted(reason),
    });
    drops.chain(punts).collect()
}

pub(super) fn neighbours(
    info: &StaticInfo,
    list: impl Iterator<Item = Neighbour>,
) -> Vec<NeighbourRow> {
    let mac = |octets: [u8; 6]| octets.map(|octet| format!("{octet:02x}")).join(":");
    list.map(|neighbour| NeighbourRow {
        address: neighbour.address,
        port: interface_name(info, neighbour.interface),
        mac: neighbour.mac.map(mac),
        state: neighbour.state.name().to_owned(),
        queued: neighbour.queued as u64,
    })
    .collect()
}

fn interface_name(info: &StaticInfo, interface: InterfaceId) -> String {
    // One on each port, under the port's name.
    info.ports.get(interface.index()).cloned().unwrap_or_default()
}
