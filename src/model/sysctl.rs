//! The settings that Linux calls `net.ipv4.vs.*`: names, defaults, ranges and meanings.
//!
//! [`Sysctls`] is plain data that a snapshot carries to the workers. Settings without a meaning outside the kernel are
//! refused with the reason ([`Sysctls::refused`]), so that an operator learns that they have no effect here.

use std::ops::RangeInclusive;
use thiserror::Error;

/// Why a setting was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SysctlError {
    /// The setting does not exist. The kernel answers ENOENT.
    #[error("unknown setting `{0}`; `directorctl sysctl` lists all settings")]
    Unknown(String),
    /// The value is not allowed. The kernel answers EINVAL.
    #[error("`{value}` is not a valid value of {name}; allowed: {allowed}")]
    Invalid { name: &'static str, value: String, allowed: String },
    /// The kernel has the setting; the director does not.
    #[error("{name} does not exist here: {reason}")]
    Refused { name: &'static str, reason: &'static str },
}

/// One setting, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysctlValue {
    pub name: &'static str,
    pub value: String,
    pub default: String,
    /// The allowed values.
    pub allowed: String,
    /// What it does, in one sentence.
    pub help: &'static str,
}

/// How one setting is read, checked and written.
struct Setting {
    name: &'static str,
    help: &'static str,
    kind: Kind,
}

enum Kind {
    /// One whole number in a range.
    Number { range: RangeInclusive<i64>, get: fn(&Sysctls) -> i64, set: fn(&mut Sysctls, i64) },
    /// A whole number from 1 that is a power of two.
    PowerOfTwo { get: fn(&Sysctls) -> i64, set: fn(&mut Sysctls, i64) },
    /// `sync_threshold` and `sync_period` together.
    Threshold,
}

/// Any `int`: the kernel does not check the value.
const ANY: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;
const NOT_NEGATIVE: RangeInclusive<i64> = 0..=i32::MAX as i64;

