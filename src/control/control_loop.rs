//! The control thread's loop: punts, messages, timers, events, publishing, listings. What it does with them is the tasks'.
//!
//! A turn is bounded: punts by a budget for each class and worker, commands by a slice, tasks by their contract, listings by one
//! piece. Between turns the loop sleeps until a message comes or the next deadline. Punts come from rings, which wake nobody
//! up, so it never sleeps longer than [`QUIET`].

use super::busy::BusyMeter;
use super::desired::{Capacity, Desired, Topology};
use super::destination_totals::DestinationTotals;
use super::event::Event;
use super::listings::Listings;
use super::mailbox::{Mailbox, Message, Rereads};
use super::notify::Notifier;
use super::outbox::WorkerOutbox;
use super::server::Calls;
use super::state::{Jobs, State};
use super::task::{Context, Task};
use super::timers::Timers;
use super::{Ports, tasks, topology};
use crate::api::{Command, Refusal};
use crate::config::Config;
use crate::host::{IpHost, Outbox, Settings};
use crate::io::Frame;
use crate::kernel_port::KernelLink;
use crate::model::{Origin, PortId};
use crate::query::{StaticInfo, Turns};
use crate::reason::{Punt, PuntClass, PuntConsumer};
use crate::time::{Duration, Instant};
use crate::worker::{ControlEnd, Injection, PuntReceiver, Shared, Sizing};
use rtrb::Producer;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Longest sleep right after a punt, and while workers or clients are waited for: neither wakes the thread up.
const EAGER: Duration = Duration::from_micros(200);
/// How long after a punt the thread stays eager.
const EAGER_FOR: Duration = Duration::from_millis(10);
/// Longest sleep while punts come now and then: what a ping once a second waits at most.
const ATTENTIVE: Duration = Duration::from_millis(1);
/// How long after a punt the thread stays attentive.
const ATTENTIVE_FOR: Duration = Duration::from_secs(2);
/// Longest sleep of all: what the first punt after a quiet time waits at most, at 200 wake-ups a second.
const QUIET: Duration = Duration::from_millis(5);
/// Messages taken in one turn.
const MESSAGES_AT_ONCE: usize = 16;
/// Rounds of events that cause events.
const EVENT_ROUNDS: usize = 4;

/// The control thread.
pub struct Control<F> {
    state: State<F>,
    tasks: Vec<Box<dyn Task<F>>>,
    /// The task for each [`PuntConsumer`].
    consumers: [Option<usize>; PuntConsumer::ALL.len()],
    timers: Timers,
    mailbox: Mailbox,
    /// By worker.
    punts: Vec<PuntReceiver<F>>,
    injections: Vec<Producer<Injection<F>>>,
    /// Frames that no worker had room for.
    refused: u64,
    last_punt: Instant,
}

impl<F: Frame> Control<F> {
    /// The control thread's state from the configuration. `macs`: the ports' own MAC addresses.
    ///
    /// # Errors
    /// Why a service or destination of the configuration cannot be created.
    pub fn new(
        config: impl Into<Arc<Config>>,
        macs: Vec<[u8; 6]>,
        sizing: Sizing,
        end: ControlEnd<F>,
        shared: Shared,
        info: StaticInfo,
    ) -> Result<Self, Refusal> {
        let config = config.into();
        let routes = Arc::new(topology::routes(&config.ports, &config.routes));
        let unserved = config.director.unserved;
        let settings = Settings { unserved: unserved.unwrap_or_default(), ..Settings::default() };
        let interfaces = topology::interfaces(&config.ports, &macs, unserved);
        let mut host = IpHost::new(interfaces, Arc::clone(&routes), settings);
        host.set_virtual_networks(topology::virtual_networks(&config.director.vips));
        let topology = Topology {
            interfaces: host.interfaces().to_vec(),
            vips: topology::virtual_addresses(&config.director.vips),
            vip_networks: topology::virtual_networks(&config.director.vips),
        };
        let capacity = Capacity { services: sizing.services, destinations: sizing.destinations };
        let totals = DestinationTotals::new(shared.destination_stats.clone());
        let mut desired = Desired::new(capacity, topology, totals);
        desired.set_routes(routes);
        desired.set_marks(topology::marks(&config.marks));
        desired.set_sysctls(config.sysctls);
        desired.set_mss_clamp(config.mss_clamp);
        desired.set_forward_vip_answers(config.director.forward_vip_answers);
        desired.apply(&Command::SetTimeouts(config.timeouts), Origin::File, Instant::START)?;
        for command in config.commands() {
            desired.apply(&command, Origin::File, Instant::START)?;
        }
        let ControlEnd { publisher, punts, injections, jobs, done } = end;
        let jobs = Jobs { rings: jobs, done, waiting: VecDeque::new(), under_way: 0, listed: None };
        let state = State {
            config,
            macs,
            sizing,
            desired,
            host,
            kernel: None,
            host_addresses: BTreeSet::new(),
            shared,
            info,
            busy: BusyMeter::default(),
            turns: Turns::default(),
            published: None,
            published_at: Instant::START,
            settled: publisher.current().epoch,
            publisher,
            batches: VecDeque::new(),
            waiting: VecDeque::new(),
            reloading: VecDeque::new(),
            last_reload: None,
            drift: 0,
            listings: Listings::default(),
            jobs,
            worker_warnings: Vec::new(),
            notifier: Notifier::default(),
            events: vec![Event::NetworksChanged, Event::StaticNeighboursChanged],
        };
        let tasks: Vec<Box<dyn Task<F>>> = tasks::all();
        Ok(Control {
            state,
            consumers: PuntConsumer::ALL
                .map(|consumer| tasks.iter().position(|task| task.punts().contains(&consumer))),
            timers: Timers::new(tasks.len()),
            tasks,
            mailbox: Mailbox::default(),
            punts,
            injections,
            refused: 0,
            last_punt: Instant::START,
        })
    }

