//! Goes through the options from left to right and reads their values. The first value that makes
//! no sense ends it; whether the options go together is asked afterwards.

use super::UsageError;
use super::address::{HostPort, host_port, ipv4};
use super::lexer::{Lexer, Token};
use super::number::{leading_number, number};
use super::option::{Kind, Kinds, Meaning, Verb};
use crate::api::SyncRole;
use crate::cli::ipvsadm::names::Names;
use crate::limits::SCHEDULER_NAME;
use crate::model::{
    Family, ForwardMethod, PersistenceMask, Protocol, Timeouts, Tunnel, TunnelChecksum,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name of a network interface that is kept.
const INTERFACE_NAME: usize = 15;

/// Persistence timeout of a bare `-p`, in seconds.
const PERSISTENCE_DEFAULT: u32 = 360;

/// Largest weight and threshold.
const COUNT_MAX: i64 = i32::MAX as i64;

/// Largest UDP payload a synchronisation message can have.
const SYNC_LENGTH_MAX: i64 = 65_507;

/// The values of all options.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub verb: Verb,
    pub given: Kinds,
    /// The protocol whose names ports have, after a service was given.
    pub protocol: Option<Protocol>,
    pub address: Option<IpAddr>,
    pub port: u16,
    pub mark: Option<u32>,
    pub family: Family,
    pub netmask: PersistenceMask,
    pub scheduler: String,
    pub scheduler_flags: String,
    pub persistence_s: Option<u32>,
    pub engine: Option<String>,
    pub server: Option<(IpAddr, u16)>,
    pub method: ForwardMethod,
    pub weight: u32,
    pub upper_threshold: u32,
    pub lower_threshold: u32,
    pub tunnel: Tunnel,
    pub tunnel_port: u16,
    pub checksum: TunnelChecksum,
    pub role: Option<SyncRole>,
    pub interface: String,
    pub sync_id: u8,
    pub sync_max_length: Option<u16>,
    pub group: Option<IpAddr>,
    pub group_port: Option<u16>,
    pub group_ttl: Option<u8>,
    pub timeouts: Option<Timeouts>,
}

impl Scan {
    fn new(verb: Verb) -> Self {
        Scan {
            verb,
            given: Kinds::default(),
            protocol: None,
            address: None,
            port: 0,
            mark: None,
            family: Family::Ipv4,
            netmask: PersistenceMask::full(Family::Ipv4),
            scheduler: String::new(),
            scheduler_flags: String::new(),
            persistence_s: None,
            engine: None,
            server: None,
            method: ForwardMethod::Route,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: Tunnel::Ipip,
            tunnel_port: 0,
            checksum: TunnelChecksum::None,
            role: None,
            interface: "eth0".to_owned(),
            sync_id: 0,
            sync_max_length: None,
            group: None,
            group_port: None,
            group_ttl: None,
            timeouts: None,
        }
    }

    /// Reads a whole command line.
    ///
    /// # Errors
    /// The message and exit status for the first word that is wrong.
    pub(super) fn of(words: &[String], names: &dyn Names) -> Result<Self, UsageError> {
        let mut lexer = Lexer::new(words);
        let Some(Ok(first)) = lexer.next_token() else { return Err(UsageError::try_help()) };
        let Meaning::Command(verb) = first.spelling.meaning else {
            return Err(UsageError::try_help());
        };
        let mut scan = Scan::new(verb);
        if matches!(verb, Verb::Help | Verb::Version) {
            return Ok(scan);
        }
        scan.read_role(first.value.unwrap_or_default())?;
        while let Some(token) = lexer.next_token() {
            let token = token.map_err(|error| UsageError::lexical(&error))?;
            scan.read(&token, names)?;
        }
        if verb == Verb::SetTimeouts {
            scan.read_timeouts(&mut lexer)?;
        }
        match lexer.positional.front() {
            Some(word) => Err(UsageError::new(format!("unexpected argument {word}"))),
            None => Ok(scan),
        }
    }

