//! What the tasks of the control thread share: the desired state, the director as a host, the workers' ends of every ring.

use super::batch::CommandBatch;
use super::busy::BusyMeter;
use super::desired::Desired;
use super::event::Event;
use super::listings::Listings;
use super::notify::Notifier;
use super::reread::ReloadStep;
use super::server::ReplyChannel;
use super::slice::Slice;
use crate::api::{Refusal, RefusalCode, Reply};
use crate::config::Config;
use crate::conn::template::Template;
use crate::host::IpHost;
use crate::io::Frame;
use crate::kernel_port::KernelLink;
use crate::limits::ACKNOWLEDGEMENT_MAX;
use crate::model::{DestinationId, InterfaceId};
use crate::query::{LastReload, StaticInfo, Turns};
use crate::snapshot::Publisher;
use crate::time::{Duration, Instant};
use crate::worker::{ConnectionPiece, Shared, Sizing, TableJob};
use rtrb::{Consumer, Producer};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// The state of the control thread.
pub(super) struct State<F> {
    /// The file as it was read last.
    pub(super) config: Arc<Config>,
    /// The ports' own MAC addresses, by [`PortId`](crate::model::PortId).
    pub(super) macs: Vec<[u8; 6]>,
    pub(super) sizing: Sizing,
    pub(super) desired: Desired,
    pub(super) host: IpHost<F>,
    /// The way to the host's own stack; `None` without a kernel interface.
    pub(super) kernel: Option<KernelLink<F>>,
    /// Addresses that others have given the host's interfaces, with prefix lengths.
    pub(super) host_addresses: BTreeSet<(InterfaceId, IpAddr, u8)>,
    pub(super) shared: Shared,
    pub(super) info: StaticInfo,
    pub(super) busy: BusyMeter,
    pub(super) turns: Turns,
    pub(super) publisher: Publisher,
    /// Generation of the desired state that was published; `None` before the first.
    pub(super) published: Option<u64>,
    pub(super) published_at: Instant,
    /// The last epoch that every worker was seen to use.
    pub(super) settled: u64,
    /// Batches of commands that are not wholly applied, the oldest first.
    pub(super) batches: VecDeque<CommandBatch>,
    /// Answers that wait until every worker uses an epoch.
    pub(super) waiting: VecDeque<(u64, ReplyChannel, Reply)>,
    /// What a reload has still to do.
    pub(super) reloading: VecDeque<ReloadStep>,
    /// `None` before the first.
    pub(super) last_reload: Option<LastReload>,
    /// Differences between file and running table that the last reload found.
    pub(super) drift: usize,
    pub(super) listings: Listings,
    pub(super) jobs: Jobs,
    /// What the watchdog finds wrong with the workers at present.
    pub(super) worker_warnings: Vec<String>,
    pub(super) notifier: Notifier,
    pub(super) events: Vec<Event>,
}

/// Jobs for the workers' tables.
pub(super) struct Jobs {
    /// By worker: the way there, and back.
    pub(super) rings: Vec<Producer<TableJob>>,
    pub(super) done: Vec<Consumer<TableJob>>,
    /// With the worker that each is for.
    pub(super) waiting: VecDeque<(usize, TableJob)>,
    pub(super) under_way: usize,
    /// The piece of a listing that has come back; one is under way at a time.
    pub(super) listed: Option<ConnectionPiece>,
}

impl<F: Frame> State<F> {
    /// The newest desired state is what was published last.
    pub(super) fn is_published(&self) -> bool {
        self.published == Some(self.desired.generation())
    }

    /// The name of an interface, for messages.
    pub(super) fn name_of(&self, interface: InterfaceId) -> &str {
        self.config.ports.get(interface.index()).map_or("?", |port| &port.name)
    }

    pub(super) fn push_job(&mut self, worker: usize, job: TableJob) {
        self.jobs.waiting.push_back((worker, job));
        self.events.push(Event::JobsWaiting);
    }

    /// Answers once every worker uses what is desired now.
    pub(super) fn acknowledge(&mut self, answer: ReplyChannel, reply: Reply) {
        let current = self.publisher.current().epoch;
        let wanted = if self.is_published() { current } else { current + 1 };
        self.waiting.push_back((wanted, answer, reply));
    }

