//! Connects all parts: EAL, ports, rings, workers, control thread, control socket.

use crate::AnyError;
use crate::clock::Clock;
use crate::cores::Cores;
use crate::placement::placement;
use crate::ports::PortSet;
use crate::privileges;
use crossbeam_channel::bounded;
use director::config::Config;
use director::control::server::{Server, SocketKeeper};
use director::control::{Control, Notifier, Reloader, Rereads};
use director::doctor::{self, Machine, Severity};
use director::dpdk::{Eal, EalOptions, Lcore, LcoreTask, Mbuf, PortQueue};
use director::kernel_port::{KernelInterface, KernelLink, KernelPort, KernelPortError};
use director::limits::JOIN_MAX;
use director::model::{InterfaceId, PortId};
use director::query::StaticInfo;
use director::snapshot::Snapshot;
use director::worker::stats::counters::WorkerCounters;
use director::worker::steering::Steering;
use director::worker::{Shared, Sizing, Worker, WorkerBuilder, connect_host, connect_rings};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Polls without a frame after which a worker that shares its core lets others have it.
const IDLE_POLLS: u32 = 64;

/// Runs the director until it is told to end.
pub(crate) fn run(config: Config, path: PathBuf) -> Result<(), AnyError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let config = Arc::new(config);
    // A hangup during the start is obeyed after it.
    let hangups = Signals::new([SIGHUP])?;

    let server = Server::bind(&config.director.socket)?;
    let mut cores = Cores::choose(&config.dpdk);
    // They may explain why one of the next steps fails.
    config.warnings.iter().chain(&cores.warnings).for_each(|warning| log::warn!("{warning}"));
    let logged = cores.warnings.len();
    for finding in doctor::examine(&config, &Machine::here()) {
        if finding.severity == Severity::Error {
            log::warn!("{}; mend: {}", finding.problem, finding.mend);
        }
    }
    let eal = Eal::start(&eal_options(&config, &cores))?;
    let (mut ports, queues) = PortSet::start(&eal, &config, &mut cores)?;
    privileges::give_up(&eal, &config);
    let (steering, descriptions) = steering(&config, &ports);
    let plan = plan(&config);
    let info = StaticInfo {
        version: format!("{} ({})", env!("DIRECTOR_VERSION"), Eal::version()),
        cores: cores.workers.iter().map(|&core| Some(core as u32)).collect(),
        ports: config.ports.iter().map(|port| port.name.clone()).collect(),
        steering: descriptions,
        warnings: cores.warnings.clone(),
        connections_max: plan.connections_ipv4 as u64,
        connections_ipv6_max: plan.connections_ipv6 as u64,
    };
    cores.warnings.iter().skip(logged).for_each(|warning| log::warn!("{warning}"));

    let clock = Clock::start();
    let macs = ports.ports.iter().map(|port| port.hardware_address()).collect();
    let (control, mut seats, shared) = connect_rings(plan, Snapshot::default(), steering);
    let kernel = kernel_port(&config, &ports, &mut seats)?;
    let mut director = Control::new(Arc::clone(&config), macs, plan, control, shared.clone(), info)
        .map_err(|refusal| refusal.detail)?;
    let kernel_thread = match kernel {
        Some((port, link)) => {
            director.set_kernel(link);
            let stop = Arc::clone(&stop);
            let run = move || port.run(|| clock.now(), || stop.load(Ordering::Relaxed));
            Some(thread::Builder::new().name("kernel-port".to_owned()).spawn(run)?)
        }
        None => None,
    };
    let workers = launch(&eal, seats, queues, &shared, &cores, clock, &stop)?;
    director.start(&mut ports, clock.now());
    while !director.is_settled() && !stop.load(Ordering::Relaxed) {
        director.run_once(&mut ports, clock.now());
    }
    let calls = server.start()?;
    let reloader = Reloader::new(path, config);
    director.set_rereads(reread_on_hangup(hangups, reloader, calls.socket_keeper())?);
    director.open(calls);
    eprintln!("directord: ready");
    director.set_notifier(Notifier::from_environment());
    director.run(&mut ports, || clock.now(), || stop.load(Ordering::Relaxed));
    // The control socket goes first, so that no client waits for an answer that does not come.
    drop(director);
    if let Some(thread) = kernel_thread {
        thread.join().map_err(|_| "the kernel-port thread ended by a panic")?;
    }
    join(workers, None)
}

/// The kernel-port thread's state, and the control thread's end.
type HostEnds = (KernelPort<Mbuf>, KernelLink<Mbuf>);

/// The kernel interfaces of the configuration, and the control thread's end; `None`: there are none.
fn kernel_port(
    config: &Config,
    ports: &PortSet,
    seats: &mut [WorkerBuilder<Mbuf>],
) -> Result<Option<HostEnds>, KernelPortError> {
    let interfaces: Vec<KernelInterface> = config
        .ports
        .iter()
        .zip(&ports.ports)
        .enumerate()
        .filter_map(|(index, (configured, port))| {
            Some(KernelInterface {
                interface: InterfaceId(index as u16),
                port: PortId(index as u16),
                name: configured.kernel.clone()?,
                mac: port.hardware_address(),
                mtu: configured.mtu,
            })
        })
        .collect();
    if interfaces.is_empty() {
        return Ok(None);
    }
    KernelPort::create(interfaces, connect_host(seats), ports.machine()).map(Some)
}

