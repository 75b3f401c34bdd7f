//! Every option of ipvsadm: how it is written and what it means.

use crate::model::{ForwardMethod, Protocol, TunnelChecksum};

/// The commands. The first option of a command line must be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    AddService,
    EditService,
    DeleteService,
    Flush,
    List,
    Zero,
    AddServer,
    EditServer,
    DeleteServer,
    SetTimeouts,
    Restore,
    Save,
    StartDaemon,
    StopDaemon,
    Help,
    Version,
}

impl Verb {
    /// The word for it in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Verb::AddService => "add-service",
            Verb::EditService => "edit-service",
            Verb::DeleteService => "delete-service",
            Verb::Flush => "flush",
            Verb::List => "list",
            Verb::Zero => "zero",
            Verb::AddServer => "add-server",
            Verb::EditServer => "edit-server",
            Verb::DeleteServer => "delete-server",
            Verb::SetTimeouts => "set",
            Verb::Restore => "restore",
            Verb::Save => "save",
            Verb::StartDaemon => "start-daemon",
            Verb::StopDaemon => "stop-daemon",
            Verb::Help => "help",
            Verb::Version => "version",
        }
    }
}

/// Declares the kinds with their words, so that order, list and names are always consistent.
macro_rules! kinds {
    ($($kind:ident = $name:literal,)*) => {
        /// The parameters, in the order in which combinations are checked. Options that exclude
        /// each other by nature (`-t` and `-f`, say) are one kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub(crate) const ALL: &[Kind] = &[$(Kind::$kind,)*];

            /// The word for it in messages.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    Numeric = "numeric",
    Connection = "connection",
    ServiceAddress = "service-address",
    Scheduler = "scheduler",
    Persistent = "persistent",
    Netmask = "netmask",
    RealServer = "real-server",
    ForwardingMethod = "forwarding-method",
    Weight = "weight",
    UpperThreshold = "u-threshold",
    LowerThreshold = "l-threshold",
    McastInterface = "mcast-interface",
    Timeout = "timeout",
    Daemon = "daemon",
    Stats = "stats",
    Rate = "rate",
    Thresholds = "thresholds",
    PersistentConn = "persistent-conn",
    NoSort = "nosort",
    SyncId = "syncid",
    Exact = "exact",
    OnePacket = "ops",
    PersistenceEngine = "pe",
    SchedulerFlags = "sched-flags",
    McastGroup = "mcast-group",
    McastPort = "mcast-port",
    McastTtl = "mcast-ttl",
    SyncMaxLength = "sync-maxlen",
    TunnelInfo = "tun-info",
    TunnelType = "tun-type",
    TunnelPort = "tun-port",
    TunnelNoChecksum = "tun-nocsum",
    TunnelChecksum = "tun-csum",
    TunnelRemoteChecksum = "tun-remcsum",
}

/// Which kinds a command line has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u64);

impl Kinds {
    pub(super) const fn of(kinds: &[Kind]) -> Self {
        let mut set = 0;
        let mut index = 0;
        while index < kinds.len() {
            set |= 1 << kinds[index] as u64;
            index += 1;
        }
        Kinds(set)
    }

    pub(super) const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u64) != 0
    }

    pub(super) const fn intersects(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// False if it was there already.
    pub(super) fn insert(&mut self, kind: Kind) -> bool {
        let new = !self.contains(kind);
        self.0 |= 1 << kind as u64;
        new
    }
}

/// The meaning of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Command(Verb),
    /// The service by address.
    Service(Protocol),
    /// The service by firewall mark.
    Fwmark,
    /// The firewall mark is for IPv6.
    Ipv6,
    Method(ForwardMethod),
    Checksum(TunnelChecksum),
    /// Accepted for old scripts; listings are sorted anyway.
    Sort,
    /// Everything that is the only option of its kind.
    Parameter(Kind),
}

impl Meaning {
    /// The kind it counts as; `None` if it is a command or may be repeated.
    pub(super) const fn kind(self) -> Option<Kind> {
        match self {
            Meaning::Command(_) | Meaning::Ipv6 | Meaning::Sort => None,
            Meaning::Service(_) | Meaning::Fwmark => Some(Kind::ServiceAddress),
            Meaning::Method(_) => Some(Kind::ForwardingMethod),
            Meaning::Checksum(TunnelChecksum::None) => Some(Kind::TunnelNoChecksum),
            Meaning::Checksum(TunnelChecksum::Full) => Some(Kind::TunnelChecksum),
            Meaning::Checksum(TunnelChecksum::Remote) => Some(Kind::TunnelRemoteChecksum),
            Meaning::Parameter(kind) => Some(kind),
        }
    }
}

/// Whether an option is followed by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    None,
    Required,
    /// Taken unless the next word begins with `-`.
    Optional,
}

/// One way to write an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    /// The letters for it, any of them.
    pub short: &'static str,
    pub long: &'static str,
    pub argument: Argument,
    pub meaning: Meaning,
}

