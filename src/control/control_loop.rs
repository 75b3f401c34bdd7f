//! The control thread: takes what workers punt and clients ask, keeps the desired state, and publishes it.
//!
//! `answers`, `listings` and `view` serve the clients, `reload` follows the configuration file.

mod answers;
mod listings;
mod reload;
mod view;

use super::busy::BusyMeter;
use super::defence::{self, Room};
use super::desired::{Capacity, Desired, Topology};
use super::destination_totals::DestinationTotals;
use super::outbox::WorkerOutbox;
use super::server::{Answer, Call, Calls};
use super::topology;
use crate::api::{Command, Refusal, Reply};
use crate::config::{Config, Faults, PortConfig};
use crate::conn::template::{Cursor, Template};
use crate::host::{IpHost, Outbox, PathMtu, Settings};
use crate::io::Frame;
use crate::model::{DestinationId, Family, Origin, PortId};
use crate::query::{self, Listing, PortRow, StaticInfo, Walk};
use crate::reason::{Punt, PuntClass, PuntDetail};
use crate::time::{Duration, Instant};
use crate::worker::defence::IdleSampler;
use crate::worker::stats::counters::WorkerCounters;
use crate::worker::{ControlEnd, Shared, Sizing, TableJob};
use reload::ReloadStep;
use std::collections::VecDeque;
use std::sync::Arc;

/// Longest wait for a request when nothing else is to be done: what a punted packet may have to wait too.
const IDLE: std::time::Duration = std::time::Duration::from_micros(200);
const TICK: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// Persistence templates looked at per second.
const TEMPLATES_SWEPT: usize = 1 << 18;
/// drop_entry looks at this part of a table each second, as IPVS does of its buckets.
const DROP_ENTRY_SHARE: usize = 32;

/// What the control thread asks of the ports as devices.
pub trait Ports<F> {
    /// An empty frame that `port` can send.
    fn allocate(&mut self, port: PortId) -> Option<F>;
    fn rows(&self) -> Vec<PortRow>;
    /// The configured addresses changed; rows show them.
    fn set_addresses(&mut self, ports: &[PortConfig]);
}

/// See the module.
pub struct Control<F> {
    config: Config,
    /// The ports' own MAC addresses, by [`PortId`].
    macs: Vec<[u8; 6]>,
    sizing: Sizing,
    desired: Desired,
    host: IpHost<F>,
    end: ControlEnd<F>,
    shared: Shared,
    info: StaticInfo,
    calls: Option<Calls>,
    busy: BusyMeter,
    /// Generation of the desired state that was published.
    published: u64,
    removals_swept: u64,
    /// Frames of the host path that no worker had room for.
    refused: u64,
    /// Answers that wait for every worker's acknowledgement of an epoch.
    waiting: VecDeque<(u64, Answer, Reply)>,
    listings: Vec<(Box<dyn Listing>, Answer)>,
    walks: VecDeque<(Walk, Answer, bool)>,
    jobs: VecDeque<(usize, TableJob)>,
    /// What a reload has still to do.
    reloading: VecDeque<ReloadStep>,
    /// Differences between file and running table that the last reload found.
    drift: usize,
    templates: Cursor,
    /// Of templates.
    idle_sampler: IdleSampler,
    next_tick: Instant,
    next_second: Instant,
}

