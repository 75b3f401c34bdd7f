//! The log lines about changes: who changed what, and why a change was refused.

use crate::api::{Refusal, RefusalCode, Request};
use log::Level;
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

/// What a request changes, one line for each command.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<String>);

impl Changes {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Apply(commands) => Changes(commands.iter().map(ToString::to_string).collect()),
            Request::Query { .. } => Changes::default(),
        }
    }

    /// A line for each command, once its outcome is known; a warning if a table of the director is full.
    pub(super) fn lines(
        &self,
        peer: Option<Peer>,
        outcomes: &[Result<(), Refusal>],
    ) -> Vec<(Level, String)> {
        let peer = peer.map_or_else(|| "an unknown client".to_owned(), |peer| peer.to_string());
        let line = |(command, outcome): (&String, &Result<(), Refusal>)| match outcome {
            Ok(()) => (Level::Info, format!("{peer}: {command}")),
            Err(refusal) if refusal.code == RefusalCode::ENOMEM => {
                (Level::Warn, format!("{peer}: {command}: refused: {refusal}"))
            }
            Err(refusal) => (Level::Info, format!("{peer}: {command}: refused: {refusal}")),
        };
        self.0.iter().zip(outcomes).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Command;
    use crate::model::{Overlay, OverlayKind, OverlayTarget, Timeouts};

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
            changes.lines(peer, &outcomes),
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
}
