//! The control thread: takes what workers punt and clients ask, keeps the desired state, and publishes it.
//!
//! `answers` and `pieces` serve the clients, `reload` follows the configuration file.

mod answers;
mod pieces;
mod reload;

use super::connections::Walk;
use super::desired::{Capacity, Desired, Site};
use super::ledgers::Ledgers;
use super::listing::Listing;
use super::outbox::WorkerOutbox;
use super::reports::{self, BusyMeter, Facts};
use super::server::{Answer, Call, Calls};
use super::slow_path::{Outbox, Settings, SlowPath};
use super::world;
use crate::api::{Command, PortRow, Refusal, Reply};
use crate::config::{Config, Faults, PortConfig};
use crate::conn::template::{Cursor, Template};
use crate::limits::BURST;
use crate::model::{DestinationId, Family, PortId};
use crate::port::Frame;
use crate::service::Link;
use crate::time::{Duration, Instant};
use crate::worker::aged::Aged;
use crate::worker::{Chore, ControlEnd, Plan, Shared};
use std::collections::VecDeque;
use std::net::IpAddr;
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
pub struct Director<F> {
    config: Config,
    links: Vec<Link>,
    plan: Plan,
    desired: Desired,
    slow: SlowPath<F>,
    end: ControlEnd<F>,
    shared: Shared,
    facts: Facts,
    calls: Option<Calls>,
    busy: BusyMeter,
    /// Generation of the desired state that was published.
    published: u64,
    removals_swept: u64,
    /// Frames of the slow path that no worker had room for.
    refused: u64,
    /// Answers that wait for every worker's acknowledgement of an epoch.
    waiting: VecDeque<(u64, Answer, Reply)>,
    listings: Vec<(Listing, Answer)>,
    walks: VecDeque<(Walk, Answer, bool)>,
    chores: VecDeque<(usize, Chore)>,
    templates: Cursor,
    /// Of templates.
    aged: Aged,
    next_tick: Instant,
    next_second: Instant,
}

impl<F: Frame> Director<F> {
    /// The control thread's state from the configuration.
    ///
    /// # Errors
    /// The sentence of a service or destination that cannot be had.
    pub fn new(
        config: Config,
        links: Vec<Link>,
        plan: Plan,
        end: ControlEnd<F>,
        shared: Shared,
        facts: Facts,
    ) -> Result<Self, Refusal> {
        let routes = Arc::new(world::routes(&config.ports, &config.routes));
        let settings = Settings { unserved: config.unserved, ..Settings::default() };
        let interfaces = world::interfaces(&config.ports, &links);
        let slow = SlowPath::new(interfaces, Arc::clone(&routes), settings);
        let site = Site {
            links: links.clone(),
            interfaces: addresses(&slow),
            vips: world::virtual_addresses(&config.vips),
        };
        let capacity = Capacity { services: plan.services, destinations: plan.destinations };
        let mut desired = Desired::new(capacity, site, Ledgers::new(shared.ledgers.clone()));
        desired.set_routes(routes);
        desired.set_marks(world::marks(&config.marks));
        desired.set_sysctls(config.sysctls);
        desired.set_mss_clamp(config.mss_clamp);
        desired.apply(&Command::SetTimeouts(config.timeouts), Instant::START)?;
        for command in config.commands() {
            desired.apply(&command, Instant::START)?;
        }
        Ok(Director {
            config,
            links,
            plan,
            desired,
            slow,
            end,
            shared,
            facts,
            calls: None,
            busy: BusyMeter::default(),
            published: u64::MAX,
            removals_swept: 0,
            refused: 0,
            waiting: VecDeque::new(),
            listings: Vec::new(),
            walks: VecDeque::new(),
            chores: VecDeque::new(),
            templates: Cursor::default(),
            aged: Aged::default(),
            next_tick: Instant::START,
            next_second: Instant::START,
        })
    }