    /// Publishes what changed once every worker has the last, and answers those who waited for it; true if there was
    /// something to publish.
    pub(super) fn publish(&mut self, now: Instant) -> bool {
        self.publisher.collect();
        if !self.publisher.is_settled() {
            self.refuse_overdue(now);
            return false;
        }
        if let Some(published) = self.published {
            self.desired.acknowledged(published);
        }
        let epoch = self.publisher.current().epoch;
        while self.waiting.front().is_some_and(|(wanted, ..)| *wanted <= epoch) {
            if let Some((_, answer, reply)) = self.waiting.pop_front() {
                answer.finish(reply);
            }
        }
        if self.settled != epoch {
            self.settled = epoch;
            self.events.push(Event::SnapshotSettled);
        }
        if self.is_published() || !self.batches.is_empty() || !self.desired.is_swept() {
            return false;
        }
        self.published = Some(self.desired.generation());
        self.published_at = now;
        self.publisher.publish(self.desired.snapshot())
    }

    /// Goes on with what a change of routes or neighbours did to destinations; true if there was something.
    pub(super) fn sweep(&mut self) -> bool {
        let is_over = self.desired.is_swept();
        let mut slice = Slice::new();
        self.desired.sweep(|| slice.take());
        !is_over
    }

    /// How long a worker has not taken the newest snapshot; zero if all have.
    pub(super) fn unacknowledged_for(&self, now: Instant) -> Duration {
        match self.publisher.is_settled() {
            true => Duration::ZERO,
            false => now.since(self.published_at),
        }
    }

    /// Workers that have not taken the newest snapshot.
    pub(super) fn late_workers(&self) -> impl Iterator<Item = usize> + '_ {
        let epoch = self.publisher.current().epoch;
        let workers = 0..self.shared.counters.len();
        workers.filter(move |worker| self.publisher.acknowledged(*worker) != epoch)
    }

    /// Why no change is taken at present.
    pub(super) fn overdue(&self, now: Instant) -> Option<Refusal> {
        if self.unacknowledged_for(now) <= ACKNOWLEDGEMENT_MAX {
            return None;
        }
        let workers: Vec<String> = self.late_workers().map(|worker| worker.to_string()).collect();
        let detail = format!(
            "worker {} has not acknowledged the last change for {} s; changes are refused until it does",
            workers.join(", "),
            ACKNOWLEDGEMENT_MAX.as_secs()
        );
        Some(Refusal::new(RefusalCode::ETIMEDOUT, detail))
    }

    /// Tells those who wait for a worker that is stuck. Their changes are kept and come into force when it goes on.
    fn refuse_overdue(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let Some(mut refusal) = self.overdue(now) else { return };
        refusal.detail.push_str("; this change is kept and comes into force then");
        for (_, answer, _) in self.waiting.drain(..) {
            answer.refuse(refusal.clone());
        }
    }

    /// Everything that has happened since the last call. Virtual addresses come before next hops, which may be among them.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.events);
        let vips = self.desired.take_virtual_address_changes().into_iter();
        events.extend(vips.map(|(address, is_active)| Event::VipChanged { address, is_active }));
        let next_hops = self.desired.take_wanted_changes().into_iter();
        let next_hops =
            next_hops.map(|(next_hop, is_wanted)| Event::NextHopChanged { next_hop, is_wanted });
        events.extend(next_hops);
        let neighbours = self.host.take_neighbour_changes().into_iter();
        events.extend(neighbours.map(|(next_hop, mac)| Event::NeighbourChanged { next_hop, mac }));
        let groups = self.host.take_group_changes().into_iter();
        events.extend(groups.map(|((interface, group), is_member)| Event::MembershipChanged {
            interface,
            group,
            is_member,
        }));
        events
    }

    /// Something waits for workers or clients, who do not wake the control thread up.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
            || !self.reloading.is_empty()
            || !self.desired.is_swept()
            || !self.listings.is_empty()
            || !self.publisher.is_settled()
    }
}

/// A template has gone: its destination has one persistent connection less.
pub(super) fn template_gone(shared: &Shared, template: &Template) {
    let own = shared.destination_stats.last();
    if let Some(stats) = own.and_then(|table| table.get(DestinationId(template.destination))) {
        stats.template_removed();
    }
}
