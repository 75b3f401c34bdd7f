//! Records random scenarios from a kernel, plays them on the director and prints the smallest ones that differ.

use clap::Parser;
use director_lab::differential::{Lab, Outcome, Source};
use director_lab::guest::Guest;
use director_lab::tools::Binaries;
use director_lab::topology::Topology;
use director_lab::transcript::{self, Transcript};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Record random scenarios from a kernel in QEMU and play them on the director.
#[derive(Debug, Parser)]
#[command(name = "differential")]
struct Arguments {
    /// The same seed gives the same scenarios
    #[arg(default_value_t = 1)]
    seed: u64,
    /// Number of scenarios
    #[arg(default_value_t = 40)]
    count: u64,
    /// Number of the first scenario
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Record the scenarios of these transcripts instead of random ones; their results are ignored
    #[arg(long, num_args = 1.., value_name = "FILE")]
    from: Vec<PathBuf>,
    /// Folder for the transcripts: NAME.json of each scenario, min-NAME.json where the director differs
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Print the whole scenario if the director differs, not the smallest one
    #[arg(long)]
    whole: bool,
    /// Number of directors that run at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Folder with the recording machine's vmlinuz and initramfs
    #[arg(long)]
    image: PathBuf,
    #[arg(long)]
    directord: PathBuf,
    #[arg(long)]
    topology: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(what) => {
            eprintln!("differential: {what}");
            ExitCode::from(2)
        }
    }
}

/// Number of scenarios that differ.
fn run(arguments: &Arguments) -> Result<usize, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|e| e.to_string())?;
    }
    let topology = Topology::read(&arguments.topology)?;
    let directord = arguments.directord.clone();
    let binaries = Binaries {
        ipvsadm: directord.with_file_name("ipvsadm"),
        directorctl: directord.with_file_name("directorctl"),
        directord,
    };
    let source = match arguments.from.is_empty() {
        true => {
            Source::Seed { seed: arguments.seed, first: arguments.first, count: arguments.count }
        }
        false => {
            let read = |path: &PathBuf| transcript::read(path);
            Source::Transcripts(arguments.from.iter().map(read).collect::<Result<_, _>>()?)
        }
    };
    if let Some(folder) = &arguments.keep {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let guest = Guest::boot(&arguments.image, scratch.path())?;
    let lab = Lab::new(topology, binaries, guest, scratch.path().to_owned(), stop);
    let mut unkept = Ok(());
    let tally = lab.run(&source, arguments.jobs, !arguments.whole, |outcome| {
        println!("{outcome}");
        if let (Some(folder), Ok(())) = (&arguments.keep, &unkept) {
            unkept = keep(folder, outcome);
        }
    })?;
    println!("{tally}");
    unkept.map(|()| tally.differ)
}

fn keep(folder: &Path, outcome: &Outcome) -> Result<(), String> {
    let write = |name: &str, transcript: &Transcript| {
        let path = folder.join(format!("{name}.json"));
        fs::write(&path, transcript.to_text())
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    let Outcome { recorded, differs } = outcome;
    write(&recorded.name, recorded)?;
    match differs {
        Some(case) => write(&format!("min-{}", recorded.name), &case.transcript),
        None => Ok(()),
    }
}
