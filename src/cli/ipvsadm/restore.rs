//! `-R`: command lines from standard input. Changes are collected and sent in large requests.

use super::backend::Backend;
use super::execute::{Failure, apply, execute};
use super::grammar::{CommandLine, UsageError, parse};
use super::names::Names;
use super::{NOT_LISTED, Streams};
use crate::api::Command;
use crate::limits::APPLY_COMMANDS;

/// Executes line by line; the status is that of the last one. A refused change is reported and skipped; a refused
/// listing ends the run.
///
/// # Errors
/// If a line is invalid, which ends the run; earlier changes are made.
pub(super) fn run(
    names: &dyn Names,
    director: &mut dyn Backend,
    streams: &mut Streams<'_>,
) -> Result<u8, Failure> {
    let mut pending = Vec::new();
    let mut status = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        if streams.input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let words = words(&String::from_utf8_lossy(&line));
        if words.is_empty() {
            continue;
        }
        match parse(&words, names) {
            Ok(CommandLine::Change(command)) => {
                pending.push(command);
                if pending.len() == APPLY_COMMANDS {
                    status = flush(&mut pending, status, director, streams)?;
                }
            }
            Ok(last @ (CommandLine::Help | CommandLine::Version)) => {
                flush(&mut pending, status, director, streams)?;
                return execute(last, names, director, streams);
            }
            Ok(CommandLine::Restore) => {
                flush(&mut pending, status, director, streams)?;
                return Err(Failure::Usage(UsageError::try_help()));
            }
            Ok(question) => {
                flush(&mut pending, status, director, streams)?;
                status = execute(question, names, director, streams)?;
                if status == NOT_LISTED {
                    return Ok(status);
                }
            }
            Err(error) => {
                flush(&mut pending, status, director, streams)?;
                return Err(Failure::Usage(error));
            }
        }
    }
    flush(&mut pending, status, director, streams)
}

/// Sends the collected changes; returns `status` if there are none.
fn flush(
    pending: &mut Vec<Command>,
    status: u8,
    director: &mut dyn Backend,
    streams: &mut Streams<'_>,
) -> Result<u8, Failure> {
    if pending.is_empty() {
        return Ok(status);
    }
    apply(std::mem::take(pending), director, streams)
}

/// The words of a line, without the program's name at any position.
fn words(line: &str) -> Vec<String> {
    line.split([' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty() && *word != "ipvsadm")
        .map(str::to_owned)
        .collect()
}
