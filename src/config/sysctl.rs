//! `[sysctl]`: the `net.ipv4.vs.*` settings.

use super::document::{Document, Scalar};
use super::known::Known;
use super::report::Report;
use super::table::{ConfigTable, ReloadChange};
use crate::model::{SysctlError, Sysctls};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use toml::Spanned;

/// `[sysctl]`.
pub struct Sysctl;

/// Any name is read; [`Sysctls`] knows which names exist.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Raw(BTreeMap<Spanned<String>, Spanned<Scalar>>);

impl ConfigTable for Sysctl {
    const NAME: &'static str = "sysctl";
    type Raw = Raw;
    type Checked = Sysctls;
    /// The settings whose value in the file changed, for [`Sysctls::set`]. A setting that the new file leaves out gets its
    /// default.
    type Update = Vec<(&'static str, String)>;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Raw {
        document.single(Self::NAME, report)
    }

    fn check(raw: Raw, _: &mut Known, report: &mut Report<'_>) -> Sysctls {
        let mut all = Sysctls::default();
        let mut seen = HashSet::new();
        for (name, value) in raw.0 {
            let key = format!("sysctl.{}", name.get_ref());
            let offset = name.span().start;
            match all.set(name.get_ref(), &value.get_ref().to_string()) {
                Ok(()) if !seen.insert(Sysctls::short_name(name.get_ref()).to_owned()) => {
                    report.fault(offset, &key, "it is set twice, with and without its prefix");
                }
                Ok(()) => {}
                Err(SysctlError::Invalid { value: text, allowed, .. }) => {
                    let problem = format!("`{text}` is not a valid value");
                    report.fault_allowed(value.span().start, &key, problem, allowed);
                }
                Err(SysctlError::Refused { reason, .. }) => {
                    report.fault(offset, &key, format!("it does not exist here: {reason}"));
                }
                Err(SysctlError::Unknown(_)) => {
                    let names: Vec<_> = Sysctls::names().collect();
                    report.fault_allowed(offset, &key, "unknown setting", names.join(", "));
                }
            }
        }
        all
    }

    fn changed(old: &Sysctls, new: &Sysctls) -> ReloadChange<Self::Update> {
        let pairs = old.iter().zip(new.iter()).filter(|(old, new)| old.value != new.value);
        let changed: Vec<_> = pairs.map(|(_, new)| (new.name, new.value)).collect();
        if changed.is_empty() { ReloadChange::None } else { ReloadChange::Live(changed) }
    }
}
