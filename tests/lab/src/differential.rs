//! Runs many scenarios: records each, plays it, and shrinks it if the director differs.

use crate::frame;
use crate::guest::Guest;
use crate::play::{self, Difference, Stage};
use crate::scenario::Scenario;
use crate::shrink::{self, Case};
use crate::tools::Binaries;
use crate::topology::Topology;
use crate::transcript::{Sent, Step, Transcript};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// Maximum number of frames printed of a burst, and of the kernel's output in one step.
const MOST_SHOWN: usize = 4;

/// Source of the scenarios.
#[derive(Debug)]
pub enum Source {
    Seed { seed: u64, first: u64, count: u64 },
    Transcripts(Vec<Transcript>),
}

/// The recording machine, and what the directors need.
#[derive(Debug)]
pub struct Lab {
    topology: Topology,
    binaries: Binaries,
    guest: Mutex<Guest>,
    /// Folder for the directors' files.
    scratch: PathBuf,
    stop: Arc<AtomicBool>,
}

/// Result of one scenario.
#[derive(Debug)]
pub struct Outcome {
    pub recorded: Transcript,
    /// The smallest scenario that still differs.
    pub differs: Option<Case>,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub same: usize,
    pub differ: usize,
}

impl Source {
    fn get(&self, topology: &Topology, at: usize) -> Option<Scenario> {
        match self {
            Source::Seed { seed, first, count } => {
                (at < *count as usize).then(|| Scenario::draw(topology, *seed, first + at as u64))
            }
            Source::Transcripts(all) => all.get(at).map(Scenario::of),
        }
    }
}

impl Lab {
    pub fn new(
        topology: Topology,
        binaries: Binaries,
        guest: Guest,
        scratch: PathBuf,
        stop: Arc<AtomicBool>,
    ) -> Lab {
        Lab { topology, binaries, guest: Mutex::new(guest), scratch, stop }
    }

    /// Records and plays every scenario, `jobs` at the same time, and shrinks those that differ if `shrinks`.
    ///
    /// # Errors
    /// If recording or playing fails as a whole, or the run was interrupted.
    pub fn run(
        &self,
        source: &Source,
        jobs: usize,
        shrinks: bool,
        mut told: impl FnMut(&Outcome),
    ) -> Result<Tally, String> {
        let (sender, outcomes) = channel::<Result<Outcome, String>>();
        let next = AtomicUsize::new(0);
        let mut tally = Tally::default();
        thread::scope(|scope| {
            for job in 0..jobs.max(1) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || self.work(source, next, job, shrinks, &sender));
            }
            drop(sender);
            for outcome in outcomes {
                let outcome = outcome.inspect_err(|_| self.stop.store(true, Ordering::Relaxed))?;
                match outcome.differs {
                    Some(_) => tally.differ += 1,
                    None => tally.same += 1,
                }
                told(&outcome);
            }
            Ok::<(), String>(())
        })?;
        match self.stop.load(Ordering::Relaxed) {
            true => Err("interrupted".to_owned()),
            false => Ok(tally),
        }
    }

    /// One job: takes scenarios until none is left, in its own network namespace.
    fn work(
        &self,
        source: &Source,
        next: &AtomicUsize,
        job: usize,
        shrinks: bool,
        outcomes: &Sender<Result<Outcome, String>>,
    ) {
        if let Err(what) = play::set_stage(&self.topology) {
            let _ = outcomes.send(Err(what));
            return;
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let stage = Stage {
            topology: &self.topology,
            binaries: &self.binaries,
            folder: self.scratch.join(job.to_string()),
            file_prefix: format!("differential-{}-{job}", std::process::id()),
            core: cores - 1 - job % cores,
            stop: &self.stop,
        };
        while !self.stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(scenario) = source.get(&self.topology, at) else { return };
            let outcome = self.examine(&stage, &scenario, shrinks);
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }

    fn examine(
        &self,
        stage: &Stage,
        scenario: &Scenario,
        shrinks: bool,
    ) -> Result<Outcome, String> {
        let mut recorded = self.record(scenario)?;
        let case = |scenario: &Scenario, transcript: Transcript| {
            let difference = difference(stage, &transcript)?;
            Some(Case { scenario: scenario.clone(), transcript, difference })
        };
        let mut differs = case(scenario, recorded.clone());
        if differs.is_some() && !self.stop.load(Ordering::Relaxed) {
            // A busy machine can be late for a timer in one recording. A difference occurs in each.
            recorded = self.record(scenario)?;
            differs = case(scenario, recorded.clone());
        }
        if let (Some(case_found), true) = (&differs, shrinks) {
            differs = Some(shrink::shrink(case_found.clone(), |smaller| {
                let interrupted = self.stop.load(Ordering::Relaxed);
                let transcript = if interrupted { None } else { self.record(smaller).ok() };
                case(smaller, transcript?)
            }));
        }
        Ok(Outcome { recorded, differs })
    }

    fn record(&self, scenario: &Scenario) -> Result<Transcript, String> {
        let transcript = scenario.transcript("");
        let mut guest = self.guest.lock().map_err(|error| error.to_string())?;
        let told = |what: String| format!("{}: {what}", scenario.name);
        let mut results = guest.record(&[&transcript]).map_err(told)?;
        results.pop().unwrap_or_else(|| Err("no answer".to_owned())).map_err(told)
    }
}

