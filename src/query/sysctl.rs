//! `sysctl`: reads all settings or one, or sets one.

use super::{Answer, Column, Query, View};
use crate::api::{Refusal, RefusalCode};
use crate::model::{SysctlError, Sysctls};
use serde::{Deserialize, Serialize};

pub struct Sysctl;

#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysctlArgs {
    /// The setting, with or without the prefix net.ipv4.vs.; with a value, it is set first
    #[arg(value_name = "NAME[=VALUE]")]
    pub setting: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlRow {
    pub name: String,
    pub value: String,
    pub help: String,
}

impl SysctlArgs {
    /// The name of the setting, and the value that it gets.
    pub fn parts(&self) -> Option<(&str, Option<&str>)> {
        let text = self.setting.as_deref()?;
        Some(match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text.trim(), None),
        })
    }
}

impl Query for Sysctl {
    const NAME: &'static str = "sysctl";
    const ABOUT: &'static str = "Reads all settings or one, or sets one";
    const COLUMNS: &'static [Column<SysctlRow>] = &[
        Column::left("setting", |row| row.name.clone()),
        Column::left("value", |row| row.value.clone()),
        Column::left("meaning", |row| row.help.clone()),
    ];
    type Args = SysctlArgs;
    type Row = SysctlRow;

    fn answer(view: &mut dyn View, args: SysctlArgs) -> Result<Answer<SysctlRow>, Refusal> {
        let (name, value) = args.parts().unzip();
        let value = value.flatten();
        let mut sysctls = *view.sysctls();
        match (name, value) {
            (Some(name), Some(value)) => sysctls.set(name, value),
            (Some(name), None) => sysctls.get(name).map(|_| ()),
            (None, _) => Ok(()),
        }
        .map_err(refusal)?;
        if sysctls != *view.sysctls() {
            view.set_sysctls(sysctls)?;
        }
        let rows = rows(view.sysctls(), name);
        Ok(match value {
            Some(_) => Answer::Published(rows),
            None => Answer::Now(rows),
        })
    }
}

fn refusal(error: SysctlError) -> Refusal {
    let code = match error {
        SysctlError::Unknown(_) => RefusalCode::ENOENT,
        SysctlError::Invalid { .. } => RefusalCode::EINVAL,
        SysctlError::Refused { .. } => RefusalCode::EOPNOTSUPP,
    };
    Refusal::new(code, error.to_string())
}

fn rows(sysctls: &Sysctls, name: Option<&str>) -> Vec<SysctlRow> {
    let wanted = name.map(Sysctls::short_name);
    let settings = sysctls.iter();
    settings
        .filter(|setting| wanted.is_none_or(|wanted| wanted == setting.name))
        .map(|setting| SysctlRow {
            name: setting.name.to_owned(),
            value: setting.value,
            help: setting.help.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_with_their_meaning() {
        let row = SysctlRow {
            name: "sync_threshold".to_owned(),
            value: "3 50".to_owned(),
            help: "when connections are synchronised".to_owned(),
        };
        let expected = [
            "setting         value  meaning",
            "sync_threshold  3 50   when connections are synchronised",
        ];
        assert_eq!(Sysctl::text(&[row]).lines().collect::<Vec<_>>(), expected);
    }
}