impl<F: Frame> Control<F> {
    /// The control thread's state from the configuration. `macs`: the ports' own MAC addresses.
    ///
    /// # Errors
    /// The sentence of a service or destination that cannot be had.
    pub fn new(
        config: Config,
        macs: Vec<[u8; 6]>,
        sizing: Sizing,
        end: ControlEnd<F>,
        shared: Shared,
        info: StaticInfo,
    ) -> Result<Self, Refusal> {
        let routes = Arc::new(topology::routes(&config.ports, &config.routes));
        let settings = Settings { unserved: config.director.unserved, ..Settings::default() };
        let interfaces = topology::interfaces(&config.ports, &macs);
        let mut host = IpHost::new(interfaces, Arc::clone(&routes), settings);
        host.set_virtual_networks(topology::virtual_networks(&config.director.vips));
        let topology = Topology {
            interfaces: host.interfaces().to_vec(),
            vips: topology::virtual_addresses(&config.director.vips),
            vip_networks: topology::virtual_networks(&config.director.vips),
        };
        let capacity = Capacity { services: sizing.services, destinations: sizing.destinations };
        let mut desired = Desired::new(
            capacity,
            topology,
            DestinationTotals::new(shared.destination_stats.clone()),
        );
        desired.set_routes(routes);
        desired.set_marks(topology::marks(&config.marks));
        desired.set_sysctls(config.sysctls);
        desired.set_mss_clamp(config.mss_clamp);
        desired.apply(&Command::SetTimeouts(config.timeouts), Origin::File, Instant::START)?;
        for command in config.commands() {
            desired.apply(&command, Origin::File, Instant::START)?;
        }
        Ok(Control {
            config,
            macs,
            sizing,
            desired,
            host,
            end,
            shared,
            info,
            calls: None,
            busy: BusyMeter::default(),
            published: u64::MAX,
            removals_swept: 0,
            refused: 0,
            waiting: VecDeque::new(),
            listings: Vec::new(),
            walks: VecDeque::new(),
            jobs: VecDeque::new(),
            reloading: VecDeque::new(),
            drift: 0,
            templates: Cursor::default(),
            idle_sampler: IdleSampler::default(),
            next_tick: Instant::START,
            next_second: Instant::START,
        })
    }

    /// Announces the director on its networks and gives the workers their first snapshot.
    pub fn start(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        let neighbours = topology::static_neighbours(&self.config.neighbours);
        {
            let (host, mut out) = self.host(ports);
            host.set_static_neighbours(&neighbours, now, &mut out);
            host.announce(now, &mut out);
        }
        self.follow_desired(ports, now);
        self.follow_neighbours();
        self.publish(now);
    }

    /// Lets clients in.
    pub fn open(&mut self, calls: Calls) {
        self.calls = Some(calls);
    }

    /// Every worker uses what is desired now.
    pub fn is_settled(&self) -> bool {
        self.reloading.is_empty()
            && self.published == self.desired.generation()
            && self.end.publisher.is_settled()
    }

    /// Works until `stop` says so. `reload` brings the configuration read anew when that was asked for.
    pub fn run(
        &mut self,
        ports: &mut impl Ports<F>,
        clock: impl Fn() -> Instant,
        stop: impl Fn() -> bool,
        reload: impl Fn() -> Option<Result<Config, Faults>>,
    ) {
        while !stop() {
            if let Some(outcome) = reload() {
                if let Some(Err(error)) = self.calls.as_mut().map(Calls::restore) {
                    log::error!("{error}");
                }
                self.reload(outcome, ports, clock());
            }
            if !self.run_once(ports, clock())
                && let Some(call) = self.next_call(IDLE)
            {
                self.answer(call, ports, clock());
            }
        }
    }

    /// One turn of everything that may be waiting; true if there was something.
    pub fn run_once(&mut self, ports: &mut impl Ports<F>, now: Instant) -> bool {
        let mut worked = self.take_punts(ports, now);
        while let Some(call) = self.next_call(std::time::Duration::ZERO) {
            self.answer(call, ports, now);
            worked = true;
        }
        worked |= self.continue_reload(now);
        self.keep_time(ports, now);
        self.follow_desired(ports, now);
        self.follow_neighbours();
        worked |= self.publish(now);
        worked |= self.list(ports, now);
        worked |= self.walk(now);
        self.send_jobs();
        worked
    }

    /// The next request, waited for no longer than `patience`.
    fn next_call(&self, patience: std::time::Duration) -> Option<Call> {
        let Some(calls) = &self.calls else {
            std::thread::sleep(patience);
            return None;
        };
        calls.receiver().recv_timeout(patience).ok()
    }

