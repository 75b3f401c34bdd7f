//! directorctl: questions about a running director, answered for people or as JSON, and changes of it.
//!
//! Every [question](crate::query) and every [`Change`] is a subcommand.

use super::changes::Change;
use super::socket_path;
use crate::api::{Client, ClientError, DEFAULT_CONFIG, Reply, Request, Rows, TIMEOUT_MAX};
use crate::query::{self, AnyQuery};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, Subcommand, value_parser};
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// What a command line asks for.
pub enum Invocation {
    Ask(Question),
    Change {
        change: Change,
        access: Access,
    },
    /// Examines the machine for this configuration, and the running director.
    Doctor {
        config: PathBuf,
        json: bool,
        access: Access,
    },
    /// Prints the completion script of this shell.
    Completion(Shell),
}

/// A question to a running director.
pub struct Question {
    pub query: &'static dyn AnyQuery,
    pub request: Request,
    /// Print JSON instead of tables.
    pub json: bool,
    pub access: Access,
}

/// How the director is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The director's control socket; `None`: as the environment says.
    pub socket: Option<PathBuf>,
    /// Longest wait for a place at the socket, and for each piece of the answer; `None`: as the environment says.
    pub timeout: Option<Duration>,
}

impl Access {
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect(&self) -> Result<Client, ClientError> {
        let socket = self.socket.clone().unwrap_or_else(socket_path);
        match self.timeout {
            Some(timeout) => Client::connect_within(&socket, timeout),
            None => Client::connect(&socket),
        }
    }
}

/// The grammar of the command line.
pub fn command() -> Command {
    let command = Command::new("directorctl")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Shows what a running director is doing, and changes it")
        .after_help(
            "Exit status: 0 with an answer, 1 if the director refuses or cannot be asked, 2 for a wrong command line.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("json")
                .long("json")
                .global(true)
                .action(ArgAction::SetTrue)
                .help("Print JSON instead of tables"),
        )
        .arg(
            Arg::new("socket")
                .long("socket")
                .global(true)
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("The director's control socket [default: $DIRECTOR_SOCKET or /run/director/control.sock]"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .global(true)
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=TIMEOUT_MAX))
                .help("Longest wait for the director [default: $DIRECTOR_TIMEOUT or 30]"),
        )
        .subcommands(query::ALL.iter().map(|query| query.command()))
        .subcommand(
            Command::new("doctor")
                .about("Examines whether this machine can run the director, and how to mend what it cannot")
                .after_help("Exit status: 0 if it can serve, 1 if not.")
                .arg(
                    Arg::new("config")
                        .long("config")
                        .value_name("FILE")
                        .default_value(DEFAULT_CONFIG)
                        .value_parser(value_parser!(PathBuf))
                        .help("The director's configuration"),
                ),
        )
        .subcommand(
            Command::new("completion").about("Prints the completion script of a shell").arg(
                Arg::new("shell").required(true).value_parser(value_parser!(Shell)),
            ),
        );
    Change::augment_subcommands(command)
}

/// What a parsed command line asks for.
///
/// # Errors
/// The arguments do not fit the question.
pub fn invocation(matches: &ArgMatches) -> Result<Invocation, clap::Error> {
    let usage = || command().error(clap::error::ErrorKind::InvalidSubcommand, "unknown question");
    let (name, own) = matches.subcommand().ok_or_else(usage)?;
    if name == "completion" {
        let shell = own.get_one::<Shell>("shell").ok_or_else(usage)?;
        return Ok(Invocation::Completion(*shell));
    }
    let access = Access {
        socket: own.get_one("socket").cloned(),
        timeout: own.get_one::<u64>("timeout").map(|seconds| Duration::from_secs(*seconds)),
    };
    if name == "doctor" {
        let config = own.get_one::<PathBuf>("config").ok_or_else(usage)?.clone();
        return Ok(Invocation::Doctor { config, json: own.get_flag("json"), access });
    }
    if Change::has_subcommand(name) {
        return Ok(Invocation::Change { change: Change::from_arg_matches(matches)?, access });
    }
    let query = query::find(name).map_err(|_| usage())?;
    Ok(Invocation::Ask(Question {
        query,
        request: query.request(own)?,
        json: own.get_flag("json"),
        access,
    }))
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The machine or the configuration cannot serve; the report has been printed.
    #[error("this machine cannot serve")]
    CannotServe,
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// Asks and prints.
///
/// # Errors
/// The director refuses or does not answer, or the answer cannot be written.
pub fn ask(question: Question, client: &mut Client, output: &mut dyn Write) -> Result<(), Failure> {
    let mut pieces: Vec<Rows> = Vec::new();
    client.call(question.request, |reply| {
        if let Reply::Rows(rows) = reply {
            pieces.push(rows);
        }
    })?;
    let text = match question.json {
        true => question.query.json(&pieces),
        false => question.query.text(&pieces),
    };
    Ok(print(&text.map_err(ClientError::from)?, output)?)
}

/// Changes the running director.
///
/// # Errors
/// The director refuses or does not answer.
pub fn change(change: Change, client: &mut Client) -> Result<(), Failure> {
    let mut refused = None;
    client.call(Request::Apply(vec![change.command()]), |reply| {
        if let Reply::Applied(outcomes) = reply {
            refused = outcomes.into_iter().find_map(Result::err);
        }
    })?;
    refused.map_or(Ok(()), |refusal| Err(ClientError::Failed(refusal).into()))
}

/// Prints the completion script of a shell.
///
/// # Errors
/// It cannot be written.
pub fn complete(shell: Shell, output: &mut dyn Write) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "directorctl", &mut script);
    Ok(print(&String::from_utf8_lossy(&script), output)?)
}

/// Prints a text that may have no reader any more.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str, output: &mut dyn Write) -> io::Result<()> {
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Neighbours, NoArgs, Queues, Sysctl, SysctlArgs, request};

    fn question(line: &str) -> Question {
        let matches = command().try_get_matches_from(line.split(' ')).expect(line);
        match invocation(&matches).expect(line) {
            Invocation::Ask(question) => question,
            Invocation::Change { .. } | Invocation::Doctor { .. } | Invocation::Completion(_) => {
                panic!("{line} is not a question")
            }
        }
    }

    #[test]
    fn questions() {
        command().debug_assert();
        let asked = |line| question(line).request;
        assert_eq!(asked("directorctl queues"), request::<Queues>(&NoArgs {}));
        assert_eq!(asked("directorctl --json neighbours"), request::<Neighbours>(&NoArgs {}));
        let sysctl = |setting: Option<&str>| {
            request::<Sysctl>(&SysctlArgs { setting: setting.map(str::to_owned) })
        };
        assert_eq!(asked("directorctl sysctl"), sysctl(None));
        let setting = "net.ipv4.vs.sync_threshold=3";
        assert_eq!(asked(&format!("directorctl sysctl {setting}")), sysctl(Some(setting)));
        assert!(command().try_get_matches_from(["directorctl"]).is_err());
        let after = question("directorctl drops --json --socket /x --timeout 5");
        let access = Access { socket: Some("/x".into()), timeout: Some(Duration::from_secs(5)) };
        assert_eq!((after.json, after.access), (true, access));
    }

    #[test]
    fn every_shell_completes_every_question() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            complete(shell, &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            for query in query::ALL {
                assert!(script.contains(query.name()), "{shell}: {}", query.name());
            }
        }
    }
}
