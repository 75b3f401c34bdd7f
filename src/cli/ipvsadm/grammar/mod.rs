//! The grammar of ipvsadm 1.31: the words of a command line to a [`CommandLine`].

mod address;
mod combination;
mod lexer;
mod number;
mod option;
mod scan;
#[cfg(test)]
mod tests;

use super::names::Names;
use super::scheduler_flags::{self, FlagError};
use crate::api::{Command, SyncDaemon};
use crate::model::{
    DestinationAddress, DestinationSpec, Family, Persistence, Protocol, SchedulerFlags,
    SchedulerKind, ServiceKey, ServiceSpec, Tunnel,
};
use combination::{check_command, check_listing, check_tunnel, has_tunnel_options};
use lexer::LexicalError;
use option::{Kind, Verb};
use scan::Scan;
use std::net::IpAddr;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandLine {
    Help,
    Version,
    /// A change of the table.
    Change(Command),
    /// A service is added (or else edited) with a scheduler that does not exist. Which refusal that
    /// is depends on whether the service exists.
    UnknownScheduler {
        adding: bool,
        key: ServiceKey,
    },
    List(Listing),
    Save {
        numeric: bool,
    },
    /// Commands come from standard input.
    Restore,
}

/// What `-L` shows and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    pub what: Listed,
    pub numeric: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    Services {
        only: Option<ServiceKey>,
        view: View,
        /// Counters in full.
        exact: bool,
        sorted: bool,
    },
    Connections {
        with_engine: bool,
    },
    Timeouts,
    SyncDaemons,
}

/// The columns of a listing of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Default,
    Stats,
    Rate,
    Thresholds,
    PersistentConnections,
    TunnelInfo,
}

impl CommandLine {
    /// The listing of ipvsadm without arguments.
    pub const LIST: CommandLine = CommandLine::List(Listing {
        what: Listed::Services { only: None, view: View::Default, exact: false, sorted: true },
        numeric: false,
    });
}

/// A command line that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    /// For standard error, without the last newline.
    pub message: String,
    /// The exit status.
    pub status: u8,
}

impl UsageError {
    /// Exit status of a line that is not ipvsadm's language.
    const LEXICAL: u8 = 255;
    /// Exit status of a wrong value or combination.
    const SEMANTIC: u8 = 2;

    fn new(message: impl Into<String>) -> Self {
        UsageError { message: message.into(), status: Self::SEMANTIC }
    }

    /// The line does not begin with a command.
    pub fn try_help() -> Self {
        UsageError {
            message: "Try `ipvsadm -h' or 'ipvsadm --help' for more information.".to_owned(),
            status: Self::LEXICAL,
        }
    }

    fn lexical(error: &LexicalError<'_>) -> Self {
        UsageError { message: format!("{}: {}", error.word, error.reason), status: Self::LEXICAL }
    }
}

/// Reads a command line, program name left out.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(words: &[String], names: &dyn Names) -> Result<CommandLine, UsageError> {
    if words.is_empty() {
        return Ok(CommandLine::LIST);
    }
    let scan = Scan::of(words, names)?;
    let flags =
        scheduler_flags::parse(&scan.scheduler_flags, &scan.scheduler).map_err(|error| {
            UsageError::new(match error {
                FlagError::Invalid(flag) => format!("invalid scheduler flag `{flag}'"),
                FlagError::Incompatible(flag) => format!("incompatible scheduler flag `{flag}'"),
            })
        })?;
    check_command(scan.verb, scan.given)?;
    let command = match scan.verb {
        Verb::Help => return Ok(CommandLine::Help),
        Verb::Version => return Ok(CommandLine::Version),
        Verb::List => return listing(&scan).map(CommandLine::List),
        Verb::Save => {
            return Ok(CommandLine::Save { numeric: scan.given.contains(Kind::Numeric) });
        }
        Verb::Restore => return Ok(CommandLine::Restore),
        Verb::AddService | Verb::EditService => return service(scan, flags),
        Verb::DeleteService => Command::DeleteService(required_key(&scan)?),
        Verb::Flush => Command::Flush,
        Verb::Zero => Command::Zero(key(&scan)),
        Verb::AddServer => {
            let (service, destination) = destination(&scan)?;
            Command::AddDestination { service, destination }
        }
        Verb::EditServer => {
            let (service, destination) = destination(&scan)?;
            Command::EditDestination { service, destination }
        }
        Verb::DeleteServer => {
            let (address, port) = required_server(&scan)?;
            let service = required_key(&scan)?;
            Command::DeleteDestination { service, at: DestinationAddress { address, port } }
        }
        Verb::SetTimeouts => Command::SetTimeouts(scan.timeouts.ok_or_else(UsageError::try_help)?),
        Verb::StartDaemon => Command::StartSyncDaemon(sync_daemon(scan)?),
        Verb::StopDaemon => Command::StopSyncDaemon(scan.role.ok_or_else(UsageError::try_help)?),
    };
    Ok(CommandLine::Change(command))
}

