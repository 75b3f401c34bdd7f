//! Which options go with which command, and with each other.

use super::UsageError;
use super::option::{Kind, Kinds, Verb};

/// What a command wants of the options.
struct Rule {
    required: Kinds,
    optional: Kinds,
    /// At most one of these.
    exclusive: Kinds,
}

const NONE: Kinds = Kinds::of(&[]);
const SERVICE: Kinds = Kinds::of(&[Kind::ServiceAddress]);
const SERVICE_AND_SERVER: Kinds = Kinds::of(&[Kind::ServiceAddress, Kind::RealServer]);

const SERVICE_ATTRIBUTES: Kinds = Kinds::of(&[
    Kind::Scheduler,
    Kind::Persistent,
    Kind::Netmask,
    Kind::OnePacket,
    Kind::PersistenceEngine,
    Kind::SchedulerFlags,
]);

const SERVER_ATTRIBUTES: Kinds = Kinds::of(&[
    Kind::ForwardingMethod,
    Kind::Weight,
    Kind::UpperThreshold,
    Kind::LowerThreshold,
    Kind::TunnelType,
    Kind::TunnelPort,
    Kind::TunnelNoChecksum,
    Kind::TunnelChecksum,
    Kind::TunnelRemoteChecksum,
]);

const LIST_ATTRIBUTES: Kinds = Kinds::of(&[
    Kind::Numeric,
    Kind::Stats,
    Kind::Rate,
    Kind::Thresholds,
    Kind::PersistentConn,
    Kind::NoSort,
    Kind::SyncId,
    Kind::Exact,
    Kind::TunnelInfo,
]);

const LISTED: Kinds =
    Kinds::of(&[Kind::Connection, Kind::ServiceAddress, Kind::Timeout, Kind::Daemon]);

const SYNC_ATTRIBUTES: Kinds = Kinds::of(&[
    Kind::McastInterface,
    Kind::SyncId,
    Kind::McastGroup,
    Kind::McastPort,
    Kind::McastTtl,
    Kind::SyncMaxLength,
]);

const fn rule(verb: Verb) -> Rule {
    let (required, optional, exclusive) = match verb {
        Verb::AddService | Verb::EditService => (SERVICE, SERVICE_ATTRIBUTES, NONE),
        Verb::DeleteService => (SERVICE, NONE, NONE),
        Verb::List => (NONE, LIST_ATTRIBUTES, LISTED),
        Verb::Zero => (NONE, SERVICE, NONE),
        Verb::AddServer | Verb::EditServer => (SERVICE_AND_SERVER, SERVER_ATTRIBUTES, NONE),
        Verb::DeleteServer => (SERVICE_AND_SERVER, NONE, NONE),
        Verb::Save => (NONE, Kinds::of(&[Kind::Numeric]), NONE),
        Verb::StartDaemon => (NONE, SYNC_ATTRIBUTES, NONE),
        Verb::StopDaemon => (NONE, Kinds::of(&[Kind::SyncId]), NONE),
        Verb::Flush | Verb::SetTimeouts | Verb::Restore | Verb::Help | Verb::Version => {
            (NONE, NONE, NONE)
        }
    };
    Rule { required, optional, exclusive }
}

/// Checks the kinds in order and stops at the first that is missing or not allowed.
fn check(given: Kinds, kinds: &[Kind], rule: &Rule, owner: &str) -> Result<(), UsageError> {
    let mut chosen: Option<Kind> = None;
    for &kind in kinds {
        let name = kind.name();
        if !given.contains(kind) {
            if rule.required.contains(kind) {
                let message = format!("You need to supply the '{name}' option for the {owner}");
                return Err(UsageError::new(message));
            }
        } else if rule.exclusive.contains(kind) {
            if let Some(earlier) = chosen.replace(kind) {
                let earlier = earlier.name();
                return Err(UsageError::new(format!(
                    "The option '{name}' conflicts with the '{earlier}' option in the {owner}"
                )));
            }
        } else if !rule.required.contains(kind) && !rule.optional.contains(kind) {
            let message = format!("Illegal '{name}' option with the {owner}");
            return Err(UsageError::new(message));
        }
    }
    Ok(())
}

/// # Errors
/// An option is missing, has no meaning with this command, or excludes another.
pub(super) fn check_command(verb: Verb, given: Kinds) -> Result<(), UsageError> {
    check(given, Kind::ALL, &rule(verb), &format!("'{}' command", verb.name()))
}

/// # Errors
/// The listings asked for do not go together.
pub(super) fn check_listing(given: Kinds) -> Result<(), UsageError> {
    let tables = Kinds::of(&[Kind::Connection, Kind::Timeout, Kind::Daemon]);
    let views = Kinds::of(&[Kind::Stats, Kind::Rate, Kind::Thresholds]);
    let settings = Kinds::of(&[Kind::Timeout, Kind::Daemon]);
    if (given.intersects(tables) && given.intersects(views))
        || (given.intersects(settings) && given.contains(Kind::PersistentConn))
    {
        return Err(UsageError::new("options conflicts in the list command"));
    }
    Ok(())
}

/// The options about tunnels, as [`check_tunnel`] goes through them.
const TUNNEL: [Kind; 5] = [
    Kind::TunnelType,
    Kind::TunnelPort,
    Kind::TunnelNoChecksum,
    Kind::TunnelChecksum,
    Kind::TunnelRemoteChecksum,
];

/// True if any option about tunnels is given.
pub(super) fn has_tunnel_options(given: Kinds) -> bool {
    given.intersects(Kinds::of(&TUNNEL))
}

/// # Errors
/// A tunnel option is missing or has no meaning with the tunnel type called `name`.
pub(super) fn check_tunnel(name: &str, given: Kinds) -> Result<(), UsageError> {
    let (required, exclusive) = match name {
        "gue" => (
            Kinds::of(&[Kind::TunnelPort]),
            Kinds::of(&[Kind::TunnelNoChecksum, Kind::TunnelChecksum, Kind::TunnelRemoteChecksum]),
        ),
        "gre" => (NONE, Kinds::of(&[Kind::TunnelNoChecksum, Kind::TunnelChecksum])),
        _ => (NONE, NONE),
    };
    let rule = Rule { required, optional: Kinds::of(&[Kind::TunnelType]), exclusive };
    check(given, &TUNNEL, &rule, &format!("'{name}' tunnel type"))
}
