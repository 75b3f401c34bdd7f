//! Plays a folder of transcripts against the real director and reports the differences.

use clap::Parser;
use director_lab::outcome::{self, Exceptions, Tally, Verdict};
use director_lab::play::{self, Stage};
use director_lab::tools::Binaries;
use director_lab::topology::Topology;
use director_lab::transcript::{self, Transcript};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// Play transcripts recorded from a kernel against a real directord over veth pairs.
#[derive(Debug, Parser)]
#[command(name = "golden")]
struct Arguments {
    /// Folder with the transcripts and topology.json
    folder: PathBuf,
    /// Only transcripts whose name contains this text
    #[arg(default_value = "")]
    filter: String,
    /// [default: directord beside this program]
    #[arg(long)]
    directord: Option<PathBuf>,
    /// [default: ipvsadm beside directord]
    #[arg(long)]
    ipvsadm: Option<PathBuf>,
    /// Deviations that the project keeps [default: deviations.toml in FOLDER]
    #[arg(long)]
    deviations: Option<PathBuf>,
    /// The network of the transcripts [default: topology.json in FOLDER or above it]
    #[arg(long)]
    topology: Option<PathBuf>,
    /// Number of directors that run at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Also play those of the `later` list
    #[arg(long)]
    later: bool,
}

/// What the jobs share.
struct Run {
    transcripts: Vec<Transcript>,
    exceptions: Exceptions,
    topology: Topology,
    binaries: Binaries,
    later: bool,
    next: AtomicUsize,
    stop: Arc<AtomicBool>,
}

fn main() -> ExitCode {
    let outcome = prepare(Arguments::parse()).and_then(|(run, jobs)| play_all(&run, jobs));
    match outcome {
        Ok(tally) if tally.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(what) => {
            eprintln!("golden: {what}");
            ExitCode::from(2)
        }
    }
}

fn prepare(arguments: Arguments) -> Result<(Run, usize), String> {
    let Arguments { folder, filter, jobs, later, .. } = arguments;
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let directord = arguments.directord.unwrap_or_else(|| here.with_file_name("directord"));
    let ipvsadm = arguments.ipvsadm.unwrap_or_else(|| directord.with_file_name("ipvsadm"));
    let directorctl = directord.with_file_name("directorctl");
    for binary in [&directord, &ipvsadm] {
        if !binary.exists() {
            return Err(format!("{} does not exist; run: cargo build", binary.display()));
        }
    }
    let deviations = arguments.deviations.unwrap_or_else(|| folder.join("deviations.toml"));
    let exceptions = Exceptions::read(&deviations)?;
    let transcripts = transcript::read_folder(&folder, &filter)?;
    if transcripts.is_empty() {
        return Err(format!("no transcript in {} has such a name", folder.display()));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|e| e.to_string())?;
    }
    let topology = arguments.topology.unwrap_or_else(|| Topology::path_beside(&folder));
    let topology = Topology::read(&topology)?;
    let binaries = Binaries { directord, ipvsadm, directorctl };
    let next = AtomicUsize::new(0);
    Ok((Run { transcripts, exceptions, topology, binaries, later, next, stop }, jobs.max(1)))
}

/// Plays all transcripts and prints the results in order.
fn play_all(run: &Run, jobs: usize) -> Result<Tally, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (sender, verdicts) = channel::<Result<(usize, Verdict), String>>();
    let mut tally = Tally::default();
    let outcome: Result<(), String> = thread::scope(|scope| {
        for job in 0..jobs {
            let (sender, scratch) = (sender.clone(), scratch.path());
            scope.spawn(move || work(run, job, scratch, &sender));
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut printed = 0;
        for verdict in verdicts {
            let (at, verdict) = verdict.inspect_err(|_| run.stop.store(true, Ordering::Relaxed))?;
            early.insert(at, verdict);
            while let Some(verdict) = early.remove(&printed) {
                println!("{}", outcome::line(&run.transcripts[printed].name, &verdict));
                tally.count(&verdict);
                printed += 1;
            }
        }
        Ok(())
    });
    outcome?;
    if run.stop.load(Ordering::Relaxed) {
        return Err("interrupted".to_owned());
    }
    if tally.later > 0 {
        println!("golden: {} later", tally.later);
    }
    println!("{tally}");
    Ok(tally)
}

/// One job: takes transcripts until none is left, in its own network namespace.
fn work(
    run: &Run,
    job: usize,
    scratch: &Path,
    verdicts: &Sender<Result<(usize, Verdict), String>>,
) {
    if let Err(what) = play::set_stage(&run.topology) {
        let _ = verdicts.send(Err(what));
        return;
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let stage = Stage {
        topology: &run.topology,
        binaries: &run.binaries,
        folder: scratch.join(job.to_string()),
        file_prefix: format!("golden-{}-{job}", std::process::id()),
        core: cores - 1 - job % cores,
        stop: &run.stop,
    };
    while !run.stop.load(Ordering::Relaxed) {
        let at = run.next.fetch_add(1, Ordering::Relaxed);
        let Some(transcript) = run.transcripts.get(at) else { return };
        let Transcript { name, .. } = transcript;
        let verdict = if run.exceptions.is_later(name) && !run.later {
            Verdict::Later
        } else {
            let differences = play::play(&stage, transcript, |difference| {
                run.exceptions.excuses(name, difference)
            });
            run.exceptions.judge(name, &differences)
        };
        if verdicts.send(Ok((at, verdict))).is_err() {
            return;
        }
    }
}
