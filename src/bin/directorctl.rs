//! directorctl: shows and changes a running director.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use director::cli::directorctl::{
    Access, Failure, Invocation, ask, change, command, complete, invocation, print,
};
use director::config::Config;
use director::doctor::{self, Answers, Finding, Machine, Severity};
use director::query::{Neighbours, NoArgs, Ports, Status};
use std::io;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let invocation = invocation(&command().get_matches()).unwrap_or_else(|error| error.exit());
    match run(invocation) {
        Ok(()) => ExitCode::SUCCESS,
        // Its report says why.
        Err(Failure::CannotServe) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("directorctl: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(invocation: Invocation) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match invocation {
        Invocation::Completion(shell) => complete(shell, &mut output),
        Invocation::Change { change: wanted, access } => change(wanted, &mut access.connect()?),
        Invocation::Doctor { config, json, access } => {
            let findings = examine(&config, &access);
            let text = match json {
                true => doctor::json(&findings),
                false => doctor::text(&findings),
            };
            print(&text, &mut output)?;
            doctor::can_serve(&findings).then_some(()).ok_or(Failure::CannotServe)
        }
        Invocation::Ask(question) => {
            let mut client = question.access.connect()?;
            ask(question, &mut client, &mut output)
        }
    }
}

/// The findings about the configuration and the machine, and those of the director if it runs.
fn examine(file: &Path, access: &Access) -> Vec<Finding> {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(faults) => {
            return vec![Finding {
                severity: Severity::Error,
                check: "configuration",
                problem: faults.to_string(),
                mend: format!("correct {}; config/README.md explains every key", file.display()),
            }];
        }
    };
    match answers(access) {
        // The machine's hugepages and devices are in use then, so only the director can judge them.
        Some(answers) => doctor::running(&answers),
        None => doctor::examine(&config, &Machine::here()),
    }
}

/// What a running director answers; `None`: none runs.
fn answers(access: &Access) -> Option<Answers> {
    let mut client = access.connect().ok()?;
    Some(Answers {
        status: client.ask::<Status>(&NoArgs {}).ok()?,
        ports: client.ask::<Ports>(&NoArgs {}).ok()?,
        neighbours: client.ask::<Neighbours>(&NoArgs {}).ok()?,
    })
}
