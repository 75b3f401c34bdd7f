//! The log lines about changes: who changed what, and why a change was refused.

use crate::api::{Refusal, RefusalCode, Reply, Request};
use crate::query::{Query, Sysctl, SysctlArgs};
use log::Level;
use serde::Deserialize;
use std::fmt;
use std::os::unix::net::UnixStream;

/// Who is at the other end, for the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    uid: u32,
    pid: i32,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Option<Self> {
        let found = rustix::net::sockopt::socket_peercred(stream).ok()?;
        Some(Peer { uid: found.uid.as_raw(), pid: found.pid.as_raw_nonzero().get() })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "uid {}, pid {}", self.uid, self.pid)
    }
}

/// What a request changes, as text for the log.
#[derive(Debug)]
pub(super) enum Changes {
    Nothing,
    /// One text for each command.
    Commands(Vec<String>),
    /// The question `sysctl` with a value.
    Setting(String),
}

impl Changes {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Apply(commands) => {
                Changes::Commands(commands.iter().map(ToString::to_string).collect())
            }
            Request::Query { query, args } if query == Sysctl::NAME => {
                let args = SysctlArgs::deserialize(args).unwrap_or_default();
                match args.parts() {
                    Some((name, Some(value))) => {
                        let setting = format!("{name}={value}");
                        Changes::Setting(format!("set sysctl {}", setting.escape_debug()))
                    }
                    _ => Changes::Nothing,
                }
            }
            Request::Query { .. } => Changes::Nothing,
        }
    }

    /// The lines about the outcomes in a piece of the answer. It is a warning if a table of the director is full.
    pub(super) fn lines(&self, peer: Option<Peer>, piece: &Reply) -> Vec<(Level, String)> {
        let peer = peer.map_or_else(|| "an unknown client".to_owned(), |peer| peer.to_string());
        let done = |change: &String| (Level::Info, format!("{peer}: {change}"));
        let refused = |change: &String, refusal: &Refusal| {
            let is_full = refusal.code == RefusalCode::ENOMEM;
            let level = if is_full { Level::Warn } else { Level::Info };
            (level, format!("{peer}: {change}: refused: {refusal}"))
        };
        match (self, piece) {
            (Changes::Commands(commands), Reply::Applied(outcomes)) => {
                let outcomes = commands.iter().zip(outcomes);
                outcomes
                    .map(|(command, outcome)| match outcome {
                        Ok(()) => done(command),
                        Err(refusal) => refused(command, refusal),
                    })
                    .collect()
            }
            (Changes::Setting(setting), Reply::Rows(_)) => vec![done(setting)],
            (Changes::Setting(setting), Reply::Failed(refusal)) => vec![refused(setting, refusal)],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Command, Rows};
    use crate::model::{Overlay, OverlayKind, OverlayTarget, Timeouts};
    use crate::query::{SysctlRow, request};

    #[test]
    fn every_command_has_a_line_with_its_outcome() {
        let service: crate::model::ServiceKey = "tcp:10.0.0.100:80".parse().unwrap();
        let target = OverlayTarget {
            address: "192.168.10.11".parse().unwrap(),
            port: None,
            service: Some(service),
        };
        let changes = Changes::of(&Request::Apply(vec![
            Command::DeleteService(service),
            Command::SetOverlay { target, overlay: Overlay::Drain },
            Command::ClearOverlay { target, kind: OverlayKind::Drain },
            Command::SetTimeouts(Timeouts { tcp: 900, tcp_fin: 0, udp: 0 }),
            Command::Flush,
            Command::Zero(None),
        ]));
        let full = "services: all 4 places are taken; raise tables.services and restart";
        let outcomes = [
            Err(Refusal::new(RefusalCode::ESRCH, "no such service")),
            Ok(()),
            Ok(()),
            Ok(()),
            Ok(()),
            Err(Refusal::new(RefusalCode::ENOMEM, full)),
        ];
        let peer = Some(Peer { uid: 0, pid: 42 });
        let told = |line: &str| format!("uid 0, pid 42: {line}");
        let gone = outcomes[0].as_ref().unwrap_err();
        let full = outcomes[5].as_ref().unwrap_err();
        assert_eq!(
            changes.lines(peer, &Reply::Applied(outcomes.to_vec())),
            [
                (Level::Info, told(&format!("delete service TCP 10.0.0.100:80: refused: {gone}"))),
                (Level::Info, told("set drain on 192.168.10.11 of TCP 10.0.0.100:80")),
                (Level::Info, told("clear drain on 192.168.10.11 of TCP 10.0.0.100:80")),
                (Level::Info, told("set timeouts: TCP 900 s, TCP FIN 0 s, UDP 0 s (0: as before)"),),
                (Level::Info, told("delete all services")),
                (Level::Warn, told(&format!("zero all counters: refused: {full}"))),
            ]
        );
    }

    #[test]
    fn a_setting_that_is_set_has_a_line_and_one_that_is_read_has_none() {
        let changes = |setting: Option<&str>| {
            let args = SysctlArgs { setting: setting.map(str::to_owned) };
            Changes::of(&request::<Sysctl>(&args))
        };
        let rows = Reply::Rows(Rows::of(Vec::<SysctlRow>::new()));
        let failed = Reply::Failed(Refusal::new(RefusalCode::EINVAL, "not valid"));
        let peer = Some(Peer { uid: 0, pid: 42 });
        let set = changes(Some("net.ipv4.vs.drop_entry = 3"));
        let line = "uid 0, pid 42: set sysctl net.ipv4.vs.drop_entry=3";
        assert_eq!(set.lines(peer, &rows), [(Level::Info, line.to_owned())]);
        let refused = format!("{line}: refused: not valid");
        assert_eq!(set.lines(peer, &failed), [(Level::Info, refused)]);
        assert!(set.lines(peer, &Reply::End).is_empty());
        for read in [None, Some("drop_entry")] {
            assert!(changes(read).lines(peer, &rows).is_empty(), "{read:?}");
        }
        let other = Changes::of(&Request::Query {
            query: "services".to_owned(),
            args: serde_json::json!({}),
        });
        assert!(other.lines(peer, &rows).is_empty());
    }
}
