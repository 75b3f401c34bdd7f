//! The control thread: takes what workers punt and clients ask, keeps the desired state, and publishes it.

use super::connections::Walk;
use super::desired::{Capacity, Desired, Site};
use super::ledgers::Ledgers;
use super::listing::{Listing, service_row};
use super::outbox::WorkerOutbox;
use super::reports::{self, BusyMeter, Facts};
use super::server::{Answer, Call, Calls};
use super::slow_path::{NextHop, Outbox, Settings, SlowPath, Unserved};
use super::{templates, world};
use crate::api::{Command, Info, PortRow, Refusal, RefusalCode, Reply, Request, SysctlRow};
use crate::config::{self, Config, Faults, PortConfig};
use crate::conn::template::Cursor;
use crate::limits::BURST;
use crate::model::{Family, PortId, ServiceKey, SysctlError, Sysctls};
use crate::port::Frame;
use crate::route::Routes;
use crate::service::Link;
use crate::time::{Duration, Instant};
use crate::worker::{Chore, ControlEnd, Plan, Shared};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// What has been published, wanted and answered for, by the generations of its sources.
    published: u64,
    neighbours_seen: u64,
    known: BTreeMap<NextHop, [u8; 6]>,
    virtual_addresses: BTreeSet<std::net::IpAddr>,
    removals_swept: u64,
    /// Frames of the slow path that no worker had room for.
    refused: u64,
    /// Answers that wait for every worker's acknowledgement of an epoch.
    waiting: VecDeque<(u64, Answer, Reply)>,
    listings: Vec<(Listing, Answer)>,
    walks: VecDeque<(Walk, Answer, bool)>,
    chores: VecDeque<(usize, Chore)>,
    templates: Cursor,
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
        let interfaces = world::interfaces(&config.ports, &links);
        let site = Site {
            links: links.clone(),
            interfaces: interfaces.iter().map(|own| (own.id, own.addresses.clone())).collect(),
            vips: world::virtual_addresses(&config.vips),
        };
        let capacity = Capacity { services: plan.services, destinations: plan.destinations };
        let mut desired = Desired::new(capacity, site, Ledgers::new(shared.ledgers.clone()));
        let routes = Arc::new(world::routes(&config.ports, &config.routes));
        desired.set_routes(Arc::clone(&routes));
        desired.set_marks(world::marks(&config.marks));
        desired.set_sysctls(config.sysctls);
        desired.apply(&Command::SetTimeouts(config.timeouts), Instant::START)?;
        for command in config.commands() {
            desired.apply(&command, Instant::START)?;
        }
        let settings = Settings { unserved: unserved(config.unserved), ..Settings::default() };
        let slow = SlowPath::new(interfaces, routes, settings);
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
            neighbours_seen: u64::MAX,
            known: BTreeMap::new(),
            virtual_addresses: BTreeSet::new(),
            removals_swept: 0,
            refused: 0,
            waiting: VecDeque::new(),
            listings: Vec::new(),
            walks: VecDeque::new(),
            chores: VecDeque::new(),
            templates: Cursor::default(),
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
        self.busy.sample(&self.shared, now);
        if now >= self.next_second {
            self.next_second = now + SECOND;
            self.desired.empty_trash(now);
            self.desired.forget_path_mtus(now);
            self.desired.collect_locality(now);
            self.defend();
            self.sweep_templates(now);
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
        templates::sweep(&self.shared, &mut self.templates, TEMPLATES_SWEPT, now, |template| {
            drop_entry && !template.assured
        });
    }

    /// The slow path keeps up with the desired state: addresses to answer for, next hops to resolve.
    fn follow_desired(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        if self.published == self.desired.generation() {
            return;
        }
        let addresses = self.desired.virtual_addresses();
        let wanted: BTreeSet<NextHop> = self.desired.wanted_next_hops().collect();
        let is_new = addresses != self.virtual_addresses;
        if is_new {
            self.virtual_addresses.clone_from(&addresses);
        }
        let (slow, mut out) = self.slow_path(ports);
        slow.set_wanted(&wanted, now, &mut out);
        if is_new {
            slow.set_virtual_addresses(addresses, now, &mut out);
        }
    }

    /// The desired state keeps up with what the slow path learned about neighbours.
    fn follow_neighbours(&mut self) {
        if self.neighbours_seen == self.slow.generation() {
            return;
        }
        self.neighbours_seen = self.slow.generation();
        let known: BTreeMap<NextHop, [u8; 6]> = self
            .slow
            .neighbours()
            .filter_map(|neighbour| Some(((neighbour.port, neighbour.address), neighbour.mac?)))
            .collect();
        for (&(port, address), _) in self.known.iter().filter(|(hop, _)| !known.contains_key(*hop))
        {
            self.desired.neighbour_changed(port, address, None);
        }
        for (&(port, address), &mac) in
            known.iter().filter(|(hop, mac)| self.known.get(*hop) != Some(*mac))
        {
            self.desired.neighbour_changed(port, address, Some(mac));
        }
        self.known = known;
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
        for worker in 0..usize::from(self.plan.workers) {
            for family in [Family::Ipv4, Family::Ipv6] {
                self.chores.push_back((worker, Chore::SweepRemoved { family, cursor: 0 }));
            }
        }
        templates::sweep_removed(&self.shared, self.end.publisher.current(), now);
    }

    /// Answers a request, or files it among those that take longer.
    fn answer(&mut self, call: Call, ports: &mut impl Ports<F>, now: Instant) {
        let Call { request, answer } = call;
        match request {
            Request::Info => answer.finish(Reply::Info(Info {
                version: self.facts.version.clone(),
                connection_table_size: self.plan.connections_ipv4 as u64,
            })),
            Request::Apply(commands) => self.apply(&commands, answer, now),
            Request::Services { only: None } => self.listings.push((Listing::default(), answer)),
            Request::Services { only: Some(key) } => self.one_service(&key, &answer),
            Request::Connections => self.walks.push_back((Walk::begin(), answer, false)),
            Request::Timeouts => answer.finish(Reply::Timeouts(self.desired.timeouts())),
            Request::SyncDaemons => answer.finish(Reply::SyncDaemons(Vec::new())),
            Request::Status => answer.finish(Reply::Status(reports::status(
                &self.facts,
                &self.shared,
                &self.end.publisher,
                &self.busy,
                self.desired.services_len() as u64,
                self.desired.destinations_len() as u64,
                now,
            ))),
            Request::Queues => {
                answer.finish(Reply::Queues(reports::queues(
                    &self.facts,
                    &self.shared,
                    &self.busy,
                )));
            }
            Request::Ports => answer.finish(Reply::Ports(ports.rows())),
            Request::Neighbours => {
                let rows = reports::neighbours(&self.facts, self.slow.neighbours());
                answer.finish(Reply::Neighbours(rows));
            }
            Request::Drops => answer.finish(Reply::Drops(self.drops())),
            Request::Sysctl { name, set } => self.sysctl(name, set, answer),
        }
    }

    fn drops(&self) -> Vec<crate::api::DropRow> {
        let of_slow_path: BTreeMap<_, _> = self.slow.drops().collect();
        reports::drops(&self.shared, |reason| {
            let refused =
                if reason == crate::stop::DropReason::TransmitRingFull { self.refused } else { 0 };
            of_slow_path.get(&reason).copied().unwrap_or(0) + refused
        })
    }

    fn apply(&mut self, commands: &[Command], answer: Answer, now: Instant) {
        let outcomes = commands.iter().map(|command| self.desired.apply(command, now)).collect();
        self.acknowledge(answer, Reply::Applied(outcomes));
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

    /// Pieces of service listings, to each client as it takes them.
    fn list(&mut self) -> bool {
        let mut worked = false;
        let desired = &self.desired;
        self.listings.retain_mut(|(listing, answer)| {
            while answer.has_room() {
                worked = true;
                match listing.next(desired) {
                    Some(piece) => {
                        if !answer.send(piece) {
                            return false;
                        }
                    }
                    None => {
                        answer.send(Reply::End);
                        return false;
                    }
                }
            }
            !answer.is_gone()
        });
        worked
    }

    /// The connection listing at the head of the line: one at a time, so that workers answer one piece at a time.
    fn walk(&mut self, now: Instant) -> bool {
        let mut worked = self.collect_chores();
        let Some((walk, answer, is_asked)) = self.walks.front_mut() else { return worked };
        if answer.is_gone() && !*is_asked {
            self.walks.pop_front();
            return true;
        }
        if *is_asked || !answer.has_room() {
            return worked;
        }
        if let Some(chore) = walk.chore() {
            *is_asked = true;
            self.chores.push_back(chore);
            return true;
        }
        let destinations = &self.end.publisher.current().destinations;
        match walk.templates(&self.shared.templates, destinations, now) {
            Some(piece) => worked |= answer.send(piece),
            None => {
                answer.send(Reply::End);
                self.walks.pop_front();
            }
        }
        worked
    }

    /// Takes finished chores back from the workers.
    fn collect_chores(&mut self) -> bool {
        let mut worked = false;
        for ring in &mut self.end.done {
            while let Ok(chore) = ring.pop() {
                worked = true;
                if let (Chore::List(piece), Some((walk, answer, is_asked))) =
                    (chore, self.walks.front_mut())
                {
                    *is_asked = false;
                    let destinations = &self.end.publisher.current().destinations;
                    answer.send(walk.take(piece, usize::from(self.plan.workers), destinations));
                }
            }
        }
        worked
    }

    fn hand_out_chores(&mut self) {
        for _ in 0..self.chores.len() {
            let Some((worker, chore)) = self.chores.pop_front() else { return };
            if let Err(rtrb::PushError::Full(chore)) = self.end.chores[worker].push(chore) {
                self.chores.push_back((worker, chore));
            }
        }
    }

    /// Applies the difference between the file as it was and as it is; a faulty file changes nothing.
    fn reload(&mut self, outcome: Result<Config, Faults>, ports: &mut impl Ports<F>, now: Instant) {
        let reread = outcome.and_then(|new| Ok((self.config.changes(&new)?, new)));
        let (changes, new) = match reread {
            Ok(reread) => reread,
            Err(faults) => {
                log::error!("the configuration stays as it was: {faults}");
                return;
            }
        };
        if changes.ports.is_some() || changes.routes.is_some() || changes.vips.is_some() {
            self.change_networks(&new, ports, now);
        }
        if let Some(list) = &changes.neighbours {
            let neighbours = world::static_neighbours(list);
            let (slow, mut out) = self.slow_path(ports);
            slow.set_static_neighbours(&neighbours, now, &mut out);
        }
        if let Some(rules) = &changes.marks {
            self.desired.set_marks(world::marks(rules));
        }
        if let Some(timeouts) = changes.timeouts
            && let Err(refusal) = self.desired.apply(&Command::SetTimeouts(timeouts), now)
        {
            log::warn!("{refusal}");
        }
        let mut sysctls = *self.desired.sysctls();
        for (name, value) in &changes.sysctls {
            if let Err(error) = sysctls.set(name, value) {
                log::warn!("{error}");
            }
        }
        self.desired.set_sysctls(sysctls);
        if let Some(answer) = changes.unserved {
            self.slow.set_unserved(unserved(answer));
        }
        if let Some(level) = changes.log {
            log::set_max_level(level);
        }
        for command in &changes.commands {
            if let Err(refusal) = self.desired.apply(command, now) {
                log::warn!("reload: {refusal}");
            }
        }
        self.config = new;
        log::info!("the configuration was read again");
    }

    /// New addresses, gateways, routes or VIPs.
    fn change_networks(&mut self, new: &Config, ports: &mut impl Ports<F>, now: Instant) {
        let routes: Arc<Routes> = Arc::new(world::routes(&new.ports, &new.routes));
        let interfaces = world::interfaces(&new.ports, &self.links);
        self.desired
            .set_interfaces(interfaces.iter().map(|own| (own.id, own.addresses.clone())).collect());
        self.desired.set_routes(Arc::clone(&routes));
        self.desired.set_vips(world::virtual_addresses(&new.vips));
        ports.set_addresses(&new.ports);
        let (slow, mut out) = self.slow_path(ports);
        slow.set_interfaces(interfaces);
        slow.set_routes(routes);
        slow.announce(now, &mut out);
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

fn unserved(configured: config::Unserved) -> Unserved {
    match configured {
        config::Unserved::Reject => Unserved::Reject,
        config::Unserved::Drop => Unserved::Drop,
    }
}
