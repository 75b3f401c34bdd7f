//! `[director]`: the process as a whole.

use super::addresses::Places;
use super::document::Document;
use super::known::Known;
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange, if_changed};
use crate::api::DEFAULT_SOCKET;
use crate::model::{Prefix, Unserved, is_reserved};
use log::LevelFilter;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// Longest path of a Unix socket in bytes: `sun_path` without its terminating zero.
const SOCKET_PATH_MAX: usize = 107;

const PREFIX_FORM: &str = "a network as 10.0.0.0/24 or an address as 10.0.0.1";

/// The checked keys of `[director]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorConfig {
    /// Path of the control socket.
    pub socket: PathBuf,
    /// Local addresses besides those of ports and services.
    pub vips: Vec<Prefix>,
    /// The answer to a packet for a port without a service; `None`: the host's stack where there is a kernel interface,
    /// else a refusal.
    pub unserved: Option<Unserved>,
    /// IPv4 packets of real servers from a VIP are forwarded to the client, not dropped as martians.
    pub forward_vip_answers: bool,
    pub log: LevelFilter,
}

/// The keys of `[director]` that changed, each with its new value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectorUpdate {
    pub vips: Option<Vec<Prefix>>,
    /// The key was changed or removed.
    pub unserved: Option<Option<Unserved>>,
    pub forward_vip_answers: Option<bool>,
    pub log: Option<LevelFilter>,
}

/// `[director]`.
pub struct Director;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    socket: Field<String>,
    #[serde(default)]
    vips: Vec<Spanned<String>>,
    unserved: Field<String>,
    forward_vip_answers: Option<bool>,
    log: Field<String>,
}

impl ConfigTable for Director {
    const NAME: &'static str = "director";
    type Raw = Raw;
    type Checked = DirectorConfig;
    type Update = DirectorUpdate;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Raw {
        document.single(Self::NAME, report)
    }

    fn check(raw: Raw, known: &mut Known, report: &mut Report<'_>) -> DirectorConfig {
        let mut places = Places::default();
        raw.vips.iter().for_each(|text| places.add_network(text));
        known.keep(places);
        let socket = report.text(
            &raw.socket,
            "director.socket",
            &format!("an absolute path of at most {SOCKET_PATH_MAX} bytes"),
            |path| match path.starts_with('/')
                && path.len() <= SOCKET_PATH_MAX
                && !path.contains('\0')
            {
                true => Ok(PathBuf::from(path)),
                false => Err(format!("`{}` cannot be a socket", path.escape_debug())),
            },
        );
        let unserved =
            [("reject", Unserved::Reject), ("drop", Unserved::Drop), ("kernel", Unserved::Kernel)];
        let levels = [
            ("error", LevelFilter::Error),
            ("warn", LevelFilter::Warn),
            ("info", LevelFilter::Info),
            ("debug", LevelFilter::Debug),
        ];
        DirectorConfig {
            socket: socket.unwrap_or_else(|| DEFAULT_SOCKET.into()),
            vips: vips(&raw.vips, report),
            unserved: report.word(&raw.unserved, "director.unserved", &unserved),
            forward_vip_answers: raw.forward_vip_answers.unwrap_or(true),
            log: report.word(&raw.log, "director.log", &levels).unwrap_or(LevelFilter::Info),
        }
    }

    fn changed(old: &DirectorConfig, new: &DirectorConfig) -> ReloadChange<DirectorUpdate> {
        let socket = ReloadChange::restart([("director.socket", old.socket == new.socket)]);
        let update = DirectorUpdate {
            vips: if_changed(&old.vips, &new.vips),
            unserved: if_changed(&old.unserved, &new.unserved),
            forward_vip_answers: if_changed(&old.forward_vip_answers, &new.forward_vip_answers),
            log: if_changed(&old.log, &new.log),
        };
        match update == DirectorUpdate::default() {
            true => socket,
            false => socket.and(ReloadChange::Live(update)),
        }
    }
}

fn vips(raw: &[Spanned<String>], report: &mut Report) -> Vec<Prefix> {
    const KEY: &str = "director.vips";
    let mut vips = Vec::new();
    for text in raw {
        let Some(vip) = report.text_at(text, KEY, PREFIX_FORM, str::parse::<Prefix>) else {
            continue;
        };
        let [first, last] = [vip.address(), vip.last()];
        let offset = text.span().start;
        if first.is_unspecified() || first.is_multicast() || last.is_multicast() {
            report.fault_allowed(offset, KEY, format!("{vip} is not unicast"), PREFIX_FORM);
        } else if is_reserved(last) {
            let problem = match vip.is_host() {
                true => format!("{vip} is reserved"),
                false => format!("{vip} holds reserved addresses"),
            };
            report.fault_allowed(offset, KEY, problem, PREFIX_FORM);
        } else if vips.contains(&vip) {
            report.fault(offset, KEY, format!("{vip} is listed twice"));
        } else {
            vips.push(vip);
        }
    }
    vips
}
