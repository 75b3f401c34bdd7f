//! `[tcp]`: what is changed in TCP segments.

use super::document::Document;
use super::known::Known;
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange};
use crate::model::MssClamp;
use serde::Deserialize;
use std::ops::RangeInclusive;
use toml::Value;

/// `[tcp]`.
pub struct Tcp;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// Any type is read, so that one message lists every allowed value.
    mss_clamp: Field<Value>,
}

impl ConfigTable for Tcp {
    const NAME: &'static str = "tcp";
    type Raw = Raw;
    type Checked = MssClamp;
    type Update = MssClamp;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Raw {
        document.single(Self::NAME, report)
    }

    fn check(raw: Raw, _: &mut Known, report: &mut Report<'_>) -> MssClamp {
        const BYTES: RangeInclusive<u16> = MssClamp::LEAST..=MssClamp::MOST;
        let Some(value) = raw.mss_clamp else { return MssClamp::Off };
        let clamp = match value.get_ref() {
            Value::String(word) if word == "off" => Some(MssClamp::Off),
            Value::String(word) if word == "pmtu" => Some(MssClamp::PathMtu),
            Value::Integer(bytes) => u16::try_from(*bytes)
                .ok()
                .filter(|bytes| BYTES.contains(bytes))
                .map(MssClamp::Bytes),
            _ => None,
        };
        clamp.unwrap_or_else(|| {
            let problem = format!("{} is not a valid value", value.get_ref());
            let allowed = format!(r#""off", "pmtu", {} to {}"#, BYTES.start(), BYTES.end());
            report.fault_allowed(value.span().start, "tcp.mss_clamp", problem, allowed);
            MssClamp::Off
        })
    }

    fn changed(old: &MssClamp, new: &MssClamp) -> ReloadChange<Self::Update> {
        ReloadChange::live(old, new)
    }
}
