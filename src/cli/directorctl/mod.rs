//! directorctl: questions about a running director, answered for people or as JSON.

mod drops;
mod neighbours;
mod ports;
mod queues;
mod status;
mod sysctl;
mod table;

use crate::api::{Client, ClientError, Reply, Request};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use thiserror::Error;

/// Shows what a running director is doing.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "directorctl",
    version,
    after_help = "Exit status: 0 with an answer, 1 if the director refuses or cannot be asked, 2 for a wrong command line."
)]
pub struct Arguments {
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,

    /// The director's control socket [default: $DIRECTOR_SOCKET or /run/director/control.sock].
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    #[command(subcommand)]
    pub question: Question,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Question {
    /// Version, uptime, workers, steering, warnings.
    Status,
    /// Packets, bytes, bursts, busy share, drops and punts of every worker's queue on every port.
    Queues,
    /// Devices, links, addresses and the devices' own statistics.
    Ports,
    /// Next hops and how they are reached.
    Neighbours,
    /// Packets dropped or handed to the host path, by reason.
    Drops,
    /// Reads all settings or one, or sets one.
    Sysctl {
        /// The setting, with or without the prefix net.ipv4.vs.
        #[arg(value_name = "NAME[=VALUE]")]
        setting: Option<String>,
    },
}

impl Question {
    /// What the director is asked.
    pub fn request(&self) -> Request {
        match self {
            Question::Status => Request::Status,
            Question::Queues => Request::Queues,
            Question::Ports => Request::Ports,
            Question::Neighbours => Request::Neighbours,
            Question::Drops => Request::Drops,
            Question::Sysctl { setting: None } => Request::Sysctl { name: None, set: None },
            Question::Sysctl { setting: Some(setting) } => {
                let (name, set) = match setting.split_once('=') {
                    Some((name, value)) => (name, Some(value.trim().to_owned())),
                    None => (setting.as_str(), None),
                };
                Request::Sysctl { name: Some(name.trim().to_owned()), set }
            }
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Failure {
    #[error(transparent)]
    Backend(#[from] ClientError),
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
    #[error("cannot print: {0}")]
    Json(#[from] serde_json::Error),
}

/// Asks and prints.
///
/// # Errors
/// The director refuses or does not answer, or the answer cannot be written.
pub fn run(
    arguments: &Arguments,
    client: &mut Client,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut pieces = Vec::new();
    client.call(arguments.question.request(), |reply| pieces.push(reply))?;
    let text = render(pieces, arguments.json)?;
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// The pieces of one answer as one text.
fn render(pieces: Vec<Reply>, json: bool) -> Result<String, serde_json::Error> {
    let mut answer: Option<Answer> = None;
    for piece in pieces {
        match (&mut answer, piece) {
            (_, Reply::Status(report)) => answer = Some(Answer::Status(report)),
            (Some(Answer::Queues(rows)), Reply::Queues(more)) => rows.extend(more),
            (Some(Answer::Ports(rows)), Reply::Ports(more)) => rows.extend(more),
            (Some(Answer::Neighbours(rows)), Reply::Neighbours(more)) => rows.extend(more),
            (Some(Answer::Drops(rows)), Reply::Drops(more)) => rows.extend(more),
            (Some(Answer::Sysctl(rows)), Reply::Sysctl(more)) => rows.extend(more),
            (_, Reply::Queues(rows)) => answer = Some(Answer::Queues(rows)),
            (_, Reply::Ports(rows)) => answer = Some(Answer::Ports(rows)),
            (_, Reply::Neighbours(rows)) => answer = Some(Answer::Neighbours(rows)),
            (_, Reply::Drops(rows)) => answer = Some(Answer::Drops(rows)),
            (_, Reply::Sysctl(rows)) => answer = Some(Answer::Sysctl(rows)),
            _ => {}
        }
    }
    match answer {
        Some(answer) if json => Ok(serde_json::to_string_pretty(&answer)? + "\n"),
        Some(answer) => Ok(answer.text()),
        None if json => Ok("[]\n".to_owned()),
        None => Ok(String::new()),
    }
}

/// A whole answer; as JSON it is the object or array alone.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    Status(crate::api::StatusReport),
    Queues(Vec<crate::api::QueueRow>),
    Ports(Vec<crate::api::PortRow>),
    Neighbours(Vec<crate::api::NeighbourRow>),
    Drops(Vec<crate::api::DropRow>),
    Sysctl(Vec<crate::api::SysctlRow>),
}

impl Answer {
    fn text(&self) -> String {
        match self {
            Answer::Status(report) => status::text(report),
            Answer::Queues(rows) => queues::text(rows),
            Answer::Ports(rows) => ports::text(rows),
            Answer::Neighbours(rows) => neighbours::text(rows),
            Answer::Drops(rows) => drops::text(rows),
            Answer::Sysctl(rows) => sysctl::text(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SysctlRow;
    use clap::CommandFactory;

    fn request(line: &str) -> Request {
        let words = line.split(' ');
        Arguments::try_parse_from(words).expect(line).question.request()
    }

    #[test]
    fn questions() {
        Arguments::command().debug_assert();
        assert_eq!(request("directorctl queues"), Request::Queues);
        assert_eq!(request("directorctl --json neighbours"), Request::Neighbours);
        let sysctl = |name: Option<&str>, set: Option<&str>| Request::Sysctl {
            name: name.map(str::to_owned),
            set: set.map(str::to_owned),
        };
        assert_eq!(request("directorctl sysctl"), sysctl(None, None));
        assert_eq!(request("directorctl sysctl sloppy_tcp"), sysctl(Some("sloppy_tcp"), None));
        assert_eq!(
            request("directorctl sysctl net.ipv4.vs.sync_threshold=3"),
            sysctl(Some("net.ipv4.vs.sync_threshold"), Some("3"))
        );
        assert!(Arguments::try_parse_from(["directorctl"]).is_err());
        let after = Arguments::try_parse_from(["directorctl", "drops", "--json", "--socket", "/x"]);
        let after = after.unwrap();
        assert_eq!((after.json, after.socket), (true, Some("/x".into())));
    }

    #[test]
    fn pieces_become_one_answer() {
        let piece = |name: &str| {
            Reply::Sysctl(vec![SysctlRow {
                name: name.to_owned(),
                value: "1".to_owned(),
                help: String::new(),
            }])
        };
        let json = render(vec![piece("a"), piece("b")], true).unwrap();
        let rows: Vec<SysctlRow> = serde_json::from_str(&json).unwrap();
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(render(vec![], true).unwrap(), "[]\n");
    }
}
