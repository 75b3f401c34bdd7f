//! What a client may ask for.

use crate::model::{
    DestinationAddress, DestinationSpec, Overlay, OverlayKind, OverlayTarget, ServiceKey,
    ServiceSpec, Timeouts,
};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// One line from a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION) of the client.
    pub version: u32,
    pub request: Request,
}

/// What a client wants: `{"apply": [COMMAND, ...]}` or `{"query": NAME, "args": {...}}`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RequestObject")]
pub enum Request {
    /// Changes the desired state, in order. Each command succeeds or is refused on its own; the
    /// reply comes when every worker has acknowledged the outcome.
    Apply(Vec<Command>),
    /// Asks a question. Only the question `sysctl` can change something: a setting. The questions and their arguments are in
    /// [`query`](crate::query).
    Query {
        query: String,
        /// An object.
        args: Value,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestObject {
    apply: Option<Vec<Command>>,
    query: Option<String>,
    args: Option<Map<String, Value>>,
}

impl TryFrom<RequestObject> for Request {
    type Error = &'static str;

    fn try_from(object: RequestObject) -> Result<Self, Self::Error> {
        match object {
            RequestObject { apply: Some(commands), query: None, args: None } => {
                Ok(Request::Apply(commands))
            }
            RequestObject { apply: None, query: Some(query), args } => {
                Ok(Request::Query { query, args: Value::Object(args.unwrap_or_default()) })
            }
            _ => Err("a request has either `apply`, or `query` with or without `args`"),
        }
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        match self {
            Request::Apply(commands) => object.serialize_entry("apply", commands)?,
            Request::Query { query, args } => {
                object.serialize_entry("query", query)?;
                object.serialize_entry("args", args)?;
            }
        }
        object.end()
    }
}

/// One change of the desired state: the modifying commands of ipvsadm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    AddService(ServiceSpec),
    /// Replaces every attribute except the key.
    EditService(ServiceSpec),
    DeleteService(ServiceKey),
    /// Removes all services.
    Flush,
    AddDestination {
        service: ServiceKey,
        destination: DestinationSpec,
    },
    /// Replaces every attribute except address and port.
    EditDestination {
        service: ServiceKey,
        destination: DestinationSpec,
    },
    DeleteDestination {
        service: ServiceKey,
        at: DestinationAddress,
    },
    /// Puts an overlay on destinations; their specification stays. Refused with `ENOENT` if there are no such
    /// destinations.
    SetOverlay {
        target: OverlayTarget,
        overlay: Overlay,
    },
    /// Removes an overlay. It is not an error if there is none.
    ClearOverlay {
        target: OverlayTarget,
        kind: OverlayKind,
    },
    /// Sets the counters and rates of one service, or of all, to zero.
    Zero(Option<ServiceKey>),
    /// A value of 0 keeps the old one.
    SetTimeouts(Timeouts),
    StartSyncDaemon(SyncDaemon),
    StopSyncDaemon(SyncRole),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncRole {
    Master,
    Backup,
}

/// The text for the log.
impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::AddService(spec) => write!(out, "add service {}", spec.key),
            Command::EditService(spec) => write!(out, "edit service {}", spec.key),
            Command::DeleteService(key) => write!(out, "delete service {key}"),
            Command::Flush => out.write_str("delete all services"),
            Command::AddDestination { service, destination } => {
                let DestinationSpec { at, weight, .. } = destination;
                write!(out, "add destination {at} with weight {weight} to service {service}")
            }
            Command::EditDestination { service, destination } => {
                let DestinationSpec { at, weight, .. } = destination;
                write!(out, "edit destination {at} of service {service}, weight {weight}")
            }
            Command::DeleteDestination { service, at } => {
                write!(out, "delete destination {at} of service {service}")
            }
            Command::SetOverlay { target, overlay } => write!(out, "set {overlay} on {target}"),
            Command::ClearOverlay { target, kind } => write!(out, "clear {kind} on {target}"),
            Command::Zero(None) => out.write_str("zero all counters"),
            Command::Zero(Some(key)) => write!(out, "zero the counters of service {key}"),
            Command::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => {
                write!(
                    out,
                    "set timeouts: TCP {tcp} s, TCP FIN {tcp_fin} s, UDP {udp} s (0: as before)"
                )
            }
            Command::StartSyncDaemon(daemon) => {
                write!(out, "start a sync daemon on {}", daemon.interface)
            }
            Command::StopSyncDaemon(_) => out.write_str("stop a sync daemon"),
        }
    }
}

/// Arguments of `--start-daemon`; `None` takes the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncDaemon {
    pub role: SyncRole,
    pub interface: String,
    pub sync_id: u8,
    pub max_length: Option<u16>,
    pub group: Option<std::net::IpAddr>,
    pub port: Option<u16>,
    pub ttl: Option<u8>,
}

/// Why a command was not carried out, in the terms of the kernel's IPVS interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// The service or destination is there already.
    EEXIST,
    /// No such destination, scheduler or persistence engine.
    ENOENT,
    /// No such service.
    ESRCH,
    EINVAL,
    /// Weight or thresholds out of range.
    ERANGE,
    /// A table is full.
    ENOMEM,
    EAFNOSUPPORT,
    EOPNOTSUPP,
    ENODEV,
    /// A worker does not take changes, or the session was idle for too long.
    ETIMEDOUT,
}

/// A refused command. The state is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: RefusalCode,
    /// One sentence for people; ipvsadm prints its own text for the code.
    pub detail: String,
}

impl Refusal {
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Refusal { code, detail: detail.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.detail)
    }
}