/// Settings of one number. Each row: meaning, field, type, default and kind.
macro_rules! settings {
    ($($(#[doc = $help:literal])+ $field:ident: $type:ty = $default:expr, $kind:ident $(($range:expr))?;)*) => {
        /// All settings. For switches where the kernel allows any number, every value except 0 means on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Sysctls {
            $($(#[doc = $help])+ pub $field: $type,)*
            /// T of the `sync_threshold` pair: the connection is synchronised at its T-th packet.
            pub sync_threshold: i32,
            /// P of the `sync_threshold` pair: after that, at every P-th packet. 0: never again.
            pub sync_period: i32,
        }

        impl Default for Sysctls {
            fn default() -> Self {
                Sysctls { $($field: $default,)* sync_threshold: 3, sync_period: 50 }
            }
        }

        static SETTINGS: &[Setting] = &[
            $(Setting {
                name: stringify!($field),
                help: concat!($($help),+).trim_ascii(),
                kind: Kind::$kind {
                    $(range: $range,)?
                    get: |all| i64::from(all.$field),
                    set: |all, value| all.$field = value as $type,
                },
            },)*
            Setting {
                name: "sync_threshold",
                help: "T and P: the master synchronises a connection at its T-th packet and then at \
                       every P-th (P = 0: never again); a single number changes T.",
                kind: Kind::Threshold,
            },
        ];
    };
}

settings! {
    /// Rate of drop_packet in mode 3: one of this many new connections is dropped.
    am_droprate: i32 = 10, Number(ANY);
    /// Defence modes 1 and 2 are on while fewer table entries are free than this, counted as if every table were as full as the fullest (the kernel counts free pages).
    amemthresh: i32 = 1024, Number(ANY);
    /// While a backup synchronisation daemon runs, requests are not balanced.
    backup_only: i32 = 0, Number(ANY);
    /// If a firewall-mark service has no usable destination, its packets are routed to their own address.
    cache_bypass: i32 = 0, Number(ANY);
    /// Which old connections a new SYN or INIT may replace: bit mask, 0 none, 1 closed ones, 2 those in FIN_WAIT too.
    conn_reuse_mode: i32 = 1, Number(ANY);
    /// Defence: old, idle and half-open connections are dropped; 0 off, 1 and 2 by free entries (amemthresh), 3 always.
    drop_entry: i32 = 0, Number(0..=3);
    /// Defence: some new connections are dropped; 0 off, 1 and 2 by free entries (amemthresh), 3 always at am_droprate.
    drop_packet: i32 = 0, Number(0..=3);
    /// 1: a connection whose destination was removed ends at its next packet. 0: its packets are dropped.
    expire_nodest_conn: i32 = 0, Number(ANY);
    /// A persistence template of a destination with weight 0 is not used, so its client gets another destination.
    expire_quiescent_template: i32 = 0, Number(ANY);
    /// Lifetime of an unused entry of an lblc map, in seconds.
    lblc_expiration: i32 = 86_400, Number(NOT_NEGATIVE);
    /// Lifetime of an unused entry of an lblcr map, in seconds.
    lblcr_expiration: i32 = 86_400, Number(NOT_NEGATIVE);
    /// A packet from a NAT destination's address and port without a connection is dropped and answered with port unreachable.
    nat_icmp_send: i32 = 0, Number(ANY);
    /// 1: tunnels copy the inner packet's DF bit, so that its sender learns a smaller path MTU. 0: the outer packet is fragmented.
    pmtu_disc: i32 = 1, Number(ANY);
    /// 1: rates per second are estimated. 0: counters and rates in listings do not change.
    run_estimation: i32 = 1, Number(ANY);
    /// An ICMP error about an unknown connection may create a connection.
    schedule_icmp: i32 = 0, Number(ANY);
    /// Defence: a stricter TCP state table, in which connections are established later; 0 off, 1 and 2 by free entries (amemthresh), 3 always.
    secure_tcp: i32 = 0, Number(0..=3);
    /// Any SCTP chunk except ABORT may open a connection, not only INIT.
    sloppy_sctp: i32 = 0, Number(ANY);
    /// Any TCP segment except RST may open a connection, not only SYN.
    sloppy_tcp: i32 = 0, Number(ANY);
    /// For persistent services only the templates are synchronised, not the connections.
    sync_persist_mode: i32 = 0, Number(ANY);
    /// Number of UDP ports that synchronisation uses; above 64 counts as 64. Read when the first daemon starts.
    sync_ports: i32 = 1, PowerOfTwo;
    /// Largest number of synchronisation messages that wait to be sent (kernel default: free pages / 32).
    sync_qlen_max: i64 = 32_768, Number(0..=i64::MAX);
    /// Seconds that a connection's timer must change before it is synchronised again. 0: only sync_threshold decides.
    sync_refresh_period: i32 = 0, Number(NOT_NEGATIVE);
    /// Number of repetitions of a refresh, each after an eighth of sync_refresh_period.
    sync_retries: i32 = 0, Number(0..=3);
    /// Buffer size of the synchronisation socket in bytes. 0: the system's default.
    sync_sock_size: i32 = 0, Number(NOT_NEGATIVE);
    /// Version of the synchronisation messages that the master sends.
    sync_version: i32 = 1, Number(0..=1);
}

/// Settings that the kernel has and the director does not, with the reason.
static REFUSED: &[(&str, &str)] = &[
    ("conntrack", "the director does not go through netfilter, so there is no conntrack to join"),
    ("debug_level", "the daemon logs by director.log in its configuration"),
    ("est_cpulist", "rates are estimated by the control thread, never on the workers' cores"),
    (
        "est_nice",
        "rates are estimated by the control thread; there is no estimation thread to nice",
    ),
    ("ignore_tunneled", "the director unpacks no tunnels, so no packet comes by a second time"),
    ("snat_reroute", "every reply is routed by the director's own table after its translation"),
];

impl Sysctls {
    /// Reads a setting as text.
    ///
    /// # Errors
    /// [`SysctlError::Unknown`] or [`SysctlError::Refused`].
    pub fn get(&self, name: &str) -> Result<String, SysctlError> {
        find(name).map(|setting| setting.read(self))
    }

    /// Checks and writes a setting. After an error nothing has changed.
    ///
    /// `name` may carry the prefix `net.ipv4.vs.` or `net/ipv4/vs/`. White space around numbers is
    /// ignored.
    ///
    /// # Errors
    /// [`SysctlError::Invalid`] for a value that the kernel refuses with EINVAL, [`SysctlError::Unknown`] and
    /// [`SysctlError::Refused`] for names.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let setting = find(name)?;
        if setting.write(self, value) {
            return Ok(());
        }
        Err(SysctlError::Invalid {
            name: setting.name,
            value: value.trim().to_owned(),
            allowed: setting.allowed(),
        })
    }

    /// All settings, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = SysctlValue> + '_ {
        let default = Sysctls::default();
        in_order().into_iter().map(move |setting| SysctlValue {
            name: setting.name,
            value: setting.read(self),
            default: setting.read(&default),
            allowed: setting.allowed(),
            help: setting.help,
        })
    }

    /// The names of all settings, in order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        in_order().into_iter().map(|setting| setting.name)
    }

    /// The name without `net.ipv4.vs.` or `net/ipv4/vs/`.
    pub fn short_name(name: &str) -> &str {
        ["net.ipv4.vs.", "net/ipv4/vs/"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name)
    }

    /// The kernel's settings that have no meaning here, each with the reason.
    pub fn refused() -> impl Iterator<Item = (&'static str, &'static str)> {
        REFUSED.iter().copied()
    }
}