/// The first difference, if it occurs twice: on a busy machine a frame or timer can be late once.
fn difference(stage: &Stage, transcript: &Transcript) -> Option<Difference> {
    let first = || play::play(stage, transcript, |_| false).into_iter().next();
    first().and_then(|_| first())
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { same, differ } = self;
        write!(f, "differential: {same} the same, {differ} differ of {}", same + differ)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Case { transcript, difference, .. }) = &self.differs else {
            return write!(f, "same {}", self.recorded.name);
        };
        let Difference { step, what } = difference;
        writeln!(f, "DIFFERS {}, step {step}: {what}", self.recorded.name)?;
        for (name, value) in &transcript.sysctl.0 {
            writeln!(f, "      sysctl {name}={value}")?;
        }
        for line in &transcript.shell {
            writeln!(f, "      {line}")?;
        }
        for (at, step) in transcript.steps.iter().enumerate() {
            write!(f, "{:5} ", at + 1)?;
            write_step(f, step)?;
        }
        Ok(())
    }
}

fn write_step(f: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
    let write_out = |f: &mut fmt::Formatter<'_>, out: &[Sent]| {
        out.iter().take(MOST_SHOWN).try_for_each(|Sent { port, frame }| {
            writeln!(f, "         kernel, {port}: {}", frame::describe(frame))
        })
    };
    match step {
        Step::Send { send: Sent { port, frame }, out } => {
            writeln!(f, "into {port}: {}", frame::describe(frame))?;
            write_out(f, out)
        }
        Step::Burst { burst, out } => {
            writeln!(f, "{} frames:", burst.len())?;
            for Sent { port, frame } in burst.iter().take(MOST_SHOWN) {
                writeln!(f, "         into {port}: {}", frame::describe(frame))?;
            }
            write_out(f, out)
        }
        Step::Sleep { sleep, out } => {
            writeln!(f, "{sleep} seconds")?;
            write_out(f, out)
        }
        Step::Sysctl { sysctl } => {
            let pairs = sysctl.0.iter().map(|(name, value)| format!("{name}={value}"));
            writeln!(f, "sysctl {}", pairs.collect::<Vec<_>>().join(" "))
        }
        Step::Command { ipvsadm, rc, stdout, stderr, .. } => {
            let status = if *rc == 0 { String::new() } else { format!(" (status {rc})") };
            writeln!(f, "ipvsadm {ipvsadm}{status}")?;
            let lines = stdout.lines().chain(stderr.lines());
            lines.into_iter().try_for_each(|line| writeln!(f, "         kernel: {line}"))
        }
    }
}