    fn read_role(&mut self, value: &str) -> Result<(), UsageError> {
        let wrong = match self.verb {
            Verb::StartDaemon => "illegal start-daemon parameter specified",
            Verb::StopDaemon => "illegal start_daemon specified",
            _ => return Ok(()),
        };
        self.role = Some(match value {
            "master" => SyncRole::Master,
            "backup" => SyncRole::Backup,
            _ => return Err(UsageError::new(wrong)),
        });
        Ok(())
    }

    fn read_timeouts(&mut self, lexer: &mut Lexer<'_>) -> Result<(), UsageError> {
        if lexer.positional.len() < 3 {
            return Err(UsageError::new("--set option requires 3 timeout values"));
        }
        let mut values = [0; 3];
        for (value, word) in values.iter_mut().zip(lexer.positional.drain(..3)) {
            *value = seconds(word, 0)?;
        }
        let [tcp, tcp_fin, udp] = values;
        self.timeouts = Some(Timeouts { tcp, tcp_fin, udp });
        Ok(())
    }

    fn read(&mut self, token: &Token<'_>, names: &dyn Names) -> Result<(), UsageError> {
        if let Some(kind) = token.spelling.meaning.kind()
            && !self.given.insert(kind)
        {
            let message = format!("multiple '{}' options specified", kind.name());
            return Err(UsageError::new(message));
        }
        let value = token.value.unwrap_or_default();
        match token.spelling.meaning {
            Meaning::Command(_) => Err(UsageError::new(format!("invalid option `{}'", token.word))),
            Meaning::Service(protocol) => self.read_service(protocol, value, names),
            Meaning::Fwmark => {
                let mark = number(value, 1, i64::from(u32::MAX))
                    .and_then(|mark| u32::try_from(mark).ok())
                    .ok_or_else(|| quoted("invalid fwmark value", value))?;
                self.mark = Some(mark);
                // The names of its servers' ports are looked up as TCP's.
                self.protocol = Some(Protocol::Tcp);
                Ok(())
            }
            Meaning::Ipv6 if self.mark.is_none() => Err(UsageError::new("-6 used before -f\n")),
            Meaning::Ipv6 => {
                self.family = Family::Ipv6;
                self.netmask = PersistenceMask::full(Family::Ipv6);
                Ok(())
            }
            Meaning::Method(method) => {
                self.method = method;
                Ok(())
            }
            Meaning::Checksum(checksum) => {
                self.checksum = checksum;
                Ok(())
            }
            Meaning::Sort => Ok(()),
            Meaning::Parameter(Kind::Persistent) => {
                self.persistence_s = Some(match token.value {
                    Some(value) => seconds(value, 1)?,
                    None => PERSISTENCE_DEFAULT,
                });
                Ok(())
            }
            Meaning::Parameter(kind) => self.read_parameter(kind, value, names),
        }
    }

    fn read_service(
        &mut self,
        protocol: Protocol,
        value: &str,
        names: &dyn Names,
    ) -> Result<(), UsageError> {
        let HostPort { address, port } = host_port(value, Some(protocol), names)
            .ok_or_else(|| UsageError::new("illegal virtual server address[:port] specified"))?;
        self.protocol = Some(protocol);
        self.address = Some(address);
        self.port = port.unwrap_or(0);
        self.family = Family::of(address);
        if self.family == Family::Ipv6 {
            self.netmask = PersistenceMask::full(Family::Ipv6);
        }
        Ok(())
    }