    /// Announces the director on its networks and gives the workers their first snapshot.
    pub fn start(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        let neighbours = world::static_neighbours(&self.config.neighbours);
        {
            let (slow, mut out) = self.slow_path(ports);
            slow.set_static_neighbours(&neighbours, now, &mut out);
            slow.announce(now, &mut out);
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
        self.published == self.desired.generation() && self.end.publisher.is_settled()
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
                self.reload(outcome, ports, clock());
            }
            if !self.turn(ports, clock())
                && let Some(call) = self.next_call(IDLE)
            {
                self.answer(call, ports, clock());
            }
        }
    }

    /// One turn of everything that may be waiting; true if there was something.
    pub fn turn(&mut self, ports: &mut impl Ports<F>, now: Instant) -> bool {
        let mut worked = self.take_punts(ports, now);
        while let Some(call) = self.next_call(std::time::Duration::ZERO) {
            self.answer(call, ports, now);
            worked = true;
        }
        self.keep_time(ports, now);
        self.follow_desired(ports, now);
        self.follow_neighbours();
        worked |= self.publish(now);
        worked |= self.list();
        worked |= self.walk(now);
        self.hand_out_chores();
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

    fn slow_path<'a>(
        &'a mut self,
        ports: &'a mut impl Ports<F>,
    ) -> (&'a mut SlowPath<F>, impl Outbox<F> + 'a) {
        let out = WorkerOutbox {
            injections: &mut self.end.injections,
            allocate: move |port| ports.allocate(port),
            refused: &mut self.refused,
        };
        (&mut self.slow, out)
    }

    /// A burst of each worker's punts.
    fn take_punts(&mut self, ports: &mut impl Ports<F>, now: Instant) -> bool {
        let mut worked = false;
        for worker in 0..self.end.punts.len() {
            for _ in 0..BURST {
                let Ok(punt) = self.end.punts[worker].pop() else { break };
                let (slow, mut out) = self.slow_path(ports);
                slow.input(punt, now, &mut out);
                worked = true;
            }
        }
        for learned in self.slow.take_path_mtus() {
            self.desired.path_mtu_learned(learned.destination, learned.mtu, now);
        }
        worked
    }

    fn keep_time(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            let (slow, mut out) = self.slow_path(ports);
            slow.tick(now, &mut out);
        }
        self.desired.estimate(now);
        self.desired.empty_trash(now);
        self.busy.sample(&self.shared, now);
        if now >= self.next_second {
            self.next_second = now + SECOND;
            self.desired.forget_path_mtus(now);
            self.desired.collect_locality(now);
            self.defend();
            self.sweep_templates(now);
            self.verify_placement();
        }
    }

    /// A device that does not place frames as it says is no longer relied on.
    fn verify_placement(&mut self) {
        for port in (0..self.plan.ports).map(|port| PortId(port as u16)) {
            if !self.shared.steering.is_placed(port) {
                continue;
            }
            if let Some(verification) = reports::verification(&self.shared, port)
                && verification.is_refuted()
            {
                self.shared.steering.refute(port);
                log::warn!("port {}: {verification}", self.facts.ports[port.index()]);
            }
        }
    }

    /// Judges the defence and puts drop_entry to work.
    fn defend(&mut self) {
        let used: u64 = self
            .shared
            .counters
            .iter()
            .map(|worker| worker.connections_ipv4.get() + worker.connections_ipv6.get())
            .sum();
        let each = (self.plan.connections_ipv4 + self.plan.connections_ipv6) as u64;
        let all = each * u64::from(self.plan.workers);
        self.desired.defend(all.saturating_sub(used));
        if self.desired.settings().drop_entry {
            for worker in 0..usize::from(self.plan.workers) {
                for (family, capacity) in [
                    (Family::Ipv4, self.plan.connections_ipv4),
                    (Family::Ipv6, self.plan.connections_ipv6),
                ] {
                    let entries = (capacity / DROP_ENTRY_SHARE).max(1) as u32;
                    self.chores.push_back((worker, Chore::DropEntries { family, entries }));
                }
            }
        }
    }

    /// Ends templates whose time is over, and under drop_entry those nothing was established by.
    fn sweep_templates(&mut self, now: Instant) {
        let drop_entry = self.desired.settings().drop_entry;
        let aged = &mut self.aged;
        let unwanted = |template: &Template| {
            let is_looked_at = drop_entry && fastrand::usize(..DROP_ENTRY_SHARE) == 0;
            // Only one-packet connections count packets on a template.
            is_looked_at
                && match template.in_packets {
                    0 => !template.assured,
                    packets => aged.takes(packets, template.idle(now)),
                }
        };
        let gone = |template: &Template| unbind(&self.shared, template);
        self.shared.templates.sweep(&mut self.templates, TEMPLATES_SWEPT, now, unwanted, gone);
    }

    /// Ends the templates of removed destinations that no connection lives by; those of the others go with the last.
    fn sweep_removed_templates(&mut self, now: Instant) {
        let destinations = &self.end.publisher.current().destinations;
        let unwanted = |template: &Template| {
            !destinations.get(template.destination as usize).is_some_and(|to| to.available)
        };
        let gone = |template: &Template| unbind(&self.shared, template);
        let all = usize::MAX;
        self.shared.templates.sweep(&mut Cursor::default(), all, now, unwanted, gone);
    }

    /// The slow path keeps up with the desired state: addresses to answer for, next hops to resolve.
    fn follow_desired(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        let addresses = self.desired.take_virtual_address_changes();
        let next_hops = self.desired.take_wanted_changes();
        if addresses.is_empty() && next_hops.is_empty() {
            return;
        }
        let (slow, mut out) = self.slow_path(ports);
        slow.change_virtual_addresses(addresses, now, &mut out);
        for (next_hop, is_wanted) in next_hops {
            match is_wanted {
                true => slow.want(next_hop, now, &mut out),
                false => slow.unwant(next_hop),
            }
        }
    }

    /// The desired state keeps up with what the slow path learned about neighbours.
    fn follow_neighbours(&mut self) {
        for ((port, address), mac) in self.slow.take_neighbour_changes() {
            self.desired.neighbour_changed(port, address, mac);
        }
    }

    /// Publishes what changed once every worker has the last, and answers those who waited for it.
    fn publish(&mut self, now: Instant) -> bool {
        self.end.publisher.collect();
        if !self.end.publisher.is_settled() {
            return false;
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
        for worker in 0..usize::from(self.plan.workers) {
            for family in [Family::Ipv4, Family::Ipv6] {
                self.chores.push_back((worker, Chore::SweepRemoved { family, cursor: 0 }));
            }
        }
    }
}

/// The ports' own addresses, as the slow path answers for them.
fn addresses<F: Frame>(slow: &SlowPath<F>) -> Vec<(PortId, Vec<(IpAddr, u8)>)> {
    slow.interfaces().iter().map(|own| (own.id, own.addresses.clone())).collect()
}

/// A template is no longer: its destination has one persistent connection less.
fn unbind(shared: &Shared, template: &Template) {
    let own = shared.ledgers.last();
    if let Some(line) = own.and_then(|ledger| ledger.get(DestinationId(template.destination))) {
        line.unbind_template();
    }
}