fn key(scan: &Scan) -> Option<ServiceKey> {
    match (scan.mark, scan.address) {
        (Some(mark), _) => Some(ServiceKey::Fwmark { mark, family: scan.family }),
        (None, Some(address)) => {
            Some(ServiceKey::Address { protocol: scan.protocol?, address, port: scan.port })
        }
        (None, None) => None,
    }
}

/// The key of a command that requires one.
fn required_key(scan: &Scan) -> Result<ServiceKey, UsageError> {
    key(scan).ok_or_else(UsageError::try_help)
}

fn service(scan: Scan, scheduler_flags: SchedulerFlags) -> Result<CommandLine, UsageError> {
    let key = required_key(&scan)?;
    let one_packet = scan.given.contains(Kind::OnePacket);
    if let ServiceKey::Address { protocol, port, .. } = key {
        if port == 0 && scan.persistence_s.is_none() {
            return Err(UsageError::new("Zero port specified for non-persistent service"));
        }
        if one_packet && protocol != Protocol::Udp {
            let message = "One-Packet Scheduling is only for UDP virtual services";
            return Err(UsageError::new(message));
        }
    }
    let adding = scan.verb == Verb::AddService;
    let name = if scan.scheduler.is_empty() { "wlc" } else { &scan.scheduler };
    let Ok(scheduler) = name.parse::<SchedulerKind>() else {
        return Ok(CommandLine::UnknownScheduler { adding, key });
    };
    let netmask = scan.netmask;
    let spec = ServiceSpec {
        key,
        scheduler,
        scheduler_flags,
        one_packet,
        persistence: scan.persistence_s.map(|timeout_s| Persistence { timeout_s, mask: netmask }),
        persistence_engine: scan.engine,
    };
    Ok(CommandLine::Change(if adding {
        Command::AddService(spec)
    } else {
        Command::EditService(spec)
    }))
}

fn sync_daemon(scan: Scan) -> Result<SyncDaemon, UsageError> {
    Ok(SyncDaemon {
        role: scan.role.ok_or_else(UsageError::try_help)?,
        interface: scan.interface,
        sync_id: scan.sync_id,
        max_length: scan.sync_max_length,
        group: scan.group,
        port: scan.group_port,
        ttl: scan.group_ttl,
    })
}

/// The server of a command that requires one.
fn required_server(scan: &Scan) -> Result<(IpAddr, u16), UsageError> {
    scan.server.ok_or_else(UsageError::try_help)
}

fn destination(scan: &Scan) -> Result<(ServiceKey, DestinationSpec), UsageError> {
    let service = required_key(scan)?;
    let (address, mut port) = required_server(scan)?;
    // Only NAT can change the port. The other methods use the service's port.
    if !service.is_fwmark() && !scan.method.maps_ports() {
        port = service.port();
    }
    let tunnelled = scan.method.encapsulates();
    if Family::of(address) != service.family() && !tunnelled {
        let message = "Different address family is allowed only for tunneling servers";
        return Err(UsageError::new(message));
    }
    if !tunnelled && has_tunnel_options(scan.given) {
        return Err(UsageError::new("Tunnel options conflict with forward method"));
    }
    let destination = DestinationSpec {
        at: DestinationAddress { address, port },
        method: scan.method,
        weight: scan.weight,
        upper_threshold: scan.upper_threshold,
        lower_threshold: scan.lower_threshold,
        tunnel: tunnel(scan)?,
    };
    Ok((service, destination))
}

fn tunnel(scan: &Scan) -> Result<Tunnel, UsageError> {
    let checksum = scan.checksum;
    let (name, tunnel) = match scan.tunnel {
        Tunnel::Ipip => ("ipip", Tunnel::Ipip),
        Tunnel::Gue { .. } => ("gue", Tunnel::Gue { port: scan.tunnel_port, checksum }),
        Tunnel::Gre { .. } => ("gre", Tunnel::Gre { checksum }),
    };
    check_tunnel(name, scan.given)?;
    Ok(tunnel)
}

fn listing(scan: &Scan) -> Result<Listing, UsageError> {
    let given = scan.given;
    check_listing(given)?;
    let what = if given.contains(Kind::Connection) {
        Listed::Connections { with_engine: given.contains(Kind::PersistentConn) }
    } else if given.contains(Kind::Timeout) {
        Listed::Timeouts
    } else if given.contains(Kind::Daemon) {
        Listed::SyncDaemons
    } else {
        let view = [
            (Kind::Stats, View::Stats),
            (Kind::Rate, View::Rate),
            (Kind::Thresholds, View::Thresholds),
            (Kind::PersistentConn, View::PersistentConnections),
            (Kind::TunnelInfo, View::TunnelInfo),
        ]
        .into_iter()
        .find_map(|(kind, view)| given.contains(kind).then_some(view))
        .unwrap_or(View::Default);
        Listed::Services {
            only: key(scan),
            view,
            exact: given.contains(Kind::Exact),
            sorted: !given.contains(Kind::NoSort),
        }
    };
    Ok(Listing { what, numeric: given.contains(Kind::Numeric) })
}