    /// The way to the kernel-port thread. To be set before [`Self::start`].
    pub fn set_kernel(&mut self, kernel: KernelLink<F>) {
        self.state.kernel = Some(kernel);
    }

    /// Announces the director on its networks and gives the workers their first snapshot.
    pub fn start(&mut self, ports: &mut impl Ports<F>, now: Instant) {
        let (mut this, mut out) = self.with_outbox(ports);
        this.deliver_events(now, &mut out);
        this.state.desired.sweep(|| true);
        this.state.publish(now);
    }

    /// Lets clients in.
    pub fn open(&mut self, calls: Calls) {
        self.mailbox.open(calls);
    }

    /// What another thread reads of the configuration file comes from here.
    pub fn set_rereads(&mut self, rereads: Rereads) {
        self.mailbox.set_rereads(rereads);
    }

    /// Tells the service manager from now on that the director is alive.
    pub fn set_notifier(&mut self, notifier: Notifier) {
        self.state.notifier = notifier;
        self.state.notifier.send("READY=1");
    }

    /// Every worker uses what is desired now.
    pub fn is_settled(&self) -> bool {
        let state = &self.state;
        state.is_published() && state.reloading.is_empty() && state.publisher.is_settled()
    }

    /// Works until `stop` returns true. It is asked once in a turn, which is at least every [`QUIET`].
    pub fn run(
        &mut self,
        ports: &mut impl Ports<F>,
        clock: impl Fn() -> Instant,
        stop: impl Fn() -> bool,
    ) {
        let mut message = None;
        while !stop() {
            let began = clock();
            if let Some(message) = message.take() {
                self.handle(message, ports, began);
            }
            let worked = self.run_once(ports, began);
            let ended = clock();
            self.state.turns.note(ended.since(began));
            if !worked {
                message = self.mailbox.next(self.patience(ended));
            }
        }
        self.state.notifier.send("STOPPING=1");
    }

    /// One turn of everything that may be waiting; true if there was something.
    pub fn run_once(&mut self, ports: &mut impl Ports<F>, now: Instant) -> bool {
        let mut worked = self.take_punts(ports, now);
        // Nobody sees half of a batch: what comes after it waits.
        for _ in 0..MESSAGES_AT_ONCE {
            if !self.state.batches.is_empty() {
                break;
            }
            let Some(message) = self.mailbox.next(Duration::ZERO) else { break };
            self.handle(message, ports, now);
            worked = true;
        }
        worked |= self.state.measured("commands", |state| state.continue_batch(now));
        worked |= self.state.measured("reload", |state| state.continue_reload(now));
        {
            let (mut this, mut out) = self.with_outbox(ports);
            this.run_timers(now, &mut out);
            this.deliver_events(now, &mut out);
        }
        worked |= self.state.measured("sweep", State::sweep);
        worked |= self.state.measured("publication", |state| state.publish(now));
        if self.state.batches.is_empty() {
            let refused = self.refused;
            worked |= self.state.measured("listing", |state| state.list(ports, refused, now));
            worked |= self.state.measured("connection listing", |state| state.walk(now));
        }
        worked | !self.state.events.is_empty()
    }

