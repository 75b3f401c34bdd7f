//! Carries out a parsed command: sends requests to the director and prints the answers.

use super::backend::Backend;
use super::grammar::{CommandLine, Listed, Listing, UsageError};
use super::listing::{self, AddressText, connections, services, settings};
use super::messages::{Subject, refusal};
use super::names::Names;
use super::{NOT_LISTED, REFUSED, Streams, help, save};
use crate::api::{ClientError, Command, Refusal, RefusalCode, Reply, Request};
use crate::model::{ServiceKey, ServiceRow};
use crate::query::{
    self, Connections, Info, NoArgs, Query, Services, ServicesArgs, SyncDaemons, TimeoutsQuery,
};
use std::io;

/// Why a command line was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    Usage(UsageError),
    Backend(ClientError),
    Stream(io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure::Backend(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Stream(error)
    }
}

/// Returns the exit status. A refusal of the director is not an error: its message has been printed.
pub(super) fn execute(
    line: CommandLine,
    names: &dyn Names,
    director: &mut dyn Backend,
    streams: &mut Streams<'_>,
) -> Result<u8, Failure> {
    match line {
        CommandLine::Help => {
            streams.output.write_all(help::VERSION.as_bytes())?;
            streams.output.write_all(help::USAGE.as_bytes())?;
            Ok(0)
        }
        CommandLine::Version => {
            streams.output.write_all(help::VERSION.as_bytes())?;
            Ok(0)
        }
        CommandLine::Change(command) => apply(vec![command], director, streams),
        CommandLine::UnknownScheduler { adding, key } => {
            let code = match (adding, service_exists(key, director)?) {
                (true, true) => RefusalCode::EEXIST,
                (false, false) => RefusalCode::ESRCH,
                _ => RefusalCode::ENOENT,
            };
            let refused = Refusal::new(code, "no such scheduler");
            writeln!(streams.errors, "{}", refusal(Subject::Service, &refused))?;
            Ok(REFUSED)
        }
        CommandLine::List(listing) => list(listing, names, director, streams),
        CommandLine::Save { numeric } => {
            let addresses = AddressText::new(numeric, names);
            let rows = ordered_services(None, true, director)?;
            print(&rows, streams, |text, row| save::service(text, row, addresses))?;
            Ok(0)
        }
        // A restored line may not restore in turn.
        CommandLine::Restore => Err(Failure::Usage(UsageError::try_help())),
    }
}

/// Sends changes together and prints the refusals; the status is that of the last change.
pub(super) fn apply(
    commands: Vec<Command>,
    director: &mut dyn Backend,
    streams: &mut Streams<'_>,
) -> Result<u8, Failure> {
    let subjects: Vec<Subject> = commands.iter().map(Subject::of).collect();
    let mut outcomes: Vec<Result<(), Refusal>> = Vec::with_capacity(subjects.len());
    let called = director.call(Request::Apply(commands), &mut |reply| {
        if let Reply::Applied(piece) = reply {
            outcomes.extend(piece);
        }
    });
    match called {
        // Refused as a whole: that is the outcome of every command that has none.
        Err(ClientError::Failed(refusal)) => outcomes.resize(subjects.len(), Err(refusal)),
        called => called?,
    }
    if outcomes.len() != subjects.len() {
        let message = format!("{} outcomes of {} commands", outcomes.len(), subjects.len());
        let error = io::Error::new(io::ErrorKind::InvalidData, message);
        return Err(Failure::Backend(error.into()));
    }
    let mut status = 0;
    for (subject, outcome) in subjects.into_iter().zip(outcomes) {
        status = match outcome {
            Ok(()) => 0,
            Err(refused) => {
                writeln!(streams.errors, "{}", refusal(subject, &refused))?;
                REFUSED
            }
        };
    }
    Ok(status)
}

fn service_exists(key: ServiceKey, director: &mut dyn Backend) -> Result<bool, Failure> {
    let mut rows = 0;
    let one = ServicesArgs { only: Some(key) };
    match ask::<Services>(&one, director, |piece| rows += piece.len()) {
        Err(ClientError::Failed(Refusal { code: RefusalCode::ESRCH, .. })) => Ok(false),
        called => called.map(|()| rows > 0).map_err(Failure::Backend),
    }
}