    fn host<'a>(
        &'a mut self,
        ports: &'a mut impl Ports<F>,
    ) -> (&'a mut IpHost<F>, impl Outbox<F> + 'a) {
        self.host_behind(0, ports)
    }

    /// The host path, whose frames go out through `worker` if it has room.
    fn host_behind<'a>(
        &'a mut self,
        worker: usize,
        ports: &'a mut impl Ports<F>,
    ) -> (&'a mut IpHost<F>, impl Outbox<F> + 'a) {
        let out = WorkerOutbox {
            injections: &mut self.end.injections,
            first: worker,
            interfaces: self.desired.interfaces(),
            allocate: move |port| ports.allocate(port),
            refused: &mut self.refused,
        };
        (&mut self.host, out)
    }

    /// Punts of each worker, of each class up to its budget.
    fn take_punts(&mut self, ports: &mut impl Ports<F>, now: Instant) -> bool {
        let mut worked = false;
        for worker in 0..self.end.punts.len() {
            for class in PuntClass::ALL {
                for _ in 0..class.budget() {
                    let Some(mut punt) = self.end.punts[worker].pop(class) else { break };
                    self.learn_path_mtu(&mut punt, now);
                    let (host, mut out) = self.host_behind(worker, ports);
                    host.input(punt, now, &mut out);
                    worked = true;
                }
            }
        }
        worked
    }

    /// Uses the path MTU that an error about a tunnel packet reports, and adds the MTU that the client is told.
    fn learn_path_mtu(&mut self, punt: &mut Punt<F>, now: Instant) {
        let Some(PathMtu { destination, mtu }) = self.host.reported_path_mtu(punt) else { return };
        if let PuntDetail::Destination(id) = punt.detail {
            let told = self.desired.tunnel_mtu_learned(id, destination, mtu, now);
            punt.detail = PuntDetail::Mtu(told);
        }
    }

    fn keep_time(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            let (host, mut out) = self.host(ports);
            host.tick(now, &mut out);
        }
        self.desired.estimate(now);
        self.desired.empty_trash(now);
        self.busy.sample(&self.shared, now);
        if now >= self.next_second {
            self.next_second = now + SECOND;
            self.desired.expire_path_mtus(now);
            self.desired.collect_locality(now);
            self.defend();
            self.sweep_templates(now);
            self.check_rss();
        }
    }

    /// A device that does not place frames as it says is no longer relied on.
    fn check_rss(&mut self) {
        for port in (0..self.sizing.ports).map(|port| PortId(port as u16)) {
            if !self.shared.steering.is_placed(port) {
                continue;
            }
            if let Some(result) = query::rss_check_result(&self.shared, port)
                && result.is_mismatch()
            {
                self.shared.steering.distrust(port);
                log::warn!("port {}: {result}", self.info.ports[port.index()]);
            }
        }
    }

    /// Judges the defence and puts drop_entry to work where room is short. Short of templates, that is at every table:
    /// a template stays while a connection lives by it.
    fn defend(&mut self) {
        let tables = self.connection_tables();
        let all = tables.iter().map(|(.., room)| room.capacity).sum();
        let templates = Room::new(self.sizing.templates, self.shared.templates.len() as u64);
        let rooms = tables.iter().map(|(.., room)| *room).chain([templates]);
        self.desired.defend(rooms.map(|room| room.weighted(all)).min().unwrap_or(all));
        if !self.desired.settings().drop_entry {
            return;
        }
        let sysctls = *self.desired.sysctls();
        let everywhere = defence::drops_everywhere(&sysctls) || templates.is_short(all, &sysctls);
        for (worker, family, room) in tables {
            if everywhere || room.is_short(all, &sysctls) {
                let entries = (room.capacity as usize / DROP_ENTRY_SHARE).max(1) as u32;
                self.jobs.push_back((worker, TableJob::DropEntries { family, entries }));
            }
        }
    }

    /// The connection tables by worker and family.
    fn connection_tables(&self) -> Vec<(usize, Family, Room)> {
        let of_worker = |(worker, counters): (usize, &Arc<WorkerCounters>)| {
            let (ipv4, ipv6) = (counters.connections_ipv4.get(), counters.connections_ipv6.get());
            [
                (worker, Family::Ipv4, Room::new(self.sizing.connections_ipv4, ipv4)),
                (worker, Family::Ipv6, Room::new(self.sizing.connections_ipv6, ipv6)),
            ]
        };
        self.shared.counters.iter().enumerate().flat_map(of_worker).collect()
    }

    /// Ends templates whose time is over, and under drop_entry those nothing was established by.
    fn sweep_templates(&mut self, now: Instant) {
        let drop_entry = self.desired.settings().drop_entry;
        let idle_sampler = &mut self.idle_sampler;
        let unwanted = |template: &Template| {
            let is_looked_at = drop_entry && fastrand::usize(..DROP_ENTRY_SHARE) == 0;
            // Only one-packet connections count packets on a template.
            is_looked_at
                && match template.in_packets {
                    0 => !template.assured,
                    packets => idle_sampler.takes(packets, template.idle(now)),
                }
        };
        let gone = |template: &Template| template_gone(&self.shared, template);
        self.shared.templates.sweep(&mut self.templates, TEMPLATES_SWEPT, now, unwanted, gone);
    }

    /// Ends the templates of removed destinations that no connection lives by; those of the others go with the last.
    fn sweep_removed_templates(&mut self, now: Instant) {
        let destinations = &self.end.publisher.current().destinations;
        let unwanted = |template: &Template| {
            !destinations.get(template.destination as usize).is_some_and(|to| to.available)
        };
        let gone = |template: &Template| template_gone(&self.shared, template);
        let all = usize::MAX;
        self.shared.templates.sweep(&mut Cursor::default(), all, now, unwanted, gone);
    }

    /// The host path keeps up with the desired state: addresses to answer for, next hops to resolve.
    fn follow_desired(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        let addresses = self.desired.take_virtual_address_changes();
        let next_hops = self.desired.take_wanted_changes();
        if addresses.is_empty() && next_hops.is_empty() {
            return;
        }
        let (host, mut out) = self.host(ports);
        host.change_virtual_addresses(addresses, now, &mut out);
        for (next_hop, is_wanted) in next_hops {
            match is_wanted {
                true => host.want(next_hop, now, &mut out),
                false => host.unwant(next_hop),
            }
        }
    }

    /// The desired state keeps up with what the host path learned about neighbours, and with its multicast groups.
    fn follow_neighbours(&mut self) {
        for ((interface, address), mac) in self.host.take_neighbour_changes() {
            self.desired.neighbour_changed(interface, address, mac);
        }
        for ((interface, group), is_member) in self.host.take_group_changes() {
            self.desired.membership_changed(interface, group, is_member);
        }
    }

    /// Publishes what changed once every worker has the last, and answers those who waited for it.
    fn publish(&mut self, now: Instant) -> bool {
        self.end.publisher.collect();
        if !self.end.publisher.is_settled() {
            return false;
        }
        if self.published != u64::MAX {
            self.desired.acknowledged(self.published);
        }
        let epoch = self.end.publisher.current().epoch;
        while self.waiting.front().is_some_and(|(wanted, ..)| *wanted <= epoch) {
            if let Some((_, answer, reply)) = self.waiting.pop_front() {
                answer.finish(reply);
            }
        }
        self.sweep_removed(now);
        if self.published == self.desired.generation() {
            return false;
        }
        self.published = self.desired.generation();
        self.end.publisher.publish(self.desired.snapshot())
    }

    /// With `expire_nodest_conn`, connections of removed destinations end once the workers know of the removal.
    fn sweep_removed(&mut self, now: Instant) {
        if self.published != self.desired.generation()
            || self.removals_swept == self.desired.removals()
        {
            return;
        }
        self.removals_swept = self.desired.removals();
        if self.desired.sysctls().expire_nodest_conn == 0 {
            return;
        }
        self.sweep_removed_templates(now);
        for worker in 0..usize::from(self.sizing.workers) {
            for family in [Family::Ipv4, Family::Ipv6] {
                self.jobs.push_back((worker, TableJob::SweepRemoved { family, cursor: 0 }));
            }
        }
    }
}

/// A template is no longer: its destination has one persistent connection less.
fn template_gone(shared: &Shared, template: &Template) {
    let own = shared.destination_stats.last();
    if let Some(stats) =
        own.and_then(|stats_table| stats_table.get(DestinationId(template.destination)))
    {
        stats.template_removed();
    }
}
