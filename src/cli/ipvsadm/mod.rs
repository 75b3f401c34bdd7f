//! ipvsadm 1.31 for this director: the same arguments, output and exit statuses.

mod backend;
mod execute;
mod grammar;
mod help;
mod listing;
mod messages;
mod names;
mod restore;
mod save;
mod scheduler_flags;
mod service_database;

pub use backend::{Backend, LazyClient};
pub use grammar::{CommandLine, Listed, Listing, UsageError, View, parse};
pub use names::{Names, SystemNames};

use crate::api::ClientError;
use execute::Failure;
use std::io::{self, BufRead, Write};

/// The standard streams of the process, or of a test.
pub struct Streams<'a> {
    pub input: &'a mut dyn BufRead,
    pub output: &'a mut dyn Write,
    pub errors: &'a mut dyn Write,
}

/// Exit status if the director cannot be reached; ipvsadm's if the kernel has no IPVS.
const UNREACHABLE: u8 = 2;

/// Exit status if the director refuses a command, except listings.
const REFUSED: u8 = 255;

/// Exit status of a failed listing.
const NOT_LISTED: u8 = 1;

/// Exit status that a shell shows for a program that wrote to a closed pipe.
const BROKEN_PIPE: u8 = 141;

/// Executes one command line without the program name, and returns the exit status.
pub fn run(
    words: &[String],
    names: &dyn Names,
    director: &mut dyn Backend,
    streams: &mut Streams<'_>,
) -> u8 {
    let outcome = parse(words, names).map_err(Failure::Usage).and_then(|line| match line {
        CommandLine::Restore => restore::run(names, director, streams),
        line => execute::execute(line, names, director, streams),
    });
    let outcome = outcome.and_then(|status| {
        streams.output.flush()?;
        Ok(status)
    });
    outcome.unwrap_or_else(|failure| report(failure, streams))
}

fn report(failure: Failure, streams: &mut Streams<'_>) -> u8 {
    // Output before the failure stays; an error in reporting it is ignored.
    let _ = streams.output.flush();
    let (message, status) = match failure {
        Failure::Usage(error) => (error.message, error.status),
        Failure::Backend(error @ ClientError::Connect { .. }) => (error.to_string(), UNREACHABLE),
        Failure::Backend(error) => (error.to_string(), REFUSED),
        Failure::Stream(error) if error.kind() == io::ErrorKind::BrokenPipe => return BROKEN_PIPE,
        Failure::Stream(error) => (format!("ipvsadm: {error}"), NOT_LISTED),
    };
    let _ = writeln!(streams.errors, "{message}");
    status
}