/// All services or one, in the order of listings.
fn ordered_services(
    only: Option<ServiceKey>,
    sorted: bool,
    director: &mut dyn Backend,
) -> Result<Vec<ServiceRow>, ClientError> {
    let mut rows = Vec::new();
    ask::<Services>(&ServicesArgs { only }, director, |piece| rows.extend(piece))?;
    listing::order_as_kept(&mut rows);
    if sorted {
        listing::sort_services(&mut rows);
        rows.iter_mut().for_each(|row| listing::sort_destinations(&mut row.destinations));
    }
    Ok(rows)
}

fn list(
    listing: Listing,
    names: &dyn Names,
    director: &mut dyn Backend,
    streams: &mut Streams<'_>,
) -> Result<u8, Failure> {
    let addresses = AddressText::new(listing.numeric, names);
    let listed = match listing.what {
        Listed::Services { only, view, exact, sorted } => {
            let rows = listed_services(only, sorted, director);
            rows.and_then(|(banner, rows)| {
                let titles = banner + &services::titles(view);
                streams.output.write_all(titles.as_bytes())?;
                print(&rows, streams, |text, row| {
                    services::service(text, row, view, exact, addresses);
                })
            })
        }
        Listed::Connections { with_engine } => {
            streams.output.write_all(connections::titles(with_engine).as_bytes())?;
            stream::<Connections>(director, streams, |rows, text| {
                for row in rows {
                    connections::connection(text, row, with_engine, addresses);
                }
            })
        }
        Listed::Timeouts => stream::<TimeoutsQuery>(director, streams, |rows, text| {
            rows.iter().for_each(|row| text.push_str(&settings::timeouts(row)));
        }),
        Listed::SyncDaemons => stream::<SyncDaemons>(director, streams, |rows, text| {
            text.push_str(&settings::sync_daemons(rows));
        }),
    };
    match listed {
        Ok(()) => Ok(0),
        Err(Failure::Backend(ClientError::Failed(refused))) => {
            writeln!(streams.errors, "{}", refusal(Subject::Service, &refused))?;
            Ok(NOT_LISTED)
        }
        Err(failure) => Err(failure),
    }
}

/// Asks a question and hands over the rows, piece by piece.
fn ask<Q: Query>(
    args: &Q::Args,
    director: &mut dyn Backend,
    each: impl FnMut(Vec<Q::Row>),
) -> Result<(), ClientError> {
    query::ask::<Q>(args, |request, reply| director.call(request, reply), each)
}

/// Reads a whole answer, then prints it: a reader of the output that pauses does not hold up the director.
fn stream<Q: Query<Args = NoArgs>>(
    director: &mut dyn Backend,
    streams: &mut Streams<'_>,
    mut print: impl FnMut(&[Q::Row], &mut String),
) -> Result<(), Failure> {
    let mut text = String::new();
    ask::<Q>(&NoArgs {}, director, |rows| print(&rows, &mut text))?;
    Ok(streams.output.write_all(text.as_bytes())?)
}

/// Prints rows one by one.
fn print(
    rows: &[ServiceRow],
    streams: &mut Streams<'_>,
    mut write: impl FnMut(&mut String, &ServiceRow),
) -> Result<(), Failure> {
    let mut text = String::new();
    for row in rows {
        text.clear();
        write(&mut text, row);
        streams.output.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The banner, which a single service goes without, and the services. The director refuses a key it does not know.
fn listed_services(
    only: Option<ServiceKey>,
    sorted: bool,
    director: &mut dyn Backend,
) -> Result<(String, Vec<ServiceRow>), Failure> {
    if only.is_some() {
        let rows = ordered_services(only, sorted, director)?;
        if rows.is_empty() {
            let refusal = Refusal::new(RefusalCode::ESRCH, "no such service");
            return Err(Failure::Backend(ClientError::Failed(refusal)));
        }
        return Ok((String::new(), rows));
    }
    let mut size = 0;
    ask::<Info>(&NoArgs {}, director, |rows| {
        size = rows.first().map_or(size, |info| info.connection_table_size);
    })?;
    Ok((services::banner(size), ordered_services(None, sorted, director)?))
}