    fn read_parameter(
        &mut self,
        kind: Kind,
        value: &str,
        names: &dyn Names,
    ) -> Result<(), UsageError> {
        match kind {
            Kind::Scheduler => self.scheduler = value.chars().take(SCHEDULER_NAME).collect(),
            Kind::SchedulerFlags => value.clone_into(&mut self.scheduler_flags),
            // An empty name means no engine.
            Kind::PersistenceEngine => {
                self.engine = (!value.is_empty()).then(|| value.to_owned());
            }
            Kind::Netmask => self.netmask = self.read_netmask(value, names)?,
            Kind::RealServer => {
                let HostPort { address, port } = host_port(value, self.protocol, names)
                    .ok_or_else(|| {
                        UsageError::new("illegal real server address[:port] specified")
                    })?;
                self.server = Some((address, port.unwrap_or(self.port)));
            }
            Kind::Weight => self.weight = count(value, "illegal weight specified")?,
            Kind::UpperThreshold => {
                self.upper_threshold = count(value, "illegal u_threshold specified")?;
            }
            Kind::LowerThreshold => {
                self.lower_threshold = count(value, "illegal l_threshold specified")?;
            }
            Kind::TunnelType => self.tunnel = tunnel_type(value)?,
            Kind::TunnelPort => {
                self.tunnel_port = ranged(value, 1, 65535, "illegal tunnel port specified")?;
            }
            Kind::SyncId => self.sync_id = ranged(value, 0, 255, "illegal syncid specified")?,
            Kind::SyncMaxLength => {
                let length = ranged(value, 1, SYNC_LENGTH_MAX, "illegal sync-maxlen specified")?;
                self.sync_max_length = Some(length);
            }
            Kind::McastInterface => self.interface = value.chars().take(INTERFACE_NAME).collect(),
            Kind::McastGroup => self.group = Some(multicast_group(value)?),
            Kind::McastPort => {
                self.group_port = Some(ranged(value, 1, 65535, "illegal mcast-port specified")?);
            }
            Kind::McastTtl => {
                self.group_ttl = Some(ranged(value, 1, 255, "illegal mcast-ttl specified")?);
            }
            // The other options are flags without a value.
            _ => {}
        }
        Ok(())
    }

    /// What `-M` means depends on the family known so far.
    fn read_netmask(&self, value: &str, names: &dyn Names) -> Result<PersistenceMask, UsageError> {
        match self.family {
            Family::Ipv6 => match u8::try_from(leading_number(value)) {
                Ok(prefix @ 1..=128) => Ok(PersistenceMask::Ipv6(prefix)),
                _ => Err(UsageError::new("illegal ipv6 netmask specified")),
            },
            Family::Ipv4 => ipv4(value, names)
                .map(PersistenceMask::Ipv4)
                .ok_or_else(|| UsageError::new("illegal virtual server persistent mask specified")),
        }
    }
}

fn ranged<T: TryFrom<i64>>(
    value: &str,
    least: i64,
    most: i64,
    wrong: &str,
) -> Result<T, UsageError> {
    number(value, least, most)
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| UsageError::new(wrong))
}

fn count(value: &str, wrong: &str) -> Result<u32, UsageError> {
    ranged(value, 0, COUNT_MAX, wrong)
}

fn seconds(value: &str, least: i64) -> Result<u32, UsageError> {
    number(value, least, i64::from(Timeouts::MAX_S))
        .and_then(|value| u32::try_from(value).ok())
        .ok_or_else(|| quoted("invalid timeout value", value))
}

fn quoted(what: &str, value: &str) -> UsageError {
    UsageError::new(format!("{what} `{value}' specified"))
}

/// The type alone; port and checksum join it when the whole line is known.
fn tunnel_type(value: &str) -> Result<Tunnel, UsageError> {
    match value {
        "ipip" => Ok(Tunnel::Ipip),
        "gue" => Ok(Tunnel::Gue { port: 0, checksum: TunnelChecksum::None }),
        "gre" => Ok(Tunnel::Gre { checksum: TunnelChecksum::None }),
        _ => Err(UsageError::new("illegal tunnel type specified")),
    }
}

fn multicast_group(value: &str) -> Result<IpAddr, UsageError> {
    let (family, group) = if value.contains(':') {
        ("IPv6", value.parse::<Ipv6Addr>().ok().map(IpAddr::V6))
    } else {
        ("IPv4", value.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
    };
    group
        .filter(IpAddr::is_multicast)
        .ok_or_else(|| UsageError::new(format!("invalid {family} mcast-group `{value}'")))
}
