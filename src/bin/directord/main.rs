//! The daemon: reads the configuration, starts DPDK, ports, workers and the control thread, and ends cleanly.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assemble;
mod clock;
mod cores;
mod here;
mod log_lines;
mod placement;
mod ports;
mod privileges;

use clap::Parser;
use director::api::DEFAULT_CONFIG;
use director::config::Config;
use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type AnyError = Box<dyn Error + Send + Sync>;

/// An LVS director on DPDK.
#[derive(Debug, Parser)]
#[command(name = "directord", version = env!("DIRECTOR_VERSION"))]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Checks a configuration file and ends.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    check_config: Option<PathBuf>,
    /// With --check-config: also checks that this machine has the cores, interfaces and devices.
    #[arg(long, requires = "check_config")]
    here: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(path) = arguments.check_config {
        return check(&path, arguments.here);
    }
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(faults) => return fail(faults),
    };
    log_lines::start(config.director.log);
    match assemble::run(config, arguments.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// Checks a file; with `here` also against this machine.
fn check(path: &Path, here: bool) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => return fail(faults),
    };
    let (warning, faults) = match here {
        true => (here::warning(&config), here::faults(&config)),
        false => (None, Vec::new()),
    };
    for warning in config.warnings.iter().chain(&warning) {
        eprintln!("directord: warning: {warning}");
    }
    if !faults.is_empty() {
        return fail(faults.join("\n"));
    }
    println!("{}: no faults", path.display());
    ExitCode::SUCCESS
}

/// Prints an error, each line with the program's name, and returns the exit status.
fn fail(error: impl Display) -> ExitCode {
    for line in error.to_string().lines() {
        eprintln!("directord: {line}");
    }
    ExitCode::FAILURE
}