const fn command(short: &'static str, long: &'static str, verb: Verb) -> Spelling {
    Spelling { short, long, argument: Argument::None, meaning: Meaning::Command(verb) }
}

const fn flag(short: &'static str, long: &'static str, meaning: Meaning) -> Spelling {
    Spelling { short, long, argument: Argument::None, meaning }
}

const fn valued(short: &'static str, long: &'static str, meaning: Meaning) -> Spelling {
    Spelling { short, long, argument: Argument::Required, meaning }
}

/// Every option there is.
pub(super) const SPELLINGS: [Spelling; 57] = [
    command("A", "add-service", Verb::AddService),
    command("E", "edit-service", Verb::EditService),
    command("D", "delete-service", Verb::DeleteService),
    command("C", "clear", Verb::Flush),
    command("Ll", "list", Verb::List),
    command("Z", "zero", Verb::Zero),
    command("a", "add-server", Verb::AddServer),
    command("e", "edit-server", Verb::EditServer),
    command("d", "delete-server", Verb::DeleteServer),
    command("", "set", Verb::SetTimeouts),
    command("R", "restore", Verb::Restore),
    command("S", "save", Verb::Save),
    valued("", "start-daemon", Meaning::Command(Verb::StartDaemon)),
    valued("", "stop-daemon", Meaning::Command(Verb::StopDaemon)),
    command("h", "help", Verb::Help),
    command("v", "version", Verb::Version),
    valued("t", "tcp-service", Meaning::Service(Protocol::Tcp)),
    valued("u", "udp-service", Meaning::Service(Protocol::Udp)),
    valued("", "sctp-service", Meaning::Service(Protocol::Sctp)),
    valued("f", "fwmark-service", Meaning::Fwmark),
    flag("6", "ipv6", Meaning::Ipv6),
    valued("s", "scheduler", Meaning::Parameter(Kind::Scheduler)),
    Spelling {
        short: "p",
        long: "persistent",
        argument: Argument::Optional,
        meaning: Meaning::Parameter(Kind::Persistent),
    },
    valued("M", "netmask", Meaning::Parameter(Kind::Netmask)),
    valued("", "pe", Meaning::Parameter(Kind::PersistenceEngine)),
    flag("o", "ops", Meaning::Parameter(Kind::OnePacket)),
    valued("b", "sched-flags", Meaning::Parameter(Kind::SchedulerFlags)),
    valued("r", "real-server", Meaning::Parameter(Kind::RealServer)),
    flag("g", "gatewaying", Meaning::Method(ForwardMethod::Route)),
    flag("i", "ipip", Meaning::Method(ForwardMethod::Tunnel)),
    flag("m", "masquerading", Meaning::Method(ForwardMethod::Masq)),
    valued("w", "weight", Meaning::Parameter(Kind::Weight)),
    valued("x", "u-threshold", Meaning::Parameter(Kind::UpperThreshold)),
    valued("y", "l-threshold", Meaning::Parameter(Kind::LowerThreshold)),
    valued("", "tun-type", Meaning::Parameter(Kind::TunnelType)),
    valued("", "tun-port", Meaning::Parameter(Kind::TunnelPort)),
    flag("", "tun-nocsum", Meaning::Checksum(TunnelChecksum::None)),
    flag("", "tun-csum", Meaning::Checksum(TunnelChecksum::Full)),
    flag("", "tun-remcsum", Meaning::Checksum(TunnelChecksum::Remote)),
    flag("n", "numeric", Meaning::Parameter(Kind::Numeric)),
    flag("c", "connection", Meaning::Parameter(Kind::Connection)),
    flag("", "timeout", Meaning::Parameter(Kind::Timeout)),
    flag("", "daemon", Meaning::Parameter(Kind::Daemon)),
    flag("", "stats", Meaning::Parameter(Kind::Stats)),
    flag("", "rate", Meaning::Parameter(Kind::Rate)),
    flag("", "thresholds", Meaning::Parameter(Kind::Thresholds)),
    flag("", "persistent-conn", Meaning::Parameter(Kind::PersistentConn)),
    flag("", "nosort", Meaning::Parameter(Kind::NoSort)),
    flag("", "sort", Meaning::Sort),
    flag("", "tun-info", Meaning::Parameter(Kind::TunnelInfo)),
    flag("X", "exact", Meaning::Parameter(Kind::Exact)),
    valued("", "syncid", Meaning::Parameter(Kind::SyncId)),
    valued("", "sync-maxlen", Meaning::Parameter(Kind::SyncMaxLength)),
    valued("", "mcast-interface", Meaning::Parameter(Kind::McastInterface)),
    valued("", "mcast-group", Meaning::Parameter(Kind::McastGroup)),
    valued("", "mcast-port", Meaning::Parameter(Kind::McastPort)),
    valued("", "mcast-ttl", Meaning::Parameter(Kind::McastTtl)),
];
