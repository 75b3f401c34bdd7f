//! `[timeouts]`: how long idle connections are kept.

use super::document::Document;
use super::known::Known;
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange};
use crate::model::Timeouts;
use serde::Deserialize;

/// `[timeouts]`.
pub struct TimeoutsTable;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    tcp: Field<i64>,
    tcp_fin: Field<i64>,
    udp: Field<i64>,
}

impl ConfigTable for TimeoutsTable {
    const NAME: &'static str = "timeouts";
    type Raw = Raw;
    type Checked = Timeouts;
    /// The timeouts that changed. The others are 0, which keeps the running values.
    type Update = Timeouts;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Raw {
        document.single(Self::NAME, report)
    }

    fn check(raw: Raw, _: &mut Known, report: &mut Report<'_>) -> Timeouts {
        let default = Timeouts::default();
        let mut seconds = |field, key: &str, default| {
            report.number(field, key, 1..=Timeouts::MAX_S).unwrap_or(default)
        };
        Timeouts {
            tcp: seconds(&raw.tcp, "timeouts.tcp", default.tcp),
            tcp_fin: seconds(&raw.tcp_fin, "timeouts.tcp_fin", default.tcp_fin),
            udp: seconds(&raw.udp, "timeouts.udp", default.udp),
        }
    }

    fn changed(old: &Timeouts, new: &Timeouts) -> ReloadChange<Timeouts> {
        let changed = |old: u32, new: u32| if old == new { 0 } else { new };
        if old == new {
            return ReloadChange::None;
        }
        ReloadChange::Live(Timeouts {
            tcp: changed(old.tcp, new.tcp),
            tcp_fin: changed(old.tcp_fin, new.tcp_fin),
            udp: changed(old.udp, new.udp),
        })
    }
}