    /// How long to sleep for the next message at most.
    fn patience(&self, now: Instant) -> Duration {
        let quiet_for = now.since(self.last_punt);
        let longest = if self.state.is_waiting() || quiet_for < EAGER_FOR {
            EAGER
        } else if quiet_for < ATTENTIVE_FOR {
            ATTENTIVE
        } else {
            QUIET
        };
        self.timers.next().map_or(longest, |next| next.since(now).min(longest))
    }

    fn handle(&mut self, message: Message, ports: &mut impl Ports<F>, now: Instant) {
        match message {
            Message::Call(call) => {
                let refused = self.refused;
                self.state.measured("request", |state| state.answer(*call, ports, refused, now));
            }
            Message::Reload(outcome) => {
                self.state.measured("reload", |state| state.reload(*outcome, now));
                ports.set_addresses(&self.state.config.ports);
            }
        }
    }

    /// The thread beside its way to the wire.
    fn with_outbox<'a>(
        &'a mut self,
        ports: &'a mut impl Ports<F>,
    ) -> (Parts<'a, F>, WorkerOutbox<'a, F, impl FnMut(PortId) -> Option<F> + 'a>) {
        let Control {
            state, tasks, consumers, timers, punts, injections, refused, last_punt, ..
        } = self;
        let out = WorkerOutbox {
            injections,
            first: 0,
            interfaces: Arc::clone(state.desired.interfaces()),
            allocate: move |port| ports.allocate(port),
            refused,
        };
        (Parts { state, tasks, consumers, timers, punts, last_punt }, out)
    }

    fn take_punts(&mut self, ports: &mut impl Ports<F>, now: Instant) -> bool {
        let (mut this, mut out) = self.with_outbox(ports);
        let mut worked = false;
        for class in PuntClass::ALL {
            for worker in 0..this.punts.len() {
                for _ in 0..class.budget() {
                    let Some(punt) = this.punts[worker].pop(class) else { break };
                    // The worker of this packet has its connection, so it sends the answer.
                    out.first = worker;
                    this.deliver(punt, now, &mut out);
                    worked = true;
                }
            }
        }
        if worked {
            *this.last_punt = now;
        }
        worked
    }
}

/// The control thread without its way to the wire.
struct Parts<'a, F> {
    state: &'a mut State<F>,
    tasks: &'a mut [Box<dyn Task<F>>],
    consumers: &'a [Option<usize>],
    timers: &'a mut Timers,
    punts: &'a mut [PuntReceiver<F>],
    last_punt: &'a mut Instant,
}

impl<F: Frame> Parts<'_, F> {
    /// Calls one task, measures it, and notes when it wants to be called again.
    fn call(
        &mut self,
        task: usize,
        now: Instant,
        out: &mut dyn Outbox<F>,
        work: impl FnOnce(&mut dyn Task<F>, &mut Context<'_, F>),
    ) {
        let began = std::time::Instant::now();
        let mut context = Context::new(now, self.state, out);
        work(&mut *self.tasks[task], &mut context);
        if let Some(deadline) = context.take_wake() {
            self.timers.advance(task, deadline);
        }
        self.state.turns.note_part(self.tasks[task].name(), began.elapsed());
    }

    fn deliver(&mut self, punt: Punt<F>, now: Instant, out: &mut dyn Outbox<F>) {
        if let Some(task) = self.consumers[punt.reason.consumer() as usize] {
            self.call(task, now, out, |task, context| task.on_punt(punt, context));
        }
    }

    fn run_timers(&mut self, now: Instant, out: &mut dyn Outbox<F>) {
        for task in self.timers.take_due(now) {
            let mut next = None;
            self.call(task, now, out, |task, context| next = task.on_timer(context));
            if let Some(next) = next {
                self.timers.advance(task, next);
            }
        }
    }

    /// Gives the waiting events to every task. Tasks may cause more events: these are given too, for a few rounds. What
    /// is left waits for the next turn.
    fn deliver_events(&mut self, now: Instant, out: &mut dyn Outbox<F>) {
        for _ in 0..EVENT_ROUNDS {
            let events = self.state.take_events();
            if events.is_empty() {
                return;
            }
            for event in &events {
                for task in 0..self.tasks.len() {
                    self.call(task, now, out, |task, context| task.on_event(event, context));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