/// On each SIGHUP, makes a removed control socket again and reads the configuration file again. It does so on a thread of its
/// own, because the control thread may not wait for a file system.
fn reread_on_hangup(
    mut hangups: Signals,
    mut reloader: Reloader,
    socket: SocketKeeper,
) -> Result<Rereads, AnyError> {
    let (sender, rereads) = bounded(1);
    thread::Builder::new().name("reload".to_owned()).spawn(move || {
        for _ in hangups.forever() {
            if let Err(error) = socket.restore() {
                log::error!("{error}");
            }
            if sender.send(reloader.reread()).is_err() {
                return;
            }
        }
    })?;
    Ok(rereads)
}

/// Waits for the workers, but not for one that is stuck: only the end of the process stops its lcore. `failure` is why they
/// are to end, and is told before that.
fn join(workers: Vec<LcoreTask<()>>, failure: Option<&dyn Display>) -> Result<(), AnyError> {
    if !is_over(|| workers.iter().all(LcoreTask::is_finished), JOIN_MAX) {
        if let Some(failure) = failure {
            eprintln!("directord: {failure}");
        }
        eprintln!("directord: a worker does not end within {} s", JOIN_MAX.as_secs());
        std::process::exit(1);
    }
    for worker in workers {
        worker.join().map_err(|_| "a worker ended by a panic")?;
    }
    Ok(())
}

/// Waits until it is over, at most so long; false if it is not over then.
fn is_over(is_over: impl Fn() -> bool, within: Duration) -> bool {
    let patience = Instant::now() + within;
    while !is_over() {
        if Instant::now() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

fn eal_options(config: &Config, cores: &Cores) -> EalOptions {
    let dpdk = &config.dpdk;
    let pci = |device: &String| device.contains(':');
    EalOptions {
        worker_cores: cores.workers.clone(),
        main_cores: cores.control.clone(),
        memory_mb: dpdk.memory_mb,
        no_huge: dpdk.no_huge,
        vdevs: dpdk.vdevs.clone(),
        allowed_devices: config.ports.iter().map(|port| port.device.clone()).filter(pci).collect(),
        file_prefix: dpdk.file_prefix.clone(),
        extra_arguments: dpdk.arguments.clone(),
        ..EalOptions::default()
    }
}

fn plan(config: &Config) -> Sizing {
    Sizing {
        workers: config.dpdk.workers as u16,
        ports: config.ports.len(),
        connections_ipv4: config.tables.connections,
        connections_ipv6: config.tables.connections_ipv6,
        services: config.tables.services,
        destinations: config.tables.destinations,
        templates: config.tables.templates,
    }
}

fn steering(config: &Config, ports: &PortSet) -> (Steering, Vec<String>) {
    let workers = config.dpdk.workers as u16;
    let (placements, descriptions) = ports
        .ports
        .iter()
        .zip(&config.ports)
        .map(|(port, configured)| {
            placement(&configured.name, port.rss(), port.by_client(), workers)
        })
        .unzip();
    (Steering::new(workers, placements), descriptions)
}

/// Starts every worker on its lcore and waits until all have their tables.
fn launch(
    eal: &Eal,
    seats: Vec<WorkerBuilder<Mbuf>>,
    queues: Vec<Vec<PortQueue>>,
    shared: &Shared,
    cores: &Cores,
    clock: Clock,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<LcoreTask<()>>, AnyError> {
    let (ready, is_ready) = mpsc::channel();
    let mut tasks = Vec::new();
    let lcores: Vec<Lcore> = eal.workers();
    for (index, ((seat, queues), lcore)) in seats.into_iter().zip(queues).zip(lcores).enumerate() {
        let (ready, stop) = (ready.clone(), Arc::clone(stop));
        let counters = Arc::clone(&shared.counters[index]);
        let is_exclusive = cores.is_exclusive(index);
        tasks.push(lcore.launch(move || match seat.build(queues) {
            Ok(worker) => {
                let _ = ready.send(Ok(()));
                poll(worker, &counters, clock, is_exclusive, &stop);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        })?);
    }
    drop(ready);
    let mut failure = None;
    for outcome in is_ready.iter().take(tasks.len()) {
        failure = failure.or(outcome.err());
    }
    match failure {
        None => Ok(tasks),
        Some(error) => {
            stop.store(true, Ordering::Relaxed);
            join(tasks, Some(&error))?;
            Err(error.into())
        }
    }
}

/// A worker's life.
fn poll(
    mut worker: Worker<PortQueue>,
    counters: &WorkerCounters,
    clock: Clock,
    is_exclusive: bool,
    stop: &AtomicBool,
) {
    let mut now = clock.now();
    let mut idle = 0;
    while !stop.load(Ordering::Relaxed) {
        let handled = worker.poll(now);
        let next = clock.now();
        let passed = next.since(now).as_nanos() as u64;
        counters.time.add(passed);
        counters.stalls.note(passed);
        now = next;
        if handled > 0 {
            counters.busy.add(passed);
            idle = 0;
            continue;
        }
        idle += 1;
        if idle >= IDLE_POLLS && !is_exclusive {
            idle = 0;
            // Between bursts, with nothing to do, on a core that others need too.
            thread::yield_now();
            let after = clock.now();
            counters.time.add(after.since(now).as_nanos() as u64);
            now = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_waited_for_so_long_only() {
        let start = Instant::now();
        assert!(is_over(|| start.elapsed() > Duration::from_millis(5), Duration::from_secs(60)));
        assert!(!is_over(|| false, Duration::from_millis(5)));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
