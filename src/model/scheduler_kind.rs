//! The scheduling algorithms by name.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A scheduler of IPVS. `None` is IPVS's `none`: the service keeps its connections and accepts no new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerKind {
    None,
    Rr,
    Wrr,
    Lc,
    Wlc,
    Sed,
    Nq,
    Fo,
    Ovf,
    Dh,
    Sh,
    Mh,
    Lblc,
    Lblcr,
    Twos,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown scheduler `{0}`; one of {names}", names = SchedulerKind::NAMES)]
pub struct UnknownScheduler(pub String);

impl SchedulerKind {
    pub const ALL: [SchedulerKind; 15] = [
        SchedulerKind::None,
        SchedulerKind::Rr,
        SchedulerKind::Wrr,
        SchedulerKind::Lc,
        SchedulerKind::Wlc,
        SchedulerKind::Sed,
        SchedulerKind::Nq,
        SchedulerKind::Fo,
        SchedulerKind::Ovf,
        SchedulerKind::Dh,
        SchedulerKind::Sh,
        SchedulerKind::Mh,
        SchedulerKind::Lblc,
        SchedulerKind::Lblcr,
        SchedulerKind::Twos,
    ];

    const NAMES: &str = "rr wrr lc wlc sed nq fo ovf dh sh mh lblc lblcr twos none";

    pub const fn name(self) -> &'static str {
        match self {
            SchedulerKind::None => "none",
            SchedulerKind::Rr => "rr",
            SchedulerKind::Wrr => "wrr",
            SchedulerKind::Lc => "lc",
            SchedulerKind::Wlc => "wlc",
            SchedulerKind::Sed => "sed",
            SchedulerKind::Nq => "nq",
            SchedulerKind::Fo => "fo",
            SchedulerKind::Ovf => "ovf",
            SchedulerKind::Dh => "dh",
            SchedulerKind::Sh => "sh",
            SchedulerKind::Mh => "mh",
            SchedulerKind::Lblc => "lblc",
            SchedulerKind::Lblcr => "lblcr",
            SchedulerKind::Twos => "twos",
        }
    }
}

impl fmt::Display for SchedulerKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl FromStr for SchedulerKind {
    type Err = UnknownScheduler;
    fn from_str(name: &str) -> Result<Self, UnknownScheduler> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownScheduler(name.to_owned()))
    }
}

bitflags::bitflags! {
    /// The scheduler flags of `ipvsadm -b`. For sh and mh the first two have names.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(transparent)]
    pub struct SchedulerFlags: u8 {
        /// `sh-fallback`, `mh-fallback`: if the hashed destination is unusable, pick another one.
        const FLAG_1 = 1;
        /// `sh-port`, `mh-port`: hash the source port too.
        const FLAG_2 = 2;
        const FLAG_3 = 4;
    }
}
