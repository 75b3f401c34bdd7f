//! directorctl: what a running director is doing.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::Parser;
use director::api::Client;
use director::cli::directorctl::{Arguments, run};
use director::cli::socket_path;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let socket = arguments.socket.clone().unwrap_or_else(socket_path);
    let outcome = Client::connect(&socket)
        .map_err(Into::into)
        .and_then(|mut client| run(&arguments, &mut client, &mut io::stdout().lock()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("directorctl: {failure}");
            ExitCode::FAILURE
        }
    }
}
