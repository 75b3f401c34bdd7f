//! Measures how long the director takes to answer: one client repeatedly edits a destination or queries the status. An
//! edit is answered when all workers have adopted it.

use clap::{Parser, ValueEnum};
use director::api::{Client, ClientError, Command, Reply, Request};
use director::model::{Protocol, ServiceKey};
use director::query::{NoArgs, Services, ServicesArgs, Status, request};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Time the answers of a running director; prints JSON, in microseconds.
#[derive(Debug, Parser)]
#[command(name = "stopwatch")]
struct Arguments {
    what: What,
    #[arg(long, env = "DIRECTOR_SOCKET")]
    socket: PathBuf,
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// Milliseconds between two requests
    #[arg(long, default_value_t = 5)]
    pause: u64,
    /// The UDP service whose first destination is edited
    #[arg(long, default_value = "10.0.0.100:80")]
    service: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Change a weight back and forth
    Edit,
    /// Remove a destination and add it again, in turn
    Replace,
    /// Ask for the status
    Status,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(times) => {
            print(times);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("stopwatch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Vec<Duration>, ClientError> {
    let mut client = Client::connect(&arguments.socket)?;
    let requests = requests(&mut client, arguments)?;
    let mut times = Vec::with_capacity(arguments.count);
    for request in requests.iter().cycle().take(arguments.count) {
        let started = Instant::now();
        let mut refused = None;
        client.call(request.clone(), |reply| {
            if let Reply::Applied(outcomes) = reply {
                refused = outcomes.into_iter().find_map(Result::err);
            }
        })?;
        times.push(started.elapsed());
        if let Some(refusal) = refused {
            return Err(ClientError::Failed(refusal));
        }
        thread::sleep(Duration::from_millis(arguments.pause));
    }
    Ok(times)
}

/// Requests sent in turn; after an even number the configuration is as before.
fn requests(client: &mut Client, arguments: &Arguments) -> Result<[Request; 2], ClientError> {
    if arguments.what == What::Status {
        let status = request::<Status>(&NoArgs {});
        return Ok([status.clone(), status]);
    }
    let key = ServiceKey::Address {
        protocol: Protocol::Udp,
        address: arguments.service.ip(),
        port: arguments.service.port(),
    };
    let rows = client.ask::<Services>(&ServicesArgs { only: Some(key) })?;
    let found =
        rows.iter().find_map(|row| row.destinations.first()).map(|destination| destination.spec);
    let Some(spec) = found else {
        return Err(std::io::Error::other(format!("{key} has no destination")).into());
    };
    let heavier = director::model::DestinationSpec { weight: spec.weight + 1, ..spec };
    let edit = |destination| Command::EditDestination { service: key, destination };
    Ok(match arguments.what {
        What::Edit | What::Status => [edit(heavier), edit(spec)],
        What::Replace => [
            Command::DeleteDestination { service: key, at: spec.at },
            Command::AddDestination { service: key, destination: spec },
        ],
    }
    .map(|command| Request::Apply(vec![command])))
}

fn print(mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len().saturating_sub(1) as f64 * share).round() as usize;
        times.get(index).map_or(0, |time| time.as_micros() as u64)
    };
    let report = serde_json::json!({
        "count": times.len(), "min": at(0.0), "median": at(0.5), "p99": at(0.99), "max": at(1.0),
    });
    println!("{report}");
}
