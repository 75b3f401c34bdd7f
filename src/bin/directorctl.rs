//! directorctl: shows and changes a running director.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use director::cli::directorctl::{Failure, Invocation, ask, change, command, complete, invocation};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let invocation = invocation(&command().get_matches()).unwrap_or_else(|error| error.exit());
    match run(invocation) {
        Ok(()) => ExitCode::SUCCESS,
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
        Invocation::Ask(question) => {
            let mut client = question.access.connect()?;
            ask(question, &mut client, &mut output)
        }
    }
}