/// The settings by name.
fn in_order() -> Vec<&'static Setting> {
    let mut settings: Vec<_> = SETTINGS.iter().collect();
    settings.sort_by_key(|setting| setting.name);
    settings
}

fn find(name: &str) -> Result<&'static Setting, SysctlError> {
    let wanted = Sysctls::short_name(name);
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == wanted) {
        return Ok(setting);
    }
    Err(match REFUSED.iter().find(|(refused, _)| *refused == wanted) {
        Some(&(name, reason)) => SysctlError::Refused { name, reason },
        None => SysctlError::Unknown(name.to_owned()),
    })
}

impl Setting {
    fn read(&self, all: &Sysctls) -> String {
        match self.kind {
            Kind::Number { get, .. } | Kind::PowerOfTwo { get, .. } => get(all).to_string(),
            // With a tab between them, as the kernel prints a pair.
            Kind::Threshold => format!("{}\t{}", all.sync_threshold, all.sync_period),
        }
    }

    /// False if the value is not allowed.
    fn write(&self, all: &mut Sysctls, text: &str) -> bool {
        match &self.kind {
            Kind::Number { range, set, .. } => match text.trim().parse() {
                Ok(value) if range.contains(&value) => set(all, value),
                _ => return false,
            },
            Kind::PowerOfTwo { set, .. } => match text.trim().parse::<i32>() {
                Ok(value) if value > 0 && value.count_ones() == 1 => set(all, i64::from(value)),
                _ => return false,
            },
            Kind::Threshold => match threshold(all, text) {
                Some((threshold, period)) => {
                    (all.sync_threshold, all.sync_period) = (threshold, period);
                }
                None => return false,
            },
        }
        true
    }

    fn allowed(&self) -> String {
        match &self.kind {
            Kind::Number { range, .. } if *range == ANY => "a whole number of 32 bits".to_owned(),
            Kind::Number { range, .. } if *range.end() == i64::MAX => {
                format!("{} or more", range.start())
            }
            Kind::Number { range, .. } => format!("{} to {}", range.start(), range.end()),
            Kind::PowerOfTwo { .. } => "a power of two, 1 or more".to_owned(),
            Kind::Threshold => "\"T P\" with 0 <= T < P, or P = 0".to_owned(),
        }
    }
}

