//! ipvsadm's words for what the director refuses.

use crate::api::{Command, Refusal, RefusalCode};

/// What a command is about; the same code means different things for different subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Service,
    Destination,
    SyncDaemon,
    Other,
}

impl Subject {
    pub(super) fn of(command: &Command) -> Self {
        match command {
            Command::AddService(_)
            | Command::EditService(_)
            | Command::DeleteService(_)
            | Command::Zero(_) => Subject::Service,
            Command::AddDestination { .. }
            | Command::EditDestination { .. }
            | Command::DeleteDestination { .. }
            | Command::SetOverlay { .. }
            | Command::ClearOverlay { .. } => Subject::Destination,
            Command::StartSyncDaemon(_) | Command::StopSyncDaemon(_) => Subject::SyncDaemon,
            Command::Flush | Command::SetTimeouts(_) => Subject::Other,
        }
    }
}

/// The text for a code, as ipvsadm has it. Only what IPVS never refuses is told in the director's own words.
pub(super) fn refusal(subject: Subject, refusal: &Refusal) -> &str {
    use RefusalCode::{
        EAFNOSUPPORT, EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, ERANGE, ESRCH, ETIMEDOUT,
    };
    match (subject, refusal.code) {
        (Subject::Service, EEXIST) => "Service already exists",
        (Subject::Service, ENOENT) => "Scheduler or persistence engine not found",
        (Subject::Service, ESRCH) => "No such service",
        (Subject::Destination, EEXIST) => "Destination already exists",
        (Subject::Destination, ENOENT) => "No such destination",
        (Subject::Destination, ESRCH) => "Service not defined",
        (Subject::SyncDaemon, EEXIST) => "Daemon has already run",
        (Subject::SyncDaemon, ESRCH) => "No daemon is running",
        (Subject::SyncDaemon, EOPNOTSUPP) => &refusal.detail,
        (_, EINVAL) => {
            "Invalid operation.  Possibly wrong module version, address not unicast, ..."
        }
        (_, ENOMEM) => "Memory allocation problem",
        (_, EOPNOTSUPP) => "Operation not supported with IPv6",
        (_, EAFNOSUPPORT) => "Operation not supported with specified address family",
        (_, ERANGE) => "Numerical result out of range",
        (_, ENODEV) => "No such device",
        (_, EEXIST) => "File exists",
        (_, ENOENT) => "No such file or directory",
        (_, ESRCH) => "No such process",
        (_, ETIMEDOUT) => &refusal.detail,
    }
}
