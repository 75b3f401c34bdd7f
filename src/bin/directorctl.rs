//! directorctl: shows and changes a running director.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use director::cli::directorctl::{Failure, Task, ask, change, command, complete, task};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let task = task(&command().get_matches()).unwrap_or_else(|error| error.exit());
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("directorctl: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match task {
        Task::Completion(shell) => complete(shell, &mut output),
        Task::Change { change: wanted, access } => change(wanted, &mut access.connect()?),
        Task::Ask(question) => {
            let mut client = question.access.connect()?;
            ask(question, &mut client, &mut output)
        }
    }
}