/// T and P after writing `text`: one number is T and keeps P.
fn threshold(all: &Sysctls, text: &str) -> Option<(i32, i32)> {
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse::<i32>().ok());
    let threshold = numbers.next()??;
    let period = match numbers.next() {
        Some(period) => period?,
        None => all.sync_period,
    };
    let fits = threshold >= 0 && period >= 0 && (threshold < period || period == 0);
    (numbers.next().is_none() && fits).then_some((threshold, period))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn defaults_are_the_kernels() {
        let on = ["conn_reuse_mode", "pmtu_disc", "run_estimation", "sync_ports", "sync_version"];
        for setting in Sysctls::default().iter() {
            let expected = match setting.name {
                "am_droprate" => "10",
                "amemthresh" => "1024",
                "lblc_expiration" | "lblcr_expiration" => "86400",
                "sync_qlen_max" => "32768",
                "sync_threshold" => "3\t50",
                name if on.contains(&name) => "1",
                _ => "0",
            };
            assert_eq!(setting.value, expected, "{}", setting.name);
            assert_eq!(setting.default, expected, "{}", setting.name);
            assert!(setting.help.ends_with(['.', ')']), "{}: {}", setting.name, setting.help);
        }
    }

    #[test]
    fn names_are_sorted_and_none_is_refused_too() {
        let names: Vec<_> = Sysctls::names().collect();
        assert!(names.is_sorted() && names.len() == 26, "{names:?}");
        for (name, _) in Sysctls::refused() {
            assert!(!names.contains(&name), "{name}");
        }
    }

    #[test]
    fn takes_and_refuses_what_the_kernel_does() {
        for (name, value, taken) in [
            ("drop_entry", "0", true),
            ("drop_packet", "3", true),
            ("secure_tcp", "4", false),
            ("drop_entry", "-1", false),
            ("conn_reuse_mode", "-7", true),
            ("conn_reuse_mode", "2147483648", false),
            ("conn_reuse_mode", "one", false),
            ("conn_reuse_mode", "", false),
            ("conn_reuse_mode", "1 2", false),
            ("sync_retries", "3", true),
            ("sync_retries", "4", false),
            ("sync_version", "2", false),
            ("sync_ports", "64", true),
            ("sync_ports", "128", true),
            ("sync_ports", "3", false),
            ("sync_ports", "0", false),
            ("sync_ports", "-2147483648", false),
            ("sync_qlen_max", "5000000000", true),
            ("sync_qlen_max", "-1", false),
            ("sync_threshold", "3 3", false),
            ("sync_threshold", "4 3", false),
            ("sync_threshold", "-1 5", false),
            ("sync_threshold", "5 0", true),
            ("sync_threshold", "0 1", true),
            ("sync_threshold", "0 0", true),
            ("sync_threshold", "1 2 3", false),
            ("sync_threshold", "", false),
            ("lblc_expiration", "-1", false),
        ] {
            let mut all = Sysctls::default();
            assert_eq!(all.set(name, value).is_ok(), taken, "{name}={value}");
            assert!(taken || all == Sysctls::default(), "{name}={value} changed something");
        }
    }

    #[test]
    fn one_number_of_a_pair_keeps_the_other() {
        let mut all = Sysctls::default();
        all.set("sync_threshold", "7\t20\n").unwrap();
        all.set("sync_threshold", "9").unwrap();
        assert_eq!((all.sync_threshold, all.sync_period), (9, 20));
        all.set("sync_threshold", "20").unwrap_err();
        assert_eq!(all.get("sync_threshold").unwrap(), "9\t20");
    }

    #[test]
    fn names_may_carry_a_prefix() {
        let mut all = Sysctls::default();
        all.set("net.ipv4.vs.drop_entry", "1").unwrap();
        all.set("net/ipv4/vs/drop_packet", "2").unwrap();
        assert_eq!((all.drop_entry, all.drop_packet), (1, 2));
        assert_eq!(all.get("net.ipv4.vs.drop_packet").unwrap(), "2");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let mut all = Sysctls::default();
        for (name, value, message) in [
            ("no_such", "1", "unknown setting `no_such`; `directorctl sysctl` lists all settings"),
            ("drop_entry", "4", "`4` is not a valid value of drop_entry; allowed: 0 to 3"),
            (
                "net.ipv4.vs.conntrack",
                "1",
                "conntrack does not exist here: the director does not go through netfilter, so \
                 there is no conntrack to join",
            ),
        ] {
            assert_eq!(all.set(name, value).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(at in 0..SETTINGS.len(), value in -5i32..200) {
            let setting = &SETTINGS[at];
            let mut all = Sysctls::default();
            if all.set(setting.name, &value.to_string()).is_ok() {
                let read = all.get(setting.name).unwrap();
                prop_assert_eq!(read.split('\t').next().unwrap(), value.to_string());
                for other in all.iter().filter(|other| other.name != setting.name) {
                    prop_assert_eq!(&other.value, &other.default);
                }
            }
        }

        #[test]
        fn no_text_is_a_panic(name: String, value: String) {
            let mut all = Sysctls::default();
            let _ = all.set(&name, &value);
            let _ = all.set("sync_threshold", &value);
            let _ = all.set("drop_entry", &value);
        }
    }
}
