//! directorctl: shows and changes a running director.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use director::api::Client;
use director::cli::directorctl::{Failure, Task, ask, change, command, complete, task};
use director::cli::socket_path;
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
        Task::Change { change: wanted, socket } => {
            let socket = socket.unwrap_or_else(socket_path);
            change(wanted, &mut Client::connect(&socket)?)
        }
        Task::Ask(question) => {
            let socket = question.socket.clone().unwrap_or_else(socket_path);
            ask(question, &mut Client::connect(&socket)?, &mut output)
        }
    }
}
