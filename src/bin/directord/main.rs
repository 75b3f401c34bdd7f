//! The daemon: reads the configuration, starts DPDK, ports, workers and the control thread, and ends cleanly.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assemble;
mod clock;
mod cores;
mod log_lines;
mod placement;
mod ports;

use clap::Parser;
use director::config::{Config, Faults};
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

/// An LVS director on DPDK.
#[derive(Debug, Parser)]
#[command(name = "directord", version = env!("DIRECTOR_VERSION"))]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/director/director.toml")]
    config: PathBuf,
    /// Checks a configuration file and ends.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    check_config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(path) = arguments.check_config {
        return match Config::load(&path) {
            Ok(_) => {
                println!("{}: no faults", path.display());
                ExitCode::SUCCESS
            }
            Err(faults) => fail(faults),
        };
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

/// One sentence for people, whatever went wrong.
fn fail(error: impl Display) -> ExitCode {
    for line in error.to_string().lines() {
        eprintln!("directord: {line}");
    }
    ExitCode::FAILURE
}

/// Reads the configuration again (SIGHUP).
fn reload(path: &std::path::Path) -> Result<Config, Faults> {
    Config::load(path)
}
